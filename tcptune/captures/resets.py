"""Who sent a reset, and why: the patterns in which kernels and boxes on the way send them.

Each rule below is a pattern that was produced on a real kernel or is described by its source; see the cause of the same
name in capture_causes.yml. They are asked in order, the most specific first, and the last one admits that none fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tcptune.captures.cases import MIDDLEBOX, Case, endpoint
from tcptune.captures.forgery import CERTAIN, Weighed, lacks_data, unfit, weigh
from tcptune.captures.sides import SECOND, Mark, Reset, Side, Silence
from tcptune.domain.captures import UNKNOWN, CaptureFinding, Seen
from tcptune.domain.causes import Confidence
from tcptune.knowledge.captures import gap_like

_LONG_S = 30.0
"""A silence from here on may have outlived somebody's memory of the connection."""
_LATE_S = 0.5
"""A SYN-ACK that took longer was waited for in vain."""
_AT_ONCE_NS = SECOND


class _Asked(NamedTuple):
    case: Case
    side: Side
    """Whose address the reset carries."""
    other: Side
    reset: Reset
    weighed: Weighed
    usual_ttl: int | None
    thin: bool
    """The capture has SYN, FIN and RST of this flow, and none of its data."""


class _Answer(NamedTuple):
    cause: str
    confidence: Confidence
    by: str
    what: str
    seen: tuple[Seen, ...] = ()


def explain(case: Case, ttl_of: Callable[[bytes], int | None]) -> CaptureFinding | None:
    """Return why a flow was reset, or None where it was not. What follows the first reset is its consequence."""
    flow = case.flow
    sides = [side for side in (flow.client, flow.server) if side.resets]
    if not sides:
        return None
    side = min(sides, key=lambda one: one.resets[0].at.number)
    reset = side.resets[0]
    host_ttl = ttl_of(side.address)
    weighed = weigh(flow, side, reset, host_ttl)
    usual = side.ttl if side.ttl is not None else host_ttl
    asked = _Asked(case, side, flow.other(side), reset, weighed, usual, lacks_data(flow, side, reset))
    answer = next(found for rule in _RULES if (found := rule(asked)))
    more = flow.client.resets_seen + flow.server.resets_seen - 1
    shape = "RST and ACK" if reset.acks else "RST alone"
    signs = (
        f"{shape}, window {reset.window}",
        *weighed.signs,
        *weighed.own,
        *((f"{more} more on this flow",) if more else ()),
    )
    seen = (*answer.seen, *case.seen(reset.at, f"RST of {endpoint(side)}"))
    return case.finding(answer.cause, answer.confidence, answer.by, answer.what, signs=signs, seen=seen)


def _survived(a: _Asked) -> _Answer | None:
    going, heard = a.side.going_on, a.other.last_ack
    if going is None or heard is None or a.other.resets or heard.number < going.number:
        return None
    seen = (*a.case.seen(going, f"{endpoint(a.side)} goes on"), *a.case.seen(heard, f"{endpoint(a.other)} goes on"))
    return _Answer("reset.challenged", Confidence.HIGH, MIDDLEBOX, "a reset that changed nothing: both went on", seen)


def _refused(a: _Asked) -> _Answer | None:
    if a.side.isn is not None or a.side.segments or not a.reset.acks:
        return None
    if a.other.isn is None:
        if a.other.segments or a.reset.seq or a.weighed.forged:
            return None
        # Who has a socket knows its own number: 0 is for a SYN to none.
        what = "answers with a reset, as to a SYN, which is not in the capture"
        return _Answer("refused.closed_port", Confidence.LIKELY, endpoint(a.side), f"{endpoint(a.side)} {what}")
    seen = a.case.seen(a.other.opening[0], f"SYN of {endpoint(a.other)}")
    if a.weighed.forged:
        what = f"the refusal does not come from where {endpoint(a.side)} is"
        return _Answer("refused.firewall_reject", _sure(a.weighed), MIDDLEBOX, what, seen)
    confidence = Confidence.HIGH if a.usual_ttl is not None else Confidence.LIKELY
    return _Answer("refused.closed_port", confidence, endpoint(a.side), "the SYN was answered with a reset", seen)


def _cancelled(a: _Asked) -> _Answer | None:
    flow = a.case.flow
    if a.side is not flow.client or flow.server.isn is None or a.side.last_ack is not None or a.reset.acks:
        return None
    delay_s = (flow.server.opening[0].time_ns - flow.client.opening[0].time_ns) / SECOND if flow.opened else 0.0
    seen = (
        *(a.case.seen(flow.client.opening[0], "SYN") if flow.opened else ()),
        *a.case.seen(flow.server.opening[0], f"SYN-ACK, {delay_s:.3f} s later"),
    )
    if delay_s >= _LATE_S:
        what = f"the SYN-ACK came after {delay_s:.1f} s, when the client had given up"
        return _Answer("connect.cancelled_by_client", Confidence.HIGH, endpoint(a.side), what, seen)
    return _Answer(
        "connect.tried_only", Confidence.LIKELY, endpoint(a.side), "a SYN-ACK was answered with a reset at once", seen
    )


