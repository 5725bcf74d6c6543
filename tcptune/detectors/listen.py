"""Listeners: queues that overflow, and why they are as short as they are.

A full queue has one of two roots. Where it stands in both samples, and who waits has waited for long, accept() does not
keep up. Where it does not, bursts are longer than the queue, and the question is who made it so short: the program, or
somaxconn when it called listen().
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tcptune.detectors.case import Case, NotKnown, Seen, power_of_two
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.state import Listener
from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.surroundings import program

SOMAXCONN = "net.core.somaxconn"
ABORT = "net.ipv4.tcp_abort_on_overflow"
OVERFLOWS = "TcpExt.ListenOverflows"
NOBODY = "listener"
"""What a listener goes by whose process was not seen."""
EMBRYONIC = "TcpExt.EmbryonicRsts"
_MOST = 65535
_LEAST = 16
"""Nobody sets somaxconn lower; programs ask for less."""


@dataclass(frozen=True)
class _Elder:
    """An older program whose queue is longer: somaxconn allowed as much before the suspect called listen()."""

    process: str
    backlog: int


@dataclass(frozen=True)
class _Suspect:
    """A listener whose queue is full, or that alone can be the one."""

    listener: Listener
    process: str
    backlog: int
    stays: bool
    """It stands in both samples: accept() does not keep up."""
    full: bool
    """It is full in one sample at least, or stays."""
    waits_s: float | None
    """How long somebody has waited at least, 0 where nobody waits any more; None where that was not told."""
    elder: _Elder | None = None

    @property
    def name(self) -> str:
        return f"{self.process or NOBODY} on {self.listener.address}:{self.listener.port}"


def judge(case: Case) -> Iterator[Seen]:
    """Name what overflows, whether the kernel resets then, and who made the queue so short."""
    overflows = case.rate(OVERFLOWS) >= case.bound("listen-overflows")
    yield from _reset(case, overflows=overflows)
    try:
        suspects = list(_suspects(case, overflows=overflows))
    except NotKnown:
        # The counter alone is sure; which listener it was is what is not known.
        if overflows:
            yield _overflow(case, None, None)
        raise
    if not suspects and overflows:
        yield _overflow(case, None, None)
    somaxconn = case.number(SOMAXCONN) if suspects else None
    for one in suspects:
        yield from _about(case, one, somaxconn, overflows=overflows)


def _reset(case: Case, *, overflows: bool) -> Iterator[Seen]:
    """Name the setting that makes full queues reset: sure where it did so in the window, possible before and after."""
    if case.text(ABORT) != "1":
        return
    # OutRsts tells nothing: programs and closed ports move it as well.
    resets = case.grown_if_counted(EMBRYONIC) > 0
    ever = (case.second.counters or {}).get(OVERFLOWS, 0)
    listeners = case.second.listeners.listeners if case.second.listeners else ()
    full = [one for one in listeners if _full(one)]
    if overflows and resets:
        because = "full queues and handshakes that end in a reset rise together"
    elif overflows:
        because = "queues overflow; those connections were dropped before the handshake ended, the next may be reset"
    elif full:
        because = f"the queue on port {full[0].port} is full, and the next handshake that ends is reset"
    elif ever:
        because = "queues have overflown since the network came up, and not within the window"
    else:
        return
    evidence = [case.setting(ABORT)]
    if overflows:
        evidence += [
            case.seen(OVERFLOWS, "listen-overflows"),
            *case.seen_if_counted(EMBRYONIC),
            case.seen("Tcp.OutRsts"),
        ]
    elif ever:
        unit = "since the network came up"
        evidence.append(Evidence(source=Source.COUNTER, name=OVERFLOWS, value=ever, unit=unit))
    evidence += [
        Evidence(
            source=Source.LISTENER,
            name=f"listener on {one.address}:{one.port}, waiting",
            value=one.queue,
            unit="connections",
            threshold=one.backlog,
        )
        for one in full[:1]
    ]
    yield Seen(
        cause="listen.abort_on_overflow",
        confidence=Confidence.HIGH if overflows and resets else Confidence.POSSIBLE,
        because=f"{ABORT} is 1; {because}",
        evidence=tuple(evidence),
        here={RemedyKind.SYSCTL: f"{ABORT} = 0: then a client's repeated segment finds the queue again"},
        settings=(
            Proposal(
                key=ABORT,
                operator=Operator.EXACTLY,
                value="0",
                actual="1",
                why="a full accept queue resets clients that would have been served a second later",
            ),
        ),
        ruled_out=("connect.cancelled_by_client",) if overflows and resets else (),
    )


def _suspects(case: Case, *, overflows: bool) -> Iterator[_Suspect]:
    """Yield the listeners that are full; where none is, the one that alone can have been."""
    # Workers that share a port have a queue each, and nothing tells which of two samples are the same.
    before: dict[tuple[str, int], Listener] = {}
    for one in sorted(case.listeners_before, key=lambda listener: listener.queue):
        before[one.address, one.port] = one
    found: dict[tuple[str, int], _Suspect] = {}
    for one in case.listeners.listeners:
        if one.backlog is None:
            raise NotKnown("queue limits of listeners were not read: ss is not there, or refuses")
        at = (one.address, one.port)
        samples = (one, before.get(at))
        waits_s = _waits_s(case, one)
        stays = _stays(case, samples, waits_s, overflows=overflows)
        full = stays or any(_full(sample) for sample in samples)
        suspect = _Suspect(one, _process(case, one), one.backlog, stays, full, waits_s)
        found[at] = max(found.get(at, suspect), suspect, key=lambda of: (of.stays, of.full, of.listener.queue))
    full_ones = [one for one in found.values() if one.full and (overflows or one.stays)]
    if full_ones or not overflows:
        yield from (replace(one, elder=_elder(case, one.listener)) for one in full_ones)
        return
    asked = [one for one in found.values() if not _few(one)]
    many = [one for one in asked if one.backlog < case.bound("queue-enough")] or asked
    if len(many) == 1:
        yield replace(many[0], elder=_elder(case, many[0].listener))


def _full(one: Listener | None) -> bool:
    # The kernel lets in one more than the limit.
    return one is not None and bool(one.backlog) and one.queue > (one.backlog or 0)


def _stays(case: Case, samples: tuple[Listener | None, ...], waits_s: float | None, *, overflows: bool) -> bool:
    """Say whether a queue stands. Bursts that come every second may be met twice by chance: then nobody waits for long.

    A queue that stands is not full at every moment. Each accept() makes room, until the next client has come: with five
    a second, and a hundred clients, one look of fifty meets that.
    """
    if waits_s is not None and waits_s < case.bound("accept-wait"):
        return False
    if waits_s is None or not overflows:
        return all(_full(sample) for sample in samples)
    part = case.bound("queue-stands") / 100
    return all(sample is not None and sample.queue > part * (sample.backlog or 0) for sample in samples)


def _waits_s(case: Case, one: Listener) -> float | None:
    """Return how long somebody has waited at least, 0 where nobody waits any more; None where that was not told."""
    sockets = case.second.sockets
    if sockets is None:
        return None
    here = [port for port in sockets.ports if port.port == one.port]
    told = [port.waiting_s for port in here if port.waiting_s is not None]
    # Sockets are looked at a moment after the listeners: a burst may be over by then, and a queue that stands is not.
    emptied = not sockets.unlisted and not any(port.unaccepted for port in here)
    return max(told, default=0.0 if emptied else None)


def _elder(case: Case, one: Listener) -> _Elder | None:
    """Return the older program with the longest queue, where that is longer than this one's.

    Of the processes that share a listener the oldest has called listen(). Sockets that systemd opens are as old as
    their unit, which nobody tells.
    """
    known = case.second.sockets.processes if case.second.sockets is not None else ()
    ages = {each.pid: each.age_s for each in known if each.age_s is not None and each.pid != 1}

    def age_s(listener: Listener) -> float:
        return max((ages[pid] for pid in listener.pids if pid in ages), default=0.0)

    if not age_s(one) or one.pids_left_out:
        return None
    longer = [other for other in case.listeners.listeners if (other.backlog or 0) > (one.backlog or 0)]
    elders = [_Elder(_process(case, other), other.backlog or 0) for other in longer if age_s(other) > age_s(one)]
    return max(elders, key=lambda elder: elder.backlog, default=None)


def _process(case: Case, one: Listener) -> str:
    return next((case.processes[pid].name for pid in one.pids if pid in case.processes), "")


def _few(one: _Suspect) -> bool:
    known = program(one.process)
    return known is not None and bool(known.few)


def _about(case: Case, one: _Suspect, somaxconn: int | None, *, overflows: bool) -> Iterator[Seen]:
    short = somaxconn is not None and one.backlog < min(somaxconn, case.bound("queue-enough"))
    captured = _captured(case, one, somaxconn)
    if captured is not None and captured.confidence is not Confidence.HIGH and short and overflows:
        # The kernel keeps no number that was asked for: only the program's configuration tells.
        small = _small(case, one, somaxconn or 0)
        yield small if one.elder else replace(small, confidence=Confidence.POSSIBLE)
        captured = replace(captured, confidence=Confidence.POSSIBLE) if one.elder else captured
    elif captured is None and short and overflows:
        yield _small(case, one, somaxconn or 0)
        if not _default(one) and one.backlog >= _LEAST:
            yield _perhaps_captured(case, one)
    if captured is not None:
        yield captured
    yield _overflow(case, one, somaxconn, counted=overflows)


def _captured(case: Case, one: _Suspect, somaxconn: int | None) -> Seen | None:
    """Return the cause where the queue is as long as somaxconn was, and somaxconn is more now."""
    if somaxconn is None or one.backlog >= somaxconn:
        return None
    before = case.number_before(SOMAXCONN)
    known = program(one.process)
    asked = known.backlogs if known is not None else ()
    fresh = catalogue()[SOMAXCONN].default(case.second.system.kernel)
    if before == one.backlog:
        sure, because = Confidence.HIGH, f"{SOMAXCONN} was {before} in the first sample, and the queue still is"
    elif one.backlog not in asked and asked and _LEAST <= one.backlog < min(asked):
        sure, because = Confidence.LIKELY, f"{one.process} asks for {min(asked)} by itself and got {one.backlog}"
    elif str(one.backlog) == fresh and one.backlog not in asked:
        sure, because = Confidence.LIKELY, f"the queue is as long as {SOMAXCONN} is on a fresh kernel"
    else:
        return None
    return Seen(
        cause="listen.somaxconn_captured",
        confidence=sure,
        because=because,
        evidence=(_queue(one), _limit(one), case.setting(SOMAXCONN)),
        about=one.name,
        here={RemedyKind.APP: f"restart {one.process or 'the program'}, so that it calls listen() again"},
        ruled_out=("listen.backlog_small_in_app",) if sure is Confidence.HIGH else (),
    )


def _perhaps_captured(case: Case, one: _Suspect) -> Seen:
    return Seen(
        cause="listen.somaxconn_captured",
        confidence=Confidence.POSSIBLE,
        because=f"{one.backlog} is no number that {one.process or 'the program'} is known to ask for by itself",
        evidence=(_queue(one), _limit(one), case.setting(SOMAXCONN)),
        about=one.name,
    )


def _default(one: _Suspect) -> bool:
    """Say whether the program asks for this by itself."""
    known = program(one.process)
    return known is not None and one.backlog in known.backlogs


def _small(case: Case, one: _Suspect, somaxconn: int) -> Seen:
    known, default = program(one.process), _default(one)
    knob = known.knob if known and known.knob else "the backlog it passes to listen(), then a restart"
    sure = Confidence.POSSIBLE if one.stays else Confidence.LIKELY
    because = f"its queue takes {one.backlog}, and {SOMAXCONN} would allow {somaxconn}"
    because += f"; {one.backlog} is what {one.process} asks for by itself" if default else ""
    if one.elder:
        because += f"; {one.elder.process or 'a program'} is older and got {one.elder.backlog}, so more was allowed"
    because += "; but it stays full, so a longer one would fill up, too" if one.stays else ""
    return Seen(
        cause="listen.backlog_small_in_app",
        confidence=sure,
        because=because,
        evidence=(_queue(one), _limit(one), case.setting(SOMAXCONN)),
        about=one.name,
        here={RemedyKind.APP: f"{one.process or 'the program'}: {knob}"},
    )


def _overflow(case: Case, one: _Suspect | None, somaxconn: int | None, *, counted: bool = True) -> Seen:
    evidence = [case.seen(OVERFLOWS, "listen-overflows")]
    evidence += case.seen_if_counted("TcpExt.ListenDrops")
    evidence.append(case.seen("Tcp.PassiveOpens"))
    here: dict[RemedyKind, str] = {}
    settings: tuple[Proposal, ...] = ()
    if one is None:
        because = "the kernel counts it; which listener it is does not show in the two samples"
    else:
        evidence += [_queue(one), _limit(one), *_wait(case, one)]
        waits = "its queue stands in both samples: accept() does not keep up" if one.stays else "bursts fill it"
        because = f"the kernel counts it; {waits}" if counted else f"{waits}, and nobody else has come meanwhile"
        if one.stays:
            here[RemedyKind.APP] = f"find out what keeps {one.process or 'the program'} from accept()"
        if counted and somaxconn is not None and one.backlog >= somaxconn and not one.stays:
            wanted = min(_MOST, power_of_two(max(4096, 4 * somaxconn)))
            here[RemedyKind.SYSCTL] = f"{SOMAXCONN} = {wanted}, then restart {one.process or 'the program'}"
            if wanted > somaxconn:
                settings = (_raise(somaxconn, wanted),)
    return Seen(
        cause="listen.accept_queue_overflow",
        confidence=Confidence.HIGH if counted else Confidence.LIKELY,
        because=because,
        evidence=tuple(evidence),
        about=one.name if one else None,
        here=here,
        settings=settings,
    )


def _raise(somaxconn: int, wanted: int) -> Proposal:
    why = f"accept queues of {somaxconn} overflow in bursts; it reaches a listener when that is restarted"
    return Proposal(key=SOMAXCONN, operator=Operator.AT_LEAST, value=str(wanted), actual=str(somaxconn), why=why)


def _queue(one: _Suspect) -> Evidence:
    return Evidence(
        source=Source.LISTENER,
        name=f"{one.name}, waiting",
        value=one.listener.queue,
        unit="connections",
        threshold=one.backlog,
    )


def _wait(case: Case, one: _Suspect) -> Iterator[Evidence]:
    if one.waits_s:
        yield Evidence(
            source=Source.LISTENER,
            name=f"{one.name}, longest wait, at least",
            value=one.waits_s,
            unit="seconds",
            threshold=case.bound("accept-wait"),
        )


def _limit(one: _Suspect) -> Evidence:
    return Evidence(source=Source.LISTENER, name=f"{one.name}, queue limit", value=one.backlog, unit="connections")
