"""What else a flow shows: SYNs without an answer, loss, closed windows, large packets that vanish, talk broken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tcptune.captures.cases import MIDDLEBOX, Case, endpoint, host
from tcptune.captures.sides import SECOND, Mark, Run, Side, Silence, apart
from tcptune.domain.captures import UNKNOWN, CaptureFinding, Seen
from tcptune.domain.causes import Confidence

_UNANSWERED_S = 3.0
"""Linux sends a SYN again after 1 s: who was watched for this long, and did not, has given up."""
_VANISHED_S = 2.0
_VANISHED_TIMES = 3
_RESENT_NS = 2 * SECOND
"""Data is first sent again a round trip and 0.2 s later, or after 1 s where nothing is known (RFC 6298)."""
_LARGE_BYTES = 1000
"""What is smaller passes every link; what is larger can be too large for a tunnel (RFC 2923)."""
_OPTIONS_BYTES = 40
"""Of a segment at most; the MSS counts them as payload (RFC 9293 section 3.7.1)."""
_CLOSED_NS = SECOND // 2
_ENOUGH_SEGMENTS = 50
LOSSY, VERY_LOSSY = 0.01, 0.05
"""Share of data segments that were sent again."""
_HELLO_S = 10.0


def symptoms(case: Case) -> Iterator[CaptureFinding]:
    """Yield what a flow suffers from, resets apart."""
    for look in _LOOKS:
        yield from look(case)


def _opening(case: Case) -> Iterator[CaptureFinding]:
    client, server = case.flow.client, case.flow.server
    if not case.flow.opened or client.resets or server.resets:
        return
    if not server.segments:
        yield from _silent_server(case, client, server)
        return
    if server.isn is None:
        return
    answered = server.opening[0]
    if len(client.opening) > 1 and client.opening[1].number < answered.number:
        waited_s = (answered.time_ns - client.opening[0].time_ns) / SECOND
        what = f"the SYN was answered after {waited_s:.1f} s, when it had been sent again"
        yield case.finding(
            "connect_latency.steps",
            Confidence.LIKELY,
            endpoint(server),
            what,
            signs=(f"{len(client.opening)} SYNs",),
            seen=(*_all(case, client.opening, "SYN"), *case.seen(answered, "SYN-ACK")),
        )
    if server.opening_again is not None and client.last_ack is not None:
        spoken = "and sent data" if client.sent_bytes else "and sent nothing"
        yield case.finding(
            "listen.accept_queue_overflow",
            Confidence.LIKELY if client.sent_bytes else Confidence.POSSIBLE,
            endpoint(server),
            f"the server repeated its SYN-ACK after the client had confirmed it {spoken}",
            seen=(*_all(case, server.opening, "SYN-ACK"), *case.seen(server.opening_again, "SYN-ACK again")),
        )
    elif client.last_ack is None and len(server.opening) > 2:
        yield case.finding(
            "connect_timeout.drop",
            Confidence.LIKELY,
            UNKNOWN,
            "SYN-ACKs were sent again and again, and never confirmed: lost on the way back, or a forged SYN",
            seen=_all(case, server.opening, "SYN-ACK"),
        )


def _silent_server(case: Case, client: Side, server: Side) -> Iterator[CaptureFinding]:
    if client.last_ack is not None or (client.address, client.port) == (server.address, server.port):
        return  # an answer came, which the capture does not have; or a port that was connected to itself
    first = client.opening[0]
    for error, whose in case.flow.icmp:
        if whose is not client or error.too_big:
            continue
        mark = Mark(error.number, error.time_ns)
        said = f"ICMP type {error.type} code {error.code} of {host(error.origin)}"
        cause = "refused.firewall_reject" if error.port_unreachable else "noroute.firewall_or_route"
        yield case.finding(
            cause,
            Confidence.HIGH,
            host(error.origin),
            f"the SYN was answered with an {said}",
            seen=(*case.seen(first, "SYN"), *case.seen(mark, said)),
        )
        return
    waited_s = case.waited_s(first)
    times = len(client.opening)
    when = ", ".join(f"{(one.time_ns - first.time_ns) / SECOND:.1f}" for one in client.opening)
    if times > 1 or waited_s >= _UNANSWERED_S:
        yield case.finding(
            "connect_timeout.drop",
            Confidence.HIGH if times > 2 else Confidence.LIKELY,
            UNKNOWN,
            f"no answer to {'a SYN' if times == 1 else 'SYNs'} to {endpoint(server)} within {waited_s:.1f} s",
            signs=(f"seconds after the first: {when}",),
            seen=_all(case, client.opening, "SYN"),
        )


def _vanished(case: Case) -> Iterator[CaptureFinding]:
    flow = case.flow
    for side in (flow.client, flow.server):
        run, other = side.run, flow.other(side)
        if run is None or run.times < _VANISHED_TIMES or other.closed_since is not None or flow.client.resets:
            continue
        lasted_s = (run.last.time_ns - run.first.time_ns) / SECOND
        if lasted_s < _VANISHED_S or flow.server.resets:
            continue
        if not other.segments and side.last_data is not None and side.last_data.number > run.first.number:
            continue  # it went on: the answers are not in the capture
        seen = (*case.seen(run.first, "sent again"), *case.seen(run.last, f"for the {run.times}th time"))
        heard = other.last is not None and other.last.number > run.first.number
        if heard and flow.server.opening_again is not None:
            continue  # the server has forgotten the handshake, which is told above
        # An offload hands over many packets as one: what passes is told by what one of them may hold.
        size = run.length if other.mss is None else min(run.length, max(other.mss - _OPTIONS_BYTES, 0))
        large = size >= _LARGE_BYTES and side.delivered < size
        asked = next((error for error, whose in flow.icmp if whose is side and error.too_big), None)
        if large and (side.delivered or other.sent_bytes):
            sizes = f"largest payload that arrived: {side.delivered} bytes; MSS {other.mss or 'not seen'}"
            icmp = (
                f"ICMP of {host(asked.origin)} asks for {asked.mtu} bytes"
                if asked
                else "no ICMP asks for smaller packets"
            )
            yield case.finding(
                "drop.pmtu_blackhole",
                Confidence.HIGH if heard or asked else Confidence.LIKELY,
                UNKNOWN,
                f"{endpoint(side)} sent {run.length} bytes {run.times + 1} times, and smaller segments passed",
                signs=(sizes, icmp),
                seen=seen,
            )
            continue
        what = f"{endpoint(side)} sent the same {run.length} bytes {run.times + 1} times within {lasted_s:.1f} s"
        others, silence = case.elsewhere(other, run.first), flow.silence
        if others is not None and not heard and silence is not None and _ended_by(silence, run, other):
            yield case.finding(
                "reset.l4_idle_middlebox",
                Confidence.LIKELY,
                MIDDLEBOX,
                f"{what}, after {silence.seconds:.1f} s without data, while {endpoint(other)} answered others",
                seen=(
                    *case.seen(silence.before, "the last before the silence"),
                    *seen,
                    *case.seen(others, f"{endpoint(other)} on another connection"),
                ),
            )
            continue
        # Who still speaks has not vanished: one direction of the way may have.
        confidence = Confidence.POSSIBLE if heard else Confidence.LIKELY if others else Confidence.HIGH
        yield case.finding("timeout.peer_vanished", confidence, endpoint(other), what, seen=seen)


def _ended_by(silence: Silence, run: Run, other: Side) -> bool:
    """Say whether a silence ended with what was then sent again, and the other side has said nothing since."""
    after = silence.after
    if silence.probed or run.first.time_ns - after.time_ns > _RESENT_NS:
        return False
    return other.last is not None and other.last.number < after.number <= run.first.number


def _closed_window(case: Case) -> Iterator[CaptureFinding]:
    for side in (case.flow.client, case.flow.server):
        total = side.closed_total_ns
        if side.closed_since is not None and not case.flow.ended:
            total += max(0, case.flow.last.time_ns - side.closed_since.time_ns)
        if total < _CLOSED_NS:
            continue
        times = "once" if side.closed_windows == 1 else f"{side.closed_windows} times"
        still = ", and still at the end" if side.closed_since is not None else ""
        what = f"{endpoint(side)} took nothing for {total / SECOND:.1f} s, its window closed {times}{still}"
        confidence = Confidence.HIGH if total >= SECOND else Confidence.LIKELY
        yield case.finding(
            "perf.slow_reader", confidence, endpoint(side), what, seen=case.seen(side.closed_first, "window 0")
        )


def _loss(case: Case) -> Iterator[CaptureFinding]:
    for side in (case.flow.client, case.flow.server):
        lost = side.retransmitted - side.needless
        if side.data_segments < _ENOUGH_SEGMENTS or lost < 3:
            continue
        share = lost / side.data_segments
        if share > LOSSY:
            yield case.finding(
                "perf.loss",
                Confidence.HIGH if share > VERY_LOSSY else Confidence.LIKELY,
                UNKNOWN,
                f"{endpoint(side)} sent {lost} of {side.data_segments} data segments again: {share:.1%}",
                signs=(f"{side.needless} more were sent again needlessly, as D-SACK says",) if side.needless else (),
            )


def _tls(case: Case) -> Iterator[CaptureFinding]:
    flow = case.flow
    for side in (flow.client, flow.server):
        if side.alert is not None:
            mark, alert = side.alert
            plain = flow.client.started is not None and side is flow.server
            why = ": the client spoke plain HTTP to it" if plain else ""
            yield case.finding(
                "tls.alert",
                Confidence.HIGH,
                endpoint(side),
                f"{endpoint(side)} sent the fatal alert {alert.name}{why}",
                seen=case.seen(mark, f"TLS alert {alert.name}"),
            )
    hello = flow.client.hello
    if hello is None or flow.server.sent_bytes or flow.client.alert is not None or not flow.server.segments:
        return
    ender, end = _ender(case)
    seen = case.seen(hello, "ClientHello")
    if ender is not None:
        what = f"{endpoint(ender)} ended the connection after the ClientHello, before any answer to it"
        seen = (*seen, *case.seen(end, "the end"))
        yield case.finding("reset.tls_before_ready", Confidence.HIGH, endpoint(ender), what, seen=seen)
    elif case.waited_s(hello) >= _HELLO_S and flow.client.run is None:
        what = f"no answer to the ClientHello within {case.waited_s(hello):.1f} s"
        yield case.finding("reset.tls_before_ready", Confidence.LIKELY, endpoint(flow.server), what, seen=seen)


def _http(case: Case) -> Iterator[CaptureFinding]:
    flow = case.flow
    ender, end = _ender(case)
    if ender is None:
        return
    for side, cause in ((flow.server, "eof.truncated_response"), (flow.client, "eof.client_gone_reading_body")):
        if side.started is None or side.body_end is None or side.next_seq is None:
            continue
        mark, message = side.started
        # The FIN counts one in the sequence space and is no data.
        missing = apart(side.body_end, side.next_seq - (1 if side.fin else 0))
        if missing <= 0 or (bool(message.status) is not (side is flow.server)):
            continue
        total = apart(side.body_end, side.body_start)
        who = "its sender" if ender is side else "its reader"
        kind = "a response" if message.status else "a request"
        what = f"{total - missing} of {total} bytes of {kind} when {who} ended it"
        yield case.finding(
            cause,
            Confidence.HIGH if ender is side else Confidence.LIKELY,
            endpoint(ender),
            what,
            seen=(*case.seen(mark, "the head of the message"), *case.seen(end, "the end")),
        )


def _chunks(case: Case) -> Iterator[CaptureFinding]:
    flow = case.flow
    ender, end = _ender(case)
    if ender is None:
        return
    for side, cause in ((flow.server, "eof.truncated_response"), (flow.client, "eof.client_gone_reading_body")):
        if side.chunks is None or not side.chunks.open or side.started is None:
            continue
        mark, message = side.started
        if bool(message.status) is not (side is flow.server):
            continue
        where = "within a chunk" if side.chunks.within else "before its last chunk"
        kind = "a response" if message.status else "a request"
        who = "its sender" if ender is side else "its reader"
        # Whoever listens to a stream of events ends it like this, and nothing is wrong.
        confidence = Confidence.HIGH if ender is side else Confidence.POSSIBLE
        yield case.finding(
            cause,
            confidence,
            endpoint(ender),
            f"{kind} in chunks ended {where} when {who} ended it",
            signs=() if ender is side else ("a reader that ends a stream without an end does the same",),
            seen=(*case.seen(mark, "the head of the message"), *case.seen(end, "the end")),
        )


def _ender(case: Case) -> tuple[Side | None, Mark | None]:
    """Return which side first sent a FIN or a RST, and that packet."""
    ends = [
        (end.number, side, end)
        for side in (case.flow.client, case.flow.server)
        for end in (side.fin, side.resets[0].at if side.resets else None)
        if end is not None
    ]
    if not ends:
        return None, None
    _, side, end = min(ends, key=lambda one: one[0])
    return side, end


def _all(case: Case, marks: list[Mark], what: str) -> tuple[Seen, ...]:
    return tuple(seen for mark in marks for seen in case.seen(mark, what))


_LOOKS: tuple[Callable[[Case], Iterator[CaptureFinding]], ...] = (
    _opening,
    _vanished,
    _closed_window,
    _loss,
    _tls,
    _http,
    _chunks,
)
