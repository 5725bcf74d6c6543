"""What files say, and this host's own numbers answer: who refused, and whether connections close under their users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from tcptune.detectors.case import Case, Clue, Seen
from tcptune.detectors.resets import ESTAB, OUT, many_received, stray
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import Evidence, Source
from tcptune.domain.state import Listener

CLOSED, REJECTED = "refused.closed_port", "refused.firewall_reject"
FORGOTTEN = "reset.l4_idle_middlebox"
TIMEOUTS, AGAIN = "TcpExt.TCPTimeouts", "Tcp.RetransSegs"
RACES = ("reset.keepalive_race", "reset.write_after_peer_close")
SHARE = "stray-resets-share"
_LOOPBACK = ("127.", "::1")


def answered(case: Case, clues: Iterable[Clue]) -> Iterator[Seen]:
    """Yield what this host's numbers say to clues. Raises NotKnown."""
    told = [one for one in clues if one.alone and one.fresh]
    yield from _refused(case, told)
    forgets = next((one for one in told if one.cause == FORGOTTEN), None)
    if forgets is not None:
        yield from _forgotten(case)
    race = next((one for one in told if one.cause in RACES), None)
    sent = stray(case)
    # Fewer than would be a riddle alone: somebody else has named the cause.
    if race is not None and sent >= case.bound("attempts") and case.share_of_opens(sent) >= case.bound(SHARE):
        yield Seen(
            cause=race.cause,
            confidence=Confidence.POSSIBLE,
            because="this host answers segments for connections that it has closed",
            evidence=(case.seen(OUT),),
        )


def _forgotten(case: Case) -> Iterator[Seen]:
    """Name connections that end by a reset, or are not answered, where something is known to forget them."""
    timeouts = case.grown(TIMEOUTS)
    # Loss is mostly mended by later segments; where nothing is answered, a timer sends each of them again.
    unanswered = timeouts >= case.bound("attempts") and 2 * timeouts >= case.grown(AGAIN)
    if unanswered or many_received(case):
        yield Seen(
            cause=FORGOTTEN,
            confidence=Confidence.POSSIBLE,
            because="segments are not answered" if unanswered else "connections end by resets that this host got",
            evidence=(
                case.seen(TIMEOUTS),
                case.seen(AGAIN),
                case.seen(ESTAB),
                *case.seen_if_counted("TcpExt.TCPKeepAlive"),
            ),
        )


def unsettled(case: Case, clues: Iterable[Clue]) -> list[Clue]:
    """Return the clues that `answered` has not made a cause of. Raises NotKnown."""
    settled = {one for refusals in _by_port(case, clues).values() if _answer(case, refusals) for one in refusals}
    return [one for one in clues if one not in settled]


def _refused(case: Case, told: Iterable[Clue]) -> Iterator[Seen]:
    """Tell a closed port from a firewall: by the listener, and by the resets that this kernel has sent or not."""
    for refusals in _by_port(case, told).values():
        answer = _answer(case, refusals)
        if answer is not None:
            yield answer


def _by_port(case: Case, clues: Iterable[Clue]) -> dict[int, list[Clue]]:
    """Return what refused connections to this host, by its port."""
    found: dict[int, list[Clue]] = {}
    for one in clues:
        if one.cause == CLOSED and one.alone and one.fresh and one.port is not None and one.at & case.names:
            found.setdefault(one.port, []).append(one)
    return found


def _answer(case: Case, refusals: Sequence[Clue]) -> Seen | None:
    first = refusals[0]
    there = [one for one in case.listeners.listeners if one.port == first.port and _reached(one, first)]
    sent = stray(case)
    told = tuple(dict.fromkeys(one.evidence for one in refusals))
    if any(_later(case, one, first) for one in there):
        return None
    if there and sent < case.bound("attempts"):
        return Seen(
            cause=REJECTED,
            confidence=Confidence.LIKELY,
            because=f"port {first.port} is listened on, and this kernel has refused nobody: a rule answers for it;"
            f" {first.because}",
            evidence=(_listener(first, "listens"), case.seen(OUT), *told),
            about=f"port {first.port}",
            ruled_out=(CLOSED,),
        )
    if there:
        return None
    sure = sent or any(one.confidence is not Confidence.POSSIBLE for one in refusals)
    return Seen(
        cause=CLOSED,
        confidence=Confidence.HIGH if sure else Confidence.LIKELY,
        because=f"nobody listens on port {first.port} here"
        + (", and this kernel sends resets" if sent else "")
        + f"; {first.because}",
        evidence=(_listener(first, "none there, or on another address alone"), case.seen(OUT), *told),
        about=f"port {first.port}",
        ruled_out=(REJECTED,) if sent else (),
    )


def _reached(one: Listener, clue: Clue) -> bool:
    """Say whether a listener takes connections to the address that was tried, as far as that is known."""
    address = one.address.partition("%")[0]
    if address.startswith(_LOOPBACK):
        return False
    tried = {name for name in clue.at if ":" in name or name.replace(".", "").isdecimal()}
    if not tried or address in {"*", *tried}:
        return True
    return any(address == ("::" if ":" in name else "0.0.0.0") for name in tried)  # noqa: S104  # compared, not bound


def _later(case: Case, one: Listener, clue: Clue) -> bool:
    """Say whether a listener was started when the refusals were over: then it says nothing of them."""
    processes = case.second.sockets.processes if case.second.sockets else ()
    ages = [process.age_s for process in processes if process.pid in one.pids and process.age_s is not None]
    return clue.ended is not None and any(
        case.second.collected_at - timedelta(seconds=age) > clue.ended for age in ages
    )


def _listener(clue: Clue, value: str) -> Evidence:
    return Evidence(source=Source.LISTENER, name=f"listener on port {clue.port}", value=value)
