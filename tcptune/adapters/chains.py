"""Chain files: from YAML to domain values. Every mistake of a file is reported at once, with its place and a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tcptune.adapters.model_mistakes import checked
from tcptune.adapters.policies import without_null
from tcptune.adapters.profile_demands import closest
from tcptune.adapters.yaml_source import Document, file_text
from tcptune.adapters.yaml_source import Path as Place
from tcptune.domain.chain import (
    COUNTED,
    NEVER,
    Aspect,
    Chain,
    ChainFile,
    Hop,
    HopFile,
    Known,
    Layer,
    Origin,
    Sends,
    seconds,
)
from tcptune.errors import ChainError
from tcptune.knowledge.timeout_chain import products
from tcptune.planning.chain_http2 import nonsense

_TIME = "500ms, 60s, 10m, 2h or never"
_HTTP2 = "http2: true on both sides, or leave it out"
HINTS = {
    "": "chain: NAME and hops: [{name: ..., product: ...}, ...]",
    "format_version": "format_version: 1",
    "chain": "chain: shop",
    "hops": "hops: [{name: client, product: go-client}, {name: lb, product: aws-alb}, {name: app, product: node}]",
    "hops.name": "name: proxy",
    "hops.product": "tcptune timeouts products",
    "hops.layer": "layer: 4",
    "hops.idle_timeout": f"idle_timeout: {_TIME}",
    "hops.receives": "receives: {idle_timeout: 75s}",
    "hops.receives.idle_timeout": f"idle_timeout: {_TIME}",
    "hops.receives.requests": "requests: 1000, or requests: never",
    "hops.receives.tcp_keepalive": f"tcp_keepalive: {_TIME}",
    "hops.receives.answer_within": f"answer_within: {_TIME}",
    "hops.receives.http2": "http2: true",
    "hops.receives.max_age": f"max_age: {_TIME}",
    "hops.receives.age_grace": f"age_grace: {_TIME}",
    "hops.receives.pings_apart": f"pings_apart: {_TIME}",
    "hops.receives.idle_pings_apart": f"idle_pings_apart: {_TIME}",
    "hops.sends": "sends: {idle_timeout: 60s, response_timeout: 30s}",
    "hops.sends.reuse": "reuse: true",
    "hops.sends.idle_timeout": f"idle_timeout: {_TIME}",
    "hops.sends.requests": "requests: 1000, or requests: never",
    "hops.sends.tcp_keepalive": f"tcp_keepalive: {_TIME}",
    "hops.sends.response_timeout": f"response_timeout: {_TIME}",
    "hops.sends.http2": "http2: true",
    "hops.sends.ping": f"ping: {_TIME}",
    "hops.sends.idle_ping": f"idle_ping: {_TIME}",
    "hops.upstream": "upstream: NAME, as in proxy_pass http://NAME",
}
"""Key -> what to write instead."""


def load_chain(path: Path) -> Chain:
    """Return the chain in a file, with nothing filled in. Raises ChainError with every mistake."""
    text = file_text(path, ChainError, hint="the path of a chain file")
    document = Document(text)
    found = checked(document, ChainFile, HINTS) if document.readable else None
    for at, hop in enumerate(found.hops if found else ()):
        _check_product(document, ("hops", at), hop)
    if found is not None:
        _check_ends(document, found)
    if found is None or document.mistakes:
        raise document.error(str(path), ChainError)
    hops = tuple(_hop(document, str(path), ("hops", at), hop) for at, hop in enumerate(found.hops))
    for at, key, why in nonsense(hops, products()):
        document.add(("hops", at, *key), why, hint=_HTTP2)
    if document.mistakes:
        raise document.error(str(path), ChainError)
    return Chain(name=found.chain, origin=str(path), hops=hops)


def chain_schema() -> dict[str, Any]:
    """Return the JSON Schema of chain files, for completion and first checks in editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **without_null(ChainFile.model_json_schema()),
        "title": "tcptune chain",
        "description": "The hops of a request and their timeouts.",
    }


def _check_product(document: Document, path: Place, hop: HopFile) -> None:
    if hop.product is None:
        return
    known = products().get(hop.product)
    if known is None:
        hint = closest(hop.product, list(products())) or "tcptune timeouts products"
        document.add((*path, "product"), f"there is no product {hop.product!r}", hint=hint)
    elif hop.layer is not None and hop.layer != known.layer:
        document.add((*path, "layer"), f"{hop.product} is of layer {known.layer}, not {hop.layer}")
    elif known.layer == 4 and (hop.receives or hop.sends or hop.upstream):
        document.add(path, f"{hop.product} is of layer 4: it has an idle_timeout alone")


def _check_ends(document: Document, found: ChainFile) -> None:
    for at, end in ((0, "begins"), (len(found.hops) - 1, "ends")):
        if _layer(found.hops[at]) == 4:
            document.add(
                ("hops", at), f"a chain {end} with a hop of layer 7", hint="name the client in front, the server behind"
            )


def _layer(hop: HopFile) -> Layer:
    product = products().get(hop.product or "")
    return hop.layer or (product.layer if product else 7)


def _hop(document: Document, origin: str, path: Place, hop: HopFile) -> Hop:
    settings: dict[Aspect, Known] = {}
    for side, model in (((), hop), (("receives",), hop.receives), (("sends",), hop.sends)):
        for aspect in Aspect:
            *above, name = aspect.value.split(".")
            written = getattr(model, name, None) if tuple(above) == side else None
            if written is not None:
                said = f"{origin}:{document.place((*path, *side, name)).line}"
                settings[aspect] = Known(value=_value(aspect, written), origin=Origin.DECLARED, said=said)
    return Hop(
        name=hop.name,
        product=hop.product,
        layer=_layer(hop),
        settings=settings,
        reuse=hop.sends.reuse if hop.sends else None,
        reuse_why=_said_reuse(document, origin, path, hop.sends),
        receives_http2=hop.receives.http2 if hop.receives else None,
        sends_http2=hop.sends.http2 if hop.sends else None,
        upstream=hop.upstream,
    )


def _said_reuse(document: Document, origin: str, path: Place, sends: Sends | None) -> str:
    if sends is None or sends.reuse is None:
        return ""
    return f"{origin}:{document.place((*path, 'sends', 'reuse')).line}"


def _value(aspect: Aspect, written: str) -> float | None:
    if aspect in COUNTED:
        return None if written == NEVER else float(written)
    return seconds(written)
