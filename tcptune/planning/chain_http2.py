"""Hops that speak HTTP/2, as gRPC does: which do, and the rules that only they have. Pure.

Before a server closes an HTTP/2 connection it should say GOAWAY, and which request was its last: what came later it has
not seen, and may be sent again (RFC 9113, 6.8). So a client that honours that loses nothing by the race of an idle one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tcptune.domain.chain import HTTP2_ALONE, Aspect, Hop, Product, Side, time_text
from tcptune.domain.chain_verdicts import Broken, Fine, Judged, NotJudged, Rule
from tcptune.domain.concerns import Severity
from tcptune.planning.chain_values import LEAST_MARGIN_S, evident, gap, limit, margin, remedy

_SIDES: tuple[Side, Side] = ("receives", "sends")
_PINGS = (
    (Aspect.PING, Aspect.PINGS_APART, "while a request is open"),
    (Aspect.IDLE_PING, Aspect.IDLE_PINGS_APART, "while none is open"),
)


def spoken(hops: Sequence[Hop], products: Mapping[str, Product]) -> tuple[Hop, ...]:
    """Return hops that know of each of their sides whether it speaks HTTP/2: if one of two says so, both do."""
    sides = [{f"{side}_http2": _says(hop, side, products) for side in _SIDES} for hop in hops]
    for before, after in _talking(hops):
        both = True in {sides[before]["sends_http2"], sides[after]["receives_http2"]}
        sides[before]["sends_http2"] = sides[after]["receives_http2"] = both
    return tuple(hop.model_copy(update=said) for hop, said in zip(hops, sides, strict=True))


def nonsense(hops: Sequence[Hop], products: Mapping[str, Product]) -> Iterator[tuple[int, tuple[str, str], str]]:
    """Yield what cannot be: at which hop, at which of its keys, such as ('sends', 'http2'), and why."""
    for before, after in _talking(hops):
        one, other = hops[before], hops[after]
        sends, receives = _says(one, "sends", products), _says(other, "receives", products)
        if {sends, receives} == {True, False}:
            why = f"{one.name} speaks {_protocol(sends)} to {other.name}, which takes {_protocol(receives)}"
            yield (
                (before, ("sends", "http2"), why)
                if one.sends_http2 is not None
                else (
                    after,
                    ("receives", "http2"),
                    why,
                )
            )
    for at, hop in enumerate(hops):
        product = products.get(hop.product or "")
        for side in product.only_http2 if product is not None else ():
            if hop.http2(side) is False:
                yield at, (side, "http2"), f"{hop.product} speaks HTTP/2 alone there"
    for at, hop in enumerate(spoken(hops, products)):
        for aspect in sorted(HTTP2_ALONE & hop.settings.keys()):
            side = _SIDES[aspect.startswith("sends.")]
            if not hop.http2(side):
                why = f"{aspect} is of HTTP/2, which {hop.name} does not speak there"
                yield at, (side, aspect.removeprefix(f"{side}.")), why


def _talking(hops: Sequence[Hop]) -> Iterator[tuple[int, int]]:
    """Yield the places of two hops that speak HTTP to each other."""
    return pairwise(at for at, hop in enumerate(hops) if hop.layer == 7)


def _protocol(http2: bool | None) -> str:
    return "HTTP/2" if http2 else "HTTP/1.1"


def _says(hop: Hop, side: Side, products: Mapping[str, Product]) -> bool | None:
    said, product = hop.http2(side), products.get(hop.product or "")
    return True if said is None and product is not None and side in product.only_http2 else said


def idle_end(broken: Broken, receiver: Hop) -> Broken:
    """Return what the race of an idle connection is worth over HTTP/2: advice, for a client that honours GOAWAY."""
    return broken.model_copy(
        update={
            "severity": Severity.ADVICE,
            "effect": f"{receiver.name} has to say GOAWAY before it closes; a client that does not honour that, or "
            "does not send again what was not seen, fails with UNAVAILABLE, EOF or a reset",
            "otherwise": "no kernel setting helps; a client that sends what GOAWAY leaves out again loses nothing",
        }
    )


def aged(requester: Hop, receiver: Hop, behind: Sequence[Hop]) -> Iterator[Judged]:
    """Judge what becomes of requests that are open when a connection has reached its age, where all that is known."""
    age, grace = receiver.settings.get(Aspect.AGE), receiver.settings.get(Aspect.GRACE)
    if age is None or age.value is None or grace is None:
        return
    said = f"{receiver.name} says GOAWAY after {time_text(age.value)}, and requests run on"
    if grace.value is None:
        yield Fine(rule=Rule.AGE, what=f"{said} to their end")
        return
    answers = [hop for hop in behind if Aspect.ANSWER in hop.settings]
    waits = requester.settings.get(Aspect.RESPONSE)
    if not answers and (waits is None or waits.value is None):
        return
    needs = max((limit(hop.settings[Aspect.ANSWER]) for hop in answers), default=math.inf)
    longest = min(needs, limit(waits))
    if longest <= grace.value:
        yield Fine(rule=Rule.AGE, what=f"{said} for {time_text(grace.value)}: none takes more than {_long(longest)}")
        return
    raised = [] if longest == math.inf else [remedy(receiver, Aspect.GRACE, longest + margin(longest))]
    yield Broken(
        rule=Rule.AGE,
        severity=Severity.HARM,
        what=f"{said} for {time_text(grace.value)} only: one may take {_long(longest)}",
        effect="what is still open then is cut: UNAVAILABLE, RST_STREAM or EOF in the middle of an answer",
        evidence=(
            evident(receiver, Aspect.AGE),
            evident(receiver, Aspect.GRACE),
            *(evident(hop, Aspect.ANSWER) for hop in answers),
            evident(requester, Aspect.RESPONSE),
        ),
        causes=("eof.truncated_response",),
        remedies=() if Aspect.GRACE in receiver.fixed else tuple(raised),
        otherwise="a client that opens a long stream again; a shorter deadline",
    )


def pinged(requester: Hop, receiver: Hop, forgets_s: float | None) -> Iterator[Judged]:
    """Judge whether PINGs come more often than they are permitted. `forgets_s`: what is between forgets after that."""
    for sends, permits, when in _PINGS:
        ping = requester.settings.get(sends)
        if ping is None or ping.value is None:
            continue
        every = f"{requester.name} sends a PING every {time_text(ping.value)} {when}"
        if sends is Aspect.IDLE_PING and _kept_s(requester, receiver) <= ping.value:
            yield Fine(rule=Rule.PINGS, what=f"{every}: its connections are closed before")
            continue
        apart = receiver.settings.get(permits)
        if apart is None:
            yield NotJudged(rule=Rule.PINGS, why=f"{every}; {gap(receiver, permits)}")
        elif ping.value >= limit(apart):
            yield Fine(rule=Rule.PINGS, what=f"{every}, {receiver.name} permits one in {_long(limit(apart))}")
        else:
            yield _too_many(requester, receiver, (sends, permits), every, forgets_s)


def _too_many(
    requester: Hop, receiver: Hop, aspects: tuple[Aspect, Aspect], every: str, forgets_s: float | None
) -> Broken:
    sends, permits = aspects
    often_s, apart_s = limit(requester.settings[sends]), limit(receiver.settings[permits])
    rarer = [] if sends in requester.fixed or apart_s == math.inf else [remedy(requester, sends, apart_s)]
    more = [] if permits in receiver.fixed else [remedy(receiver, permits, often_s)]
    # Where the PINGs keep a connection from being forgotten, fewer of them break that.
    needed = forgets_s is not None and forgets_s < apart_s + LEAST_MARGIN_S
    permitted = f"permits one in {time_text(apart_s)}" if apart_s < math.inf else "permits none"
    return Broken(
        rule=Rule.PINGS,
        severity=Severity.HARM,
        what=f"{every}, and {receiver.name} {permitted}",
        effect="after a few, GOAWAY with ENHANCE_YOUR_CALM, too_many_pings: every request of that connection fails",
        evidence=(evident(requester, sends), evident(receiver, permits)),
        causes=(),
        remedies=(*more, *rarer) if needed else (*rarer, *more),
        otherwise="TCP keepalive, which no server counts",
    )


def passes(requester: Hop, aspect: Aspect, forgets_s: float) -> bool:
    """Say whether PINGs of HTTP/2 keep what is between from forgetting: they are payload there."""
    return bool(requester.sends_http2) and limit(requester.settings.get(aspect)) + LEAST_MARGIN_S <= forgets_s


def _kept_s(requester: Hop, receiver: Hop) -> float:
    keeps, closes = requester.settings.get(Aspect.SENDS_IDLE), receiver.settings.get(Aspect.RECEIVES_IDLE)
    return min(limit(keeps), limit(closes))


def _long(time_s: float) -> str:
    return "for ever" if time_s == math.inf else time_text(time_s)
