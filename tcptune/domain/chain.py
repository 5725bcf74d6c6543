"""A chain of hops that a request goes through, with the timeouts of each, and what a judgement of it is made of."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from tcptune.domain.values import Frozen

CHAIN_FORMAT_VERSION: Literal[1] = 1
NEVER = "never"

_TIME = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|m|h|d)?")
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 365 * 86400
_COUNT = re.compile(r"[0-9]{1,12}")


class Aspect(StrEnum):
    """What a hop has a setting for. `receives`: as the server of the hop before; `sends`: as the client of the next."""

    RECEIVES_IDLE = "receives.idle_timeout"
    RECEIVES_REQUESTS = "receives.requests"
    RECEIVES_KEEPALIVE = "receives.tcp_keepalive"
    ANSWER = "receives.answer_within"
    AGE = "receives.max_age"
    GRACE = "receives.age_grace"
    PINGS_APART = "receives.pings_apart"
    IDLE_PINGS_APART = "receives.idle_pings_apart"
    SENDS_IDLE = "sends.idle_timeout"
    SENDS_REQUESTS = "sends.requests"
    SENDS_KEEPALIVE = "sends.tcp_keepalive"
    RESPONSE = "sends.response_timeout"
    PING = "sends.ping"
    IDLE_PING = "sends.idle_ping"
    FLOW = "idle_timeout"
    """Of a hop that passes packets on: it forgets a connection that says nothing for that long."""


COUNTED = frozenset({Aspect.RECEIVES_REQUESTS, Aspect.SENDS_REQUESTS})
HTTP2_ALONE = frozenset({Aspect.GRACE, Aspect.PINGS_APART, Aspect.IDLE_PINGS_APART, Aspect.PING, Aspect.IDLE_PING})
"""What means nothing over HTTP/1.1."""


class Origin(StrEnum):
    """Where the value of a setting is from."""

    DECLARED = "declared"
    READ = "read"
    DEFAULT = "default"


class Verified(StrEnum):
    """How a default was checked."""

    EXPERIMENT = "experiment"
    SOURCE = "source"
    RECALLED = "recalled"
    """From memory: look it up before it is relied on."""


def seconds(text: str) -> float | None:
    """Return a time such as 90s, 1.5m or 500ms in seconds, None for 'never'. Raises ValueError for anything else.

    >>> seconds("90"), seconds("10m"), seconds("250ms"), seconds("never")
    (90.0, 600.0, 0.25, None)
    """
    if text in {NEVER, "off"}:
        return None
    found = _TIME.fullmatch(text)
    time_s = float(found[1]) * _UNITS_S[found[2] or "s"] if found else _LONGEST_S + 1
    if time_s > _LONGEST_S:
        raise ValueError(f"{text!r} is no time up to a year, such as 500ms, 60s, 10m, 2h or never")
    return time_s


def time_text(value_s: float | None) -> str:
    """Return seconds as they are written.

    >>> time_text(90), time_text(0.25), time_text(None)
    ('90 s', '0.25 s', 'never')
    """
    return NEVER if value_s is None else f"{value_s:.10g} s"


def _time(value: object) -> str:
    if value is None:
        raise ValueError("a time is missing here")
    # YAML knows `off` as a boolean.
    text = NEVER if value is False else str(value).strip()
    seconds(text)
    return text


def _period(value: object) -> str:
    text = _time(value)
    if seconds(text) == 0:
        raise ValueError("this comes after more than 0 s; write never where there is none")
    return text


def _count(value: object) -> str:
    text = str(value).strip()
    if text != NEVER and (not _COUNT.fullmatch(text) or int(text) == 0):
        raise ValueError(f"{value!r} is no number of requests and not {NEVER!r}")
    return text


def _words(value: object) -> str:
    if not isinstance(value, str) or not value.split():
        raise ValueError("a name belongs here; quote it where YAML reads it as something else")
    return " ".join(value.split())


def _version(value: object) -> object:
    if str(value) != str(CHAIN_FORMAT_VERSION):
        raise ValueError(f"this tcptune reads format version {CHAIN_FORMAT_VERSION}, not {value}")
    return CHAIN_FORMAT_VERSION


def _layer(value: object) -> object:
    if str(value) not in {"4", "7"}:
        raise ValueError(f"layer is 4, which passes packets on, or 7, which speaks HTTP; not {value}")
    return int(str(value))


_TIME_SCHEMA = WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}, {"const": False}]})
_NAME_SCHEMA = WithJsonSchema({"type": "string", "minLength": 1})
Time = Annotated[str | None, BeforeValidator(_time), _TIME_SCHEMA]
"""A time as it was written; `seconds` gives its seconds. None where it is left out."""
Period = Annotated[str | None, BeforeValidator(_period), _TIME_SCHEMA]
"""A time above zero."""
Requests = Annotated[str | None, BeforeValidator(_count), WithJsonSchema({"type": ["integer", "string"], "minimum": 1})]
Name = Annotated[str, BeforeValidator(_words), _NAME_SCHEMA]
Word = Annotated[str | None, BeforeValidator(_words), _NAME_SCHEMA]
Http2Spoken = Annotated[bool | None, Field(strict=True)]
Version = Annotated[Literal[1], BeforeValidator(_version), WithJsonSchema({"enum": [1, "1"]})]
Layer = Literal[4, 7]
Side = Literal["receives", "sends"]
"""As the server of the hop before, or as the client of the next."""


class Receives(Frozen):
    """A hop as the server of the hop before it."""

    idle_timeout: Time = Field(
        default=None, description="Closes a connection on which no request came for that long; 0: after each answer."
    )
    requests: Requests = Field(default=None, description="Closes a connection after so many requests.")
    tcp_keepalive: Period = Field(default=None, description="Sends its first TCP keepalive probe after that long.")
    answer_within: Time = Field(default=None, description="The longest that it takes to answer.")
    http2: Http2Spoken = Field(default=None, description="Whether the hop before it speaks HTTP/2 to it, as gRPC does.")
    max_age: Period = Field(default=None, description="Closes a connection after that long, however busy it is.")
    age_grace: Time = Field(
        default=None,
        description="HTTP/2: cuts requests that are still open so long after max_age; never: they may end.",
    )
    pings_apart: Time = Field(
        default=None, description="HTTP/2: PINGs that come sooner one after another end the connection."
    )
    idle_pings_apart: Time = Field(default=None, description="HTTP/2: the same while no request is open.")


class Sends(Frozen):
    """A hop as the client of the hop behind it."""

    reuse: bool | None = Field(default=None, description="Whether it sends several requests over a connection.")
    idle_timeout: Time = Field(default=None, description="Closes a connection that it did not use for that long.")
    requests: Requests = Field(default=None, description="Sends at most so many requests over a connection.")
    tcp_keepalive: Period = Field(default=None, description="Sends its first TCP keepalive probe after that long.")
    response_timeout: Time = Field(default=None, description="Gives up where nothing of an answer comes for that long.")
    http2: Http2Spoken = Field(default=None, description="Whether it speaks HTTP/2 to the next hop, as gRPC does.")
    ping: Period = Field(default=None, description="HTTP/2: sends a PING that often while a request is open.")
    idle_ping: Period = Field(default=None, description="HTTP/2: sends a PING that often while no request is open.")


def _at_layer_4(hop: HopFile) -> HopFile:
    if hop.layer == 4 and (hop.receives or hop.sends or hop.upstream):
        raise ValueError("a hop of layer 4 has an idle_timeout alone: it neither receives nor sends requests")
    return hop


class HopFile(Frozen):
    """One hop as a chain file has it."""

    name: Name
    product: Word = Field(default=None, description="What it is: fills in what the file leaves out.")
    layer: Annotated[Layer | None, BeforeValidator(_layer), WithJsonSchema({"enum": [4, 7, "4", "7"]})] = Field(
        default=None, description="4: passes packets on. 7: speaks HTTP. Default: the product's, else 7."
    )
    idle_timeout: Time = Field(
        default=None, description="Layer 4: forgets a silent connection after that long. Layer 7: of both its sides."
    )
    receives: Receives | None = None
    sends: Sends | None = None
    upstream: Word = Field(default=None, description="Of its configuration, only what goes to this upstream counts.")


def _distinct(hops: tuple[HopFile, ...]) -> tuple[HopFile, ...]:
    names = [hop.name for hop in hops]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"a name stands for one hop: {', '.join(twice)} for several")
    return hops


class ChainFile(Frozen):
    """A chain file, in the order in which a request goes through it."""

    format_version: Version = CHAIN_FORMAT_VERSION
    chain: Name = Field(description="What the chain is called.")
    hops: Annotated[
        tuple[Annotated[HopFile, AfterValidator(_at_layer_4)], ...],
        Field(min_length=2, max_length=50),
        AfterValidator(_distinct),
    ]


class Known(Frozen):
    """A setting of a hop."""

    value: float | None
    """Seconds, or a number of requests; None where there is no limit."""
    origin: Origin
    said: str
    """Who says so: 'chain.yml:9', 'nginx.conf:31', or the source of a default."""


class Http2(Frozen):
    """What a product does where it speaks HTTP/2, beside its defaults."""

    defaults: dict[Aspect, str] = {}
    """What differs, and what there is over HTTP/2 alone."""
    knobs: dict[Aspect, str] = {}
    source: str
    verified: Verified


class Product(Frozen):
    """What is known of a product: its defaults, and where they are changed."""

    product: str
    title: str
    layer: Layer = 7
    defaults: dict[Aspect, str] = {}
    reuse: bool = True
    """Whether it reuses connections to the next hop where nobody says otherwise."""
    knobs: dict[Aspect, str] = {}
    """What a setting is called there."""
    fixed: tuple[Aspect, ...] = ()
    """What nobody can change."""
    together: tuple[Aspect, ...] = ()
    """What one setting of it sets at once."""
    unknown: dict[Aspect, str] = {}
    """Setting -> why it has no value that could be compared."""
    effect: str = ""
    """Of layer 4: what becomes of a connection that it has forgotten."""
    notes: tuple[str, ...] = ()
    http2: Http2 | None = None
    """None where it is not known how it treats an HTTP/2 connection: the other defaults are no answer then."""
    only_http2: tuple[Side, ...] = ()
    """Where it speaks nothing else: its defaults there are of HTTP/2."""
    source: str
    verified: Verified


class Route(Frozen):
    """What a configuration says of one way through a proxy."""

    name: str
    upstream: str | None
    """Name of the upstream, or the address itself; None where it is only known once a request is there."""
    settings: dict[Aspect, Known]
    reuse: bool
    reuse_why: str
    """Why connections to the upstream are reused, or are not."""
    unknown: dict[Aspect, str] = {}
    """Setting -> why the configuration alone does not tell it. A default is no answer there."""
    remarks: tuple[str, ...] = ()
    """What was read and does less than it seems to."""


class Configuration(Frozen):
    """What a proxy's configuration says."""

    product: str
    origin: str
    routes: tuple[Route, ...]
    notes: tuple[str, ...] = ()


