"""Segments that have to be sent again, and paths that take smaller packets than they should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tcptune.detectors import resets
from tcptune.detectors.case import Case, Seen
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import Evidence, Source

AGAIN = "Tcp.RetransSegs"
SENT = "Tcp.OutSegs"
FITS = "TcpExt.TCPMTUPSuccess"
TWICE = "TcpExt.TCPDSACKRecv"
LATER_TWICE = "TcpExt.TCPDSACKOfoRecv"
COPIES = "TcpExt.TCPDSACKIgnoredDubious"
"""Reports of more duplicates than a connection has sent again: the path copies packets. Linux 5.10 and later."""
RECOVERIES = "TcpExt.TCPSackRecovery"
UNDONE = ("TcpExt.TCPFullUndo", "TcpExt.TCPPartialUndo", "TcpExt.TCPDSACKUndo")
DAMAGED = "Tcp.InCsumErrors"
RECEIVED = "Tcp.InSegs"
PROBING = "net.ipv4.tcp_mtu_probing"
_ALWAYS = "2"
"""Of tcp_mtu_probing: every connection looks for its size by probes, and a success tells of no trouble."""
_FEW = 10


def segments(case: Case) -> Iterator[Seen]:
    """Name loss, where enough is sent or received to call it so."""
    sent_again = _sent_again(case)
    damaged = _damaged(case)
    if sent_again is not None and damaged is not None:
        # Who gets damaged segments has them sent again: one path, seen at both of its ends.
        yield replace(
            sent_again,
            confidence=min(sent_again.confidence, damaged.confidence, key=lambda one: one.rank),
            because=f"{sent_again.because}; {damaged.because}",
            evidence=sent_again.evidence + damaged.evidence,
        )
    else:
        yield from (one for one in (sent_again, damaged) if one is not None)


def _sent_again(case: Case) -> Seen | None:
    # SYNs and SYN-ACKs that are repeated tell of queues and filters, not of a path that loses data.
    again = max(0, case.grown(AGAIN) - case.grown("TcpExt.TCPSynRetrans"))
    sent = case.grown(SENT)
    if sent < case.bound("segments") or again < _FEW:
        return None
    share = 100 * again / (sent + again)
    if share < case.bound("retransmissions"):
        return None
    # What peers report as duplicate was late or out of order, and not lost. One that has closed reports nothing: where
    # its answer to a late segment meets no socket here either, it gets a reset.
    had = _had(case)
    late = min(again, had + resets.stray(case))
    surely = 100 * (again - late) / (sent + again) >= case.bound("retransmissions-most")
    # A full accept queue lets half-made connections send their data and their FIN again and again.
    full = case.grown("TcpExt.ListenOverflows") > 0
    most = 2 * had >= again
    needless = most or (2 * late >= again and _takes_back(case))
    much = "most" if most else "much"
    sure = Confidence.HIGH if surely else Confidence.LIKELY
    return Seen(
        cause="perf.loss",
        confidence=Confidence.POSSIBLE if full or needless else sure,
        because=f"{share:.1f} % of what is sent is sent again"
        + ("; full accept queues alone can make that" if full else "")
        + (f"; but peers had {much} of it already: it comes late or out of order" if needless else ""),
        evidence=(
            Evidence(
                source=Source.COUNTER,
                name="sent again",
                value=round(share, 2),
                unit="percent",
                threshold=case.bound("retransmissions"),
            ),
            case.seen(AGAIN),
            case.seen(SENT),
            *case.seen_if_counted("TcpExt.TCPTimeouts", "TcpExt.TCPFastRetrans", "TcpExt.TCPLostRetransmit"),
            *case.seen_if_counted(
                TWICE, LATER_TWICE, COPIES, *UNDONE, *([resets.OUT] if needless and not most else ())
            ),
        ),
    )


def _damaged(case: Case) -> Seen | None:
    """Name segments that arrive and are not as they were sent: this host drops them, and their senders repeat them."""
    damaged, received = case.grown_if_counted(DAMAGED), case.grown(RECEIVED)
    if received < case.bound("segments") or damaged < _FEW:
        return None
    share = 100 * damaged / received
    if share < case.bound("damaged-segments"):
        return None
    return Seen(
        cause="perf.loss",
        confidence=Confidence.LIKELY,
        because=f"{share:.1f} % of what arrives has a wrong checksum: something on the way damages it",
        evidence=(
            Evidence(
                source=Source.COUNTER,
                name="damaged",
                value=round(share, 2),
                unit="percent",
                threshold=case.bound("damaged-segments"),
            ),
            case.seen(DAMAGED),
            case.seen(RECEIVED),
        ),
    )


def _had(case: Case) -> int:
    """Return how many segments peers had already when this host sent them again."""
    # A network that makes copies lets peers report them as well; those are not of our sending.
    return max(0, sum(map(case.grown_if_counted, (TWICE, LATER_TWICE))) - case.grown_if_counted(COPIES))


def _takes_back(case: Case) -> bool:
    """Say whether the kernel itself undid what it had done for loss, as it does for segments out of order.

    Linux 6.1 undid 9 to 92 of 100 recoveries where netem reordered, and 2 to 8 where it lost, copied or damaged.
    """
    return 10 * sum(map(case.grown_if_counted, UNDONE)) >= max(1, case.grown_if_counted(RECOVERIES))


def packet_size(case: Case) -> Iterator[Seen]:
    """Name paths on which the kernel had to find a smaller packet size itself."""
    if case.text(PROBING) != _ALWAYS and case.grown_if_counted(FITS) >= case.bound("resized-paths"):
        yield Seen(
            cause="drop.pmtu_blackhole",
            confidence=Confidence.LIKELY,
            because="after timeouts the kernel probed, and smaller packets came through",
            evidence=(case.seen(FITS), *case.seen_if_counted("TcpExt.TCPTimeouts", "TcpExt.TCPMTUPFail")),
            ruled_out=("perf.loss", "timeout.peer_vanished"),
        )
