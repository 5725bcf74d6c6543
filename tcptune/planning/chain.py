"""The ways through a chain, judged: from its file, what is known of products, and what configurations say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from tcptune.domain.chain import (
    COUNTED,
    NEVER,
    Aspect,
    Chain,
    Configuration,
    Hop,
    Http2,
    Known,
    Origin,
    Product,
    Route,
    Side,
    Verified,
    seconds,
)
from tcptune.domain.chain_verdicts import ChainReport, Link, Way
from tcptune.planning.chain_http2 import spoken
from tcptune.planning.chain_rules import judged

_BOTH_SIDES = (Aspect.RECEIVES_IDLE, Aspect.SENDS_IDLE)
_OF_CONNECTIONS = frozenset({*_BOTH_SIDES, Aspect.RECEIVES_REQUESTS, Aspect.SENDS_REQUESTS})
"""What a product may do otherwise over HTTP/2."""


def assess(chain: Chain, products: Mapping[str, Product], read: Mapping[str, Configuration]) -> ChainReport:
    """Return what the timeouts of a chain make.

    `read`: hop -> what its configuration says. Each of its routes is a way of its own; those that say the same are one.
    """
    notes = [note for configuration in read.values() for note in configuration.notes]
    ways: list[tuple[str | None, tuple[Hop, ...]]] = [(None, ())]
    for hop in spoken(chain.hops, products):
        configuration = read.get(hop.name)
        if configuration is None:
            settled = _settled(hop, products)
            ways = [(name, (*hops, settled)) for name, hops in ways]
        else:
            ways = [
                (f"{name}; {route}" if name else route, (*hops, _settled(one, products)))
                for name, hops in ways
                for route, one in _routed(hop, configuration)
            ]
    found = tuple(Way(route=name, hops=hops, links=_links(hops)) for name, hops in ways)
    notes += [f"{hop.product}: {note}" for way in found for hop in way.hops for note in hop.notes]
    return ChainReport(chain=chain.name, origin=chain.origin, ways=found, notes=tuple(dict.fromkeys(notes)))


def routes_of(hop: Hop, configuration: Configuration) -> tuple[Route, ...]:
    """Return the routes of a configuration that a hop of a chain means."""
    if hop.upstream is None:
        return configuration.routes
    return tuple(route for route in configuration.routes if route.upstream == hop.upstream)


def _routed(hop: Hop, configuration: Configuration) -> list[tuple[str, Hop]]:
    same: dict[str, tuple[list[str], Hop]] = {}
    for route in routes_of(hop, configuration):
        # What the chain file says wins over the configuration: somebody wrote it down for this chain.
        one = hop.model_copy(
            update={
                "product": hop.product or configuration.product,
                "settings": route.settings | hop.settings,
                "reuse": route.reuse if hop.reuse is None else hop.reuse,
                "reuse_why": route.reuse_why if hop.reuse is None else hop.reuse_why,
                "unknown": {aspect: why for aspect, why in route.unknown.items() if aspect not in hop.settings},
                "remarks": route.remarks,
            }
        )
        same.setdefault(one.model_dump_json(), ([], one))[0].append(route.name)
    return [(_listed(names), one) for names, one in same.values()]


def _listed(names: list[str]) -> str:
    most = 3
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _settled(hop: Hop, products: Mapping[str, Product]) -> Hop:
    """Return a hop with its product's defaults where it says nothing itself."""
    product = products.get(hop.product or "")
    settings = dict(hop.settings)
    shared = product.together if product else _BOTH_SIDES
    if hop.layer == 7 and (both := settings.pop(Aspect.FLOW, None)):
        settings = {**dict.fromkeys(shared or _BOTH_SIDES, both), **settings}
    elif product and (one := next((settings[a] for a in product.together if a in settings), None)):
        settings = {**dict.fromkeys(product.together, one), **settings}
    if product is None:
        return hop.model_copy(update={"settings": settings, "reuse": True if hop.reuse is None else hop.reuse})
    defaults, unknown, knobs = _defaults(hop, product)
    reuse_why = hop.reuse_why or ("" if product.reuse else f"{product.title} does not unless it is told to")
    return hop.model_copy(
        update={
            "title": product.title,
            "settings": {aspect: one for aspect, one in defaults.items() if aspect not in hop.unknown} | settings,
            "reuse": product.reuse if hop.reuse is None else hop.reuse,
            "reuse_why": reuse_why,
            "knobs": knobs,
            "fixed": product.fixed,
            "together": product.together,
            "unknown": product.unknown | unknown | hop.unknown,
            "effect": product.effect,
            "notes": product.notes,
        }
    )


def _defaults(hop: Hop, product: Product) -> tuple[dict[Aspect, Known], dict[Aspect, str], dict[Aspect, str]]:
    """Return the defaults of a hop's product, what is not known of it, and its knobs: over what each side speaks."""
    found = {aspect: _default(product, product, aspect, text) for aspect, text in product.defaults.items()}
    unknown: dict[Aspect, str] = {}
    knobs = dict(product.knobs)
    sides: tuple[Side, ...] = ("receives", "sends")
    for side in (side for side in sides if hop.http2(side) and side not in product.only_http2):
        if product.http2 is None:
            for aspect in _OF_CONNECTIONS & found.keys():
                if aspect.startswith(f"{side}."):
                    del found[aspect]
                    unknown[aspect] = f"what {product.title} does over HTTP/2 is not known here; say it in the file"
            continue
        own = {aspect: text for aspect, text in product.http2.defaults.items() if aspect.startswith(f"{side}.")}
        found |= {aspect: _default(product, product.http2, aspect, text) for aspect, text in own.items()}
        knobs |= {aspect: knob for aspect, knob in product.http2.knobs.items() if aspect.startswith(f"{side}.")}
    return found, unknown, knobs


def _default(product: Product, told: Product | Http2, aspect: Aspect, text: str) -> Known:
    counted = None if text == NEVER or aspect not in COUNTED else float(text)
    value = counted if aspect in COUNTED else seconds(text)
    doubt = "; recalled, look it up" if told.verified is Verified.RECALLED else ""
    return Known(value=value, origin=Origin.DEFAULT, said=f"default of {product.product}: {told.source}{doubt}")


def _links(hops: tuple[Hop, ...]) -> tuple[Link, ...]:
    """Return each pair of hops that speak HTTP to each other, with what lies between them."""
    speaking = [at for at, hop in enumerate(hops) if hop.layer == 7]
    found = []
    for at, after in pairwise(speaking):
        between = hops[at + 1 : after]
        behind = tuple(hop for hop in hops[after:] if hop.layer == 7)
        found.append(
            Link(
                requester=hops[at].name,
                receiver=hops[after].name,
                through=tuple(hop.name for hop in between),
                judged=judged(hops[at], hops[after], between, behind),
            )
        )
    return tuple(found)
