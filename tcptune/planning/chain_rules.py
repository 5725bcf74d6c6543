"""The rules for two hops that talk to each other. Pure: every number that is compared is in the evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from tcptune.domain.chain import Aspect, Hop, Known, time_text
from tcptune.domain.chain_verdicts import Broken, Fine, Judged, KnobChange, NotJudged, Rule
from tcptune.domain.concerns import Severity
from tcptune.planning.chain_http2 import aged, idle_end, passes, pinged
from tcptune.planning.chain_values import LEAST_MARGIN_S, evident, gap, limit, margin, remedy, span

_FEW_REQUESTS = 1000
_SHORT_S = 10.0
"""Below that an idle timeout costs so many new connections that the other side is better changed."""
_KEEPALIVES = (Aspect.SENDS_KEEPALIVE, Aspect.RECEIVES_KEEPALIVE)


def judged(requester: Hop, receiver: Hop, between: Sequence[Hop], behind: Sequence[Hop]) -> tuple[Judged, ...]:
    """Return what each rule makes of two hops.

    `between`: the hops of layer 4 that pass their packets on; `behind`: the receiver and what it asks in turn.
    """
    return tuple(
        one
        for rule in (
            _idle(requester, receiver, between),
            _flow(requester, receiver, between),
            _answer(requester, receiver, behind),
            _requests(requester, receiver),
            _remarks(requester),
            aged(requester, receiver, behind) if requester.sends_http2 else (),
            pinged(requester, receiver, _forgets(between)) if requester.sends_http2 else (),
        )
        for one in rule
    )


def _idle(requester: Hop, receiver: Hop, between: Sequence[Hop]) -> Iterator[Judged]:
    if requester.reuse is False:
        why = f": {requester.reuse_why}" if requester.reuse_why else ""
        yield Fine(rule=Rule.IDLE, what=f"{requester.name} opens a connection for each request{why}")
        return
    keeps, closes = requester.settings.get(Aspect.SENDS_IDLE), receiver.settings.get(Aspect.RECEIVES_IDLE)
    if _closes_at_once(receiver):
        yield Fine(rule=Rule.IDLE, what=f"{receiver.name} closes after each answer, so that nothing is reused")
        return
    if closes is not None and closes.value is None:
        yield Fine(rule=Rule.IDLE, what=f"{receiver.name} never closes an idle connection")
        return
    if keeps is None or closes is None:
        gaps = [(requester, Aspect.SENDS_IDLE)] if keeps is None else []
        gaps += [(receiver, Aspect.RECEIVES_IDLE)] if closes is None else []
        yield NotJudged(rule=Rule.IDLE, why="; ".join(gap(hop, aspect) for hop, aspect in gaps))
        return
    assert closes.value is not None  # noqa: S101  # told above
    said = f"{requester.name} keeps an idle connection {span(keeps)}, {receiver.name} closes it after"
    if keeps.value is not None and keeps.value + LEAST_MARGIN_S <= closes.value:
        yield Fine(rule=Rule.IDLE, what=f"{said} {time_text(closes.value)}")
        return
    thin = keeps.value is not None and keeps.value < closes.value
    race = Broken(
        rule=Rule.IDLE,
        severity=Severity.HARM,
        what=f"{said} {time_text(closes.value)}" + (": less than a second apart" if thin else ""),
        effect=f"a request that {requester.name} sends at that moment meets a closed connection: reset, EOF, or 502",
        evidence=(
            evident(requester, Aspect.SENDS_IDLE),
            evident(receiver, Aspect.RECEIVES_IDLE),
            *_useless_probes(requester, receiver, closes.value),
        ),
        causes=("reset.keepalive_race", "reset.write_after_peer_close", "eof.idle_reuse"),
        remedies=_closes_first(requester, receiver, between),
        otherwise="no kernel setting helps; where neither side can be changed, send requests that may be repeated once "
        "more over a new connection",
    )
    yield idle_end(race, receiver) if requester.sends_http2 else race


def _closes_first(requester: Hop, receiver: Hop, between: Sequence[Hop]) -> tuple[KnobChange, ...]:
    keeps, closes = requester.settings[Aspect.SENDS_IDLE].value, receiver.settings[Aspect.RECEIVES_IDLE].value
    assert closes is not None  # noqa: S101  # the caller looked
    # What forgets the connection on the way bounds both, where no keepalive probe comes before.
    forgets = _forgets(between)
    bare = math.inf if forgets is None or _probed(requester, receiver, forgets) else forgets
    lower, higher = None, None
    bound = min(closes, bare)
    if Aspect.SENDS_IDLE not in requester.fixed and bound > LEAST_MARGIN_S:
        lower = remedy(requester, Aspect.SENDS_IDLE, bound - margin(bound))
    if Aspect.RECEIVES_IDLE not in receiver.fixed and keeps is not None and keeps + LEAST_MARGIN_S <= bare:
        higher = remedy(receiver, Aspect.RECEIVES_IDLE, keeps + margin(keeps))
    short = bound - margin(bound) < _SHORT_S
    return tuple(one for one in ((higher, lower) if short else (lower, higher)) if one is not None)


def _useless_probes(requester: Hop, receiver: Hop, closes_s: float) -> Iterator[str]:
    for hop, aspect in zip((requester, receiver), _KEEPALIVES, strict=True):
        probes = hop.settings.get(aspect)
        if probes is not None and probes.value is not None and probes.value < closes_s:
            yield (
                f"{hop.name}'s TCP keepalive of {time_text(probes.value)} does not help: a probe carries no payload "
                "and resets no timer of HTTP"
            )


def _flow(requester: Hop, receiver: Hop, between: Sequence[Hop]) -> Iterator[Judged]:
    if not between:
        return
    for hop in between:
        if Aspect.FLOW not in hop.settings:
            yield NotJudged(rule=Rule.FLOW, why=gap(hop, Aspect.FLOW))
    forgets = _forgets(between)
    if forgets is None:
        return
    hop = min((hop for hop in between if Aspect.FLOW in hop.settings), key=_forgets_after)
    if _probed(requester, receiver, forgets):
        yield Fine(rule=Rule.FLOW, what=f"keepalive probes come before {hop.name} forgets, after {time_text(forgets)}")
        return
    yield from _silent(requester, receiver, hop, forgets)
    yield from _slow_answer(requester, receiver, hop, forgets)


def _silent(requester: Hop, receiver: Hop, hop: Hop, forgets_s: float) -> Iterator[Judged]:
    """Judge connections that wait for the next request."""
    keeps, closes = requester.settings.get(Aspect.SENDS_IDLE), receiver.settings.get(Aspect.RECEIVES_IDLE)
    reused = requester.reuse is not False and not _closes_at_once(receiver)
    idle_s = 0.0 if not reused else min(limit(keeps), limit(closes))
    if reused and passes(requester, Aspect.IDLE_PING, forgets_s):
        yield Fine(rule=Rule.FLOW, what=f"HTTP/2 PINGs come before {hop.name} forgets, after {time_text(forgets_s)}")
        return
    if idle_s + LEAST_MARGIN_S <= forgets_s:
        yield Fine(
            rule=Rule.FLOW, what=f"no connection is idle for the {time_text(forgets_s)} after which {hop.name} forgets"
        )
        return
    gaps = [
        gap(side, aspect)
        for side, aspect in zip((requester, receiver), _KEEPALIVES, strict=True)
        if aspect not in side.settings
    ]
    gaps += [
        gap(side, aspect)
        for side, aspect in ((requester, Aspect.SENDS_IDLE), (receiver, Aspect.RECEIVES_IDLE))
        if aspect not in side.settings
    ]
    if gaps:
        yield NotJudged(rule=Rule.FLOW, why=f"{hop.name} forgets after {time_text(forgets_s)}: {'; '.join(gaps)}")
        return
    lower = [remedy(requester, Aspect.SENDS_IDLE, forgets_s - margin(forgets_s))]
    if Aspect.SENDS_IDLE in requester.fixed or forgets_s <= LEAST_MARGIN_S:
        lower = []
    # A probe may get lost: two of them fit.
    probe = remedy(requester, Aspect.SENDS_KEEPALIVE, float(max(1, int(forgets_s / 2.5))))
    longer = (
        [] if Aspect.FLOW in hop.fixed or idle_s == math.inf else [remedy(hop, Aspect.FLOW, idle_s + margin(idle_s))]
    )
    probes = [] if Aspect.SENDS_KEEPALIVE in requester.fixed else [probe]
    yield Broken(
        rule=Rule.FLOW,
        severity=Severity.HARM,
        what=f"{hop.name} forgets a silent connection after {time_text(forgets_s)}, and it is kept {_kept(idle_s)}",
        effect=hop.effect or "the next segment is dropped in silence or answered with a reset",
        evidence=(
            evident(hop, Aspect.FLOW),
            evident(requester, Aspect.SENDS_IDLE),
            evident(receiver, Aspect.RECEIVES_IDLE),
            evident(requester, Aspect.SENDS_KEEPALIVE),
            evident(receiver, Aspect.RECEIVES_KEEPALIVE),
        ),
        causes=("reset.l4_idle_middlebox",),
        remedies=(*lower, *probes, *longer),
        otherwise="a heartbeat of the application",
    )


def _slow_answer(requester: Hop, receiver: Hop, hop: Hop, forgets_s: float) -> Iterator[Judged]:
    """Judge connections that wait for an answer: those are silent, too."""
    waits, answers = requester.settings.get(Aspect.RESPONSE), receiver.settings.get(Aspect.ANSWER)
    if answers is None or min(limit(waits), limit(answers)) + LEAST_MARGIN_S <= forgets_s:
        return
    if passes(requester, Aspect.PING, forgets_s):
        return
    yield Broken(
        rule=Rule.FLOW,
        severity=Severity.HARM,
        what=f"{hop.name} forgets a silent connection after {time_text(forgets_s)}, and {receiver.name} may take "
        f"{span(answers)} to answer",
        effect=hop.effect or "the answer never arrives",
        evidence=(evident(hop, Aspect.FLOW), evident(receiver, Aspect.ANSWER), evident(requester, Aspect.RESPONSE)),
        causes=("reset.l4_idle_middlebox",),
        remedies=(remedy(requester, Aspect.SENDS_KEEPALIVE, float(max(1, int(forgets_s / 2.5)))),),
        otherwise="send the first bytes of the answer early, or make the work asynchronous",
    )


def _answer(requester: Hop, receiver: Hop, behind: Sequence[Hop]) -> Iterator[Judged]:
    waits = requester.settings.get(Aspect.RESPONSE)
    if waits is None:
        return
    slowest = max(
        (hop for hop in behind if Aspect.ANSWER in hop.settings),
        key=lambda hop: limit(hop.settings[Aspect.ANSWER]),
        default=None,
    )
    if slowest is not None:
        needs = slowest.settings[Aspect.ANSWER]
        if limit(waits) > limit(needs) or waits.value is None:
            yield Fine(
                rule=Rule.ANSWER,
                what=f"{requester.name} waits {span(waits)} for an answer, {slowest.name} takes {span(needs)} at most",
            )
            return
        raised = () if needs.value is None else (remedy(requester, Aspect.RESPONSE, needs.value + margin(needs.value)),)
        yield Broken(
            rule=Rule.ANSWER,
            severity=Severity.HARM,
            what=f"{requester.name} gives up after {span(waits)}, and {slowest.name} may take {span(needs)} to answer",
            effect="504 or a timeout for requests that would be answered, and 499 or EOF behind it",
            evidence=(evident(requester, Aspect.RESPONSE), evident(slowest, Aspect.ANSWER)),
            causes=("proxy.timeout", "eof.client_gone_reading_body"),
            remedies=() if Aspect.RESPONSE in requester.fixed else raised,
            otherwise="make the work asynchronous, or stream early bytes",
        )
        return
    inner = receiver.settings.get(Aspect.RESPONSE)
    if inner is None:
        return
    said = f"{requester.name} {_gives_up(waits)}, {receiver.name} {_gives_up(inner)}"
    if waits.value is None or limit(waits) > limit(inner):
        yield Fine(rule=Rule.ANSWER, what=said)
        return
    yield Broken(
        rule=Rule.ANSWER,
        severity=Severity.ADVICE,
        what=said,
        effect=f"{receiver.name} works on for nobody, and the error is told by the side that knows least of it",
        evidence=(evident(requester, Aspect.RESPONSE), evident(receiver, Aspect.RESPONSE)),
        causes=("proxy.timeout",),
        remedies=_answers_first(requester, receiver, waits.value, inner.value),
    )


def _answers_first(requester: Hop, receiver: Hop, waits_s: float, inner_s: float | None) -> tuple[KnobChange, ...]:
    found = []
    if Aspect.RESPONSE not in receiver.fixed and waits_s > LEAST_MARGIN_S:
        found.append(remedy(receiver, Aspect.RESPONSE, waits_s - margin(waits_s)))
    if Aspect.RESPONSE not in requester.fixed and inner_s is not None:
        found.append(remedy(requester, Aspect.RESPONSE, inner_s + margin(inner_s)))
    return tuple(found)


def _requests(requester: Hop, receiver: Hop) -> Iterator[Judged]:
    most = receiver.settings.get(Aspect.RECEIVES_REQUESTS)
    if requester.reuse is False or most is None or most.value is None or _closes_at_once(receiver):
        return
    own = requester.settings.get(Aspect.SENDS_REQUESTS)
    said = f"{receiver.name} closes a connection after {most.value:g} requests"
    if (own is not None and own.value is not None and own.value <= most.value) or most.value >= _FEW_REQUESTS:
        yield Fine(rule=Rule.REQUESTS, what=said)
        return
    remedies = [] if Aspect.RECEIVES_REQUESTS in receiver.fixed else [remedy(receiver, Aspect.RECEIVES_REQUESTS, 1000)]
    yield Broken(
        rule=Rule.REQUESTS,
        severity=Severity.ADVICE,
        what=f"{said}, and {requester.name} counts on it for longer",
        effect="GOAWAY and a new connection so often, the sooner the more requests share one"
        if requester.sends_http2
        else "a new connection so often; a reset for a client that pipelines or ignores Connection: close",
        evidence=(evident(receiver, Aspect.RECEIVES_REQUESTS), evident(requester, Aspect.SENDS_REQUESTS)),
        causes=("reset.keepalive_requests",),
        remedies=tuple(remedies),
    )


def _remarks(requester: Hop) -> Iterator[Judged]:
    for remark in requester.remarks:
        yield Broken(
            rule=Rule.REUSE,
            severity=Severity.ADVICE,
            what=remark,
            effect="a connection for each request: many in TIME_WAIT, and in the end no local port",
            evidence=(requester.reuse_why or remark,),
            causes=("state.time_wait_many", "port_exhaustion"),
            remedies=(),
        )


def _forgets(between: Sequence[Hop]) -> float | None:
    """Return after how many seconds the first of these hops forgets; None where that is known of none."""
    known = [_forgets_after(hop) for hop in between if Aspect.FLOW in hop.settings]
    return None if not known or min(known) == math.inf else min(known)


def _forgets_after(hop: Hop) -> float:
    return limit(hop.settings[Aspect.FLOW])


def _probed(requester: Hop, receiver: Hop, forgets_s: float) -> bool:
    periods = [limit(hop.settings.get(aspect)) for hop, aspect in zip((requester, receiver), _KEEPALIVES, strict=True)]
    return min(periods) + LEAST_MARGIN_S <= forgets_s


def _closes_at_once(receiver: Hop) -> bool:
    """Say whether a hop answers one request on each connection: the first counts, so that one is as good as none."""
    closes, most = receiver.settings.get(Aspect.RECEIVES_IDLE), receiver.settings.get(Aspect.RECEIVES_REQUESTS)
    return (closes is not None and closes.value == 0) or (most is not None and most.value in {0, 1})


def _gives_up(known: Known) -> str:
    return "never gives up" if known.value is None else f"gives up after {time_text(known.value)}"


def _kept(time_s: float) -> str:
    return "for ever" if time_s == math.inf else time_text(time_s)