def _tried(a: _Asked) -> _Answer | None:
    flow = a.case.flow
    if (
        a.side is not flow.client
        or not flow.opened
        or flow.client.sent_bytes
        or flow.server.sent_bytes
        or flow.server.fin
    ):
        return None
    if not flow.established or not a.reset.acks or a.weighed.forged or a.reset.silence:
        return None
    what = "the client opened the connection and aborted it without a byte"
    return _Answer("connect.tried_only", Confidence.LIKELY, endpoint(a.side), what)


def _late(a: _Asked) -> _Answer | None:
    fins = (a.side.fin, a.other.fin)
    if any(fin is None or fin.number > a.reset.at.number for fin in fins) or a.side.after_fin:
        return None
    return _Answer("reset.late", Confidence.HIGH, endpoint(a.side), "both sides had closed before")


def _after_fin(a: _Asked) -> _Answer | None:
    if a.side.fin is None or a.side.fin.number > a.reset.at.number:
        return None
    closed, writes = endpoint(a.side), endpoint(a.other)
    if a.side.after_fin is None:
        if not a.thin or a.reset.acks:
            return None
        what = f"{closed} had closed, and answered something of {writes} that is not in the capture"
        seen = a.case.seen(a.side.fin, f"FIN of {closed}")
        return _Answer("reset.write_after_peer_close", Confidence.LIKELY, writes, what, seen)
    data, crossed = a.side.after_fin
    silence = a.side.fin_silence
    seen = (
        *_silent(a.case, silence),
        *a.case.seen(a.side.fin, f"FIN of {closed}"),
        *a.case.seen(data, f"data of {writes}"),
    )
    if crossed and silence is not None:
        like = gap_like(silence.seconds)
        what = f"{closed} closed after {silence.seconds:.1f} s without data{_known(silence)}, and {writes} used it then"
        return _Answer("reset.keepalive_race", Confidence.HIGH if like else Confidence.LIKELY, closed, what, seen)
    unaware = ", not knowing of it" if crossed else ""
    idle = f" after {silence.seconds:.1f} s without data{_known(silence)}" if silence is not None else ""
    what = f"{closed} had closed{idle}, and {writes} wrote afterwards{unaware}"
    return _Answer("reset.write_after_peer_close", Confidence.HIGH, writes, what, seen)


def _forged(a: _Asked) -> _Answer | None:
    if not a.weighed.forged:
        return None
    silence = a.reset.silence
    if silence is not None and silence.seconds >= _LONG_S and not silence.probed:
        what = f"a reset after {silence.seconds:.1f} s without data{_known(silence)}, not in the manner of its address"
        return _Answer("reset.l4_idle_middlebox", _sure(a.weighed), MIDDLEBOX, what, _silent(a.case, silence))
    what = f"a reset not in the manner of {endpoint(a.side)}"
    return _Answer("reset.security_device", _sure(a.weighed), MIDDLEBOX, what)


def _keepalive(a: _Asked) -> _Answer | None:
    if a.reset.probes < 2 or not a.reset.acks or not a.other.segments:
        return None
    what = f"{endpoint(a.side)} gave up after {a.reset.probes} keepalive probes without an answer"
    return _Answer(
        "timeout.peer_vanished",
        Confidence.HIGH,
        endpoint(a.other),
        what,
        a.case.seen(a.other.last, f"the last of {endpoint(a.other)}"),
    )


def _handshake(a: _Asked) -> _Answer | None:
    flow = a.case.flow
    confirmed = flow.client.last_ack
    if a.side is not flow.server or flow.server.isn is None or flow.server.sent_bytes or confirmed is None:
        return None
    if a.reset.acks or not a.reset.asked or a.reset.at.time_ns - confirmed.time_ns > _AT_ONCE_NS:
        return None
    # A server that has said anything but SYN-ACKs had taken the connection.
    if flow.server.segments > len(flow.server.opening) or (a.reset.silence and a.reset.silence.seconds >= _LONG_S):
        return None
    confidence = Confidence.POSSIBLE if flow.client.sent_bytes else Confidence.LIKELY
    what = "the client's confirmation of the handshake was answered with a reset"
    return _Answer("listen.abort_on_overflow", confidence, endpoint(a.side), what, a.case.seen(confirmed, "ACK"))


def _timed(a: _Asked) -> _Answer | None:
    who, silence = endpoint(a.side), a.reset.silence
    like = gap_like(silence.seconds) if silence is not None else None
    if not _active(a) or a.thin or silence is None or like is None or not a.other.segments:
        return None
    seen = _silent(a.case, silence)
    if silence.after == a.reset.at:
        waiting = "waiting for an answer" if a.side.unheard else "without data"
        what = f"{who} aborted after {silence.seconds:.1f} s {waiting}, as {like.who}"
        return _Answer("reset.idle_timeout", Confidence.LIKELY, who, what, seen)
    what = f"{who} aborted as it was used again after {silence.seconds:.1f} s, as {like.who}"
    return _Answer("reset.keepalive_race", Confidence.LIKELY, who, what, seen)


