"""Segments that have to be sent again, and paths that take smaller packets than they should."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, Seen
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import Evidence, Source

AGAIN = "Tcp.RetransSegs"
SENT = "Tcp.OutSegs"
FITS = "TcpExt.TCPMTUPSuccess"
TWICE = "TcpExt.TCPDSACKRecv"
PROBING = "net.ipv4.tcp_mtu_probing"
_ALWAYS = "2"
"""Of tcp_mtu_probing: every connection looks for its size by probes, and a success tells of no trouble."""
_FEW = 10


def segments(case: Case) -> Iterator[Seen]:
    """Name loss, where enough is sent to call it so."""
    # SYNs and SYN-ACKs that are repeated tell of queues and filters, not of a path that loses data.
    again = max(0, case.grown(AGAIN) - case.grown("TcpExt.TCPSynRetrans"))
    sent = case.grown(SENT)
    if sent < case.bound("segments") or again < _FEW:
        return
    share = 100 * again / (sent + again)
    if share < case.bound("retransmissions"):
        return
    sure = Confidence.HIGH if share >= case.bound("retransmissions-most") else Confidence.LIKELY
    # A full accept queue lets half-made connections send their data and their FIN again and again.
    full = case.grown("TcpExt.ListenOverflows") > 0
    # What peers report as duplicate was late or out of order, and not lost.
    needless = 2 * case.grown_if_counted(TWICE) >= again
    yield Seen(
        cause="perf.loss",
        confidence=Confidence.POSSIBLE if full or needless else sure,
        because=f"{share:.1f} % of what is sent is sent again"
        + ("; full accept queues alone can make that" if full else "")
        + ("; but peers had most of it already: it comes late or out of order" if needless else ""),
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
            *case.seen_if_counted("TcpExt.TCPTimeouts", "TcpExt.TCPFastRetrans", "TcpExt.TCPLostRetransmit", TWICE),
        ),
    )


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