class Hop(Frozen):
    """One hop with all that is known of it."""

    name: str
    product: str | None = None
    title: str = ""
    layer: Layer = 7
    settings: dict[Aspect, Known] = {}
    reuse: bool | None = None
    reuse_why: str = ""
    receives_http2: bool | None = None
    """Whether the hop before speaks HTTP/2 to it. None where the file does not say."""
    sends_http2: bool | None = None
    knobs: dict[Aspect, str] = {}
    fixed: tuple[Aspect, ...] = ()
    together: tuple[Aspect, ...] = ()
    unknown: dict[Aspect, str] = {}
    effect: str = ""
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    upstream: str | None = None

    def knob(self, aspect: Aspect) -> str:
        """Return what a setting is called at this hop."""
        return self.knobs.get(aspect, aspect.value)

    def http2(self, side: Side) -> bool | None:
        """Return whether it speaks HTTP/2 on a side, None where that is not said."""
        return self.receives_http2 if side == "receives" else self.sends_http2


class Chain(Frozen):
    """A chain of hops, in the order in which a request goes through it."""

    name: str
    origin: str
    hops: tuple[Hop, ...]


class ProductList(Frozen):
    """The products whose defaults are known."""

    tcptune: Literal["products"] = "products"
    format_version: Literal[1] = CHAIN_FORMAT_VERSION
    products: tuple[Product, ...]