def _aborted(a: _Asked) -> _Answer | None:
    if not _active(a):
        return None
    who = endpoint(a.side)
    if a.thin:
        what = f"{who} aborted; why, the data would tell that was not captured"
        return _Answer("reset.aborted", Confidence.LIKELY, who, what)
    flow = a.case.flow
    if unheard := _unheard(a):
        return unheard
    if a.reset.unanswered and not _whole(a.other):
        what, confidence = f"{who} aborted after {a.reset.unanswered} bytes that it had not answered", Confidence.LIKELY
        if a.side is flow.client and a.side.sent_bytes and a.other.started is None:
            # Whoever asked need not answer the answer: it may have read all of it, and set SO_LINGER to 0.
            what = f"{who} aborted after {a.reset.unanswered} bytes of an answer, which it may have read or not"
            confidence = Confidence.POSSIBLE
        seen = a.case.seen(a.other.last_data, f"data of {endpoint(a.other)}")
        return _Answer("reset.unread_data_on_close", confidence, who, what, seen)
    if a.side is flow.server and flow.opened and not flow.server.sent_bytes and not flow.client.sent_bytes:
        what = f"{who} aborted a connection on which nobody had said anything"
        return _Answer("listen.closed_with_queue", Confidence.LIKELY, who, what)
    what = f"{who} aborted where a FIN would have been"
    return _Answer(
        "reset.so_linger_zero", Confidence.LIKELY, who, what, a.case.seen(a.side.last_data, f"the last data of {who}")
    )


def _unheard(a: _Asked) -> _Answer | None:
    """Return that somebody aborted, where the capture has too little before it to tell why."""
    who = endpoint(a.side)
    if not a.case.flow.opened and not a.side.data_segments and not a.other.data_segments:
        what = f"{who} aborted; no opening and no data of the connection is in the capture"
        return _Answer("reset.aborted", Confidence.POSSIBLE, who, what)
    if not a.other.segments:
        what = f"{who} aborted; why, the segments of {endpoint(a.other)} would tell, none of which is in the capture"
        return _Answer("reset.aborted", Confidence.LIKELY, who, what)
    return None


def _no_socket(a: _Asked) -> _Answer | None:
    if a.reset.acks or not (a.reset.asked or a.thin):
        return None
    silence, who = a.reset.silence, endpoint(a.side)
    seen = (*_silent(a.case, silence), *a.case.seen(a.reset.offending, f"segment of {endpoint(a.other)}"))
    long = silence is not None and silence.seconds >= _LONG_S and not silence.probed
    if long and silence is not None and a.usual_ttl is None:
        what = f"{who} knows nothing of the connection after {silence.seconds:.1f} s without data{_known(silence)}"
        return _Answer("reset.l4_idle_middlebox", Confidence.POSSIBLE, UNKNOWN, what, seen)
    after = f", after {silence.seconds:.1f} s without data{_known(silence)}" if long and silence is not None else ""
    what = f"{who} answered as a host does that has no such connection{after}"
    confidence = Confidence.POSSIBLE if a.thin else Confidence.LIKELY
    return _Answer("reset.half_open_peer_reboot", confidence, who, what, seen)


def _unexplained(a: _Asked) -> _Answer:
    return _Answer("reset.unexplained", Confidence.POSSIBLE, UNKNOWN, f"a reset with the address of {endpoint(a.side)}")


_RULES: tuple[Callable[[_Asked], _Answer | None], ...] = (
    _survived,
    _refused,
    _cancelled,
    _tried,
    _late,
    _after_fin,
    _forged,
    _keepalive,
    _handshake,
    _timed,
    _aborted,
    _no_socket,
    _unexplained,
)


def _active(a: _Asked) -> bool:
    """Say whether a reset is of who has the socket: with an ACK, and the number that comes next."""
    return a.reset.acks and (a.thin or not unfit(a.reset))


def _whole(side: Side) -> bool:
    """Say whether an HTTP message of a side ended exactly where its data does: its reader had all there was."""
    end = (side.next_seq or 0) - (1 if side.fin else 0)
    return side.started is not None and bool(side.started[1].status) and side.body_end == end & 0xFFFFFFFF


def _sure(weighed: Weighed) -> Confidence:
    return Confidence.HIGH if weighed.weight >= CERTAIN else Confidence.LIKELY


def _known(silence: Silence) -> str:
    like = gap_like(silence.seconds)
    return f" (as {like.who})" if like else ""


def _silent(case: Case, silence: Silence | None) -> tuple[Seen, ...]:
    if silence is None:
        return ()
    before: Mark = silence.before
    return (
        *case.seen(before, "the last before the silence"),
        *case.seen(silence.after, f"{silence.seconds:.3f} s later"),
    )
