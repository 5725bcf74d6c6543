"""What files say, and this host's own numbers answer: who refused, and whether connections close under their users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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


def settled(clues: Iterable[Clue], found: Iterable[Seen]) -> list[Clue]:
    """Return the clues without those that this host's numbers exclude."""
    excluded = {cause for one in found for cause in one.ruled_out if one.cause in {CLOSED, REJECTED}}
    return [one for one in clues if one.cause not in excluded or one.at is None]


def _refused(case: Case, told: Iterable[Clue]) -> Iterator[Seen]:
    """Tell a closed port from a firewall: by the listener, and by the resets that this kernel has sent or not."""
    refused = next((one for one in told if one.cause == CLOSED and one.at == case.second.host), None)
    if refused is None:
        return
    there = [one for one in case.listeners.listeners if one.port == refused.port and _public(one)]
    sent = stray(case)
    if there and sent < case.bound("attempts"):
        yield Seen(
            cause=REJECTED,
            confidence=Confidence.LIKELY,
            because=f"port {refused.port} is listened on, and this kernel has refused nobody: a rule answers for it",
            evidence=(_listener(refused, "listens"), case.seen(OUT)),
            ruled_out=(CLOSED,),
        )
    elif not there:
        yield Seen(
            cause=CLOSED,
            confidence=Confidence.HIGH if sent else Confidence.LIKELY,
            because=f"nobody listens on port {refused.port} here" + (", and this kernel sends resets" if sent else ""),
            evidence=(_listener(refused, "none, or on loopback alone"), case.seen(OUT)),
            ruled_out=(REJECTED,) if sent else (),
        )


def _public(one: Listener) -> bool:
    return not one.address.startswith(_LOOPBACK)


def _listener(clue: Clue, value: str) -> Evidence:
    return Evidence(source=Source.LISTENER, name=f"listener on port {clue.port}", value=value)
