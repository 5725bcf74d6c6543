"""Results about captures, with every special case in them."""

from __future__ import annotations

from datetime import UTC, datetime

from tcptune.captures.plan import Bounds, Wanted, plan_capture
from tcptune.domain.captures import (
    BothEnds,
    CaptureFile,
    CaptureFinding,
    CaptureReport,
    CauseCount,
    FlowCounts,
    Seen,
)
from tcptune.domain.causes import Confidence
from tcptune.knowledge.captures import capture_causes


def finding(number: int, cause: str, by: str) -> CaptureFinding:
    return CaptureFinding(
        cause=cause,
        confidence=Confidence.LIKELY,
        flow=f"10.0.0.1:{40000 + number} > 10.0.0.2:80",
        by=by,
        what=f"{by} aborted after 80 bytes that it had not answered",
        signs=("RST and ACK, window 501", "TTL 61 as in its host's other packets"),
        seen=(
            Seen(packet=f"a.pcap0#{number + 1}", time_s=1.25, what="data of 10.0.0.1"),
            Seen(packet=f"a.pcap1#{number + 2}", time_s=1.5, what="RST of 10.0.0.2:80"),
        ),
    )


FINDINGS = tuple(finding(number, "reset.unread_data_on_close", "10.0.0.2:80") for number in range(4))
LATE = finding(9, "reset.late", "10.0.0.1:40009").model_copy(update={"confidence": Confidence.HIGH, "signs": ()})
CAPTURE = CaptureReport(
    files=(
        CaptureFile(name="a.pcap0", packets=900),
        CaptureFile(name="a.pcap1", packets=100, damage="ends in the middle of packet 101"),
    ),
    started=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    duration_s=12.5,
    packets=1000,
    segments=990,
    skipped=(("not IP", 9), ("IP, and not TCP", 1)),
    duplicates=3,
    data_segments=500,
    retransmitted=4,
    flows=FlowCounts(total=20, ended=18, open=2, evicted=1, unseen_start=2),
    causes=(
        CauseCount(
            cause=capture_causes()["reset.unread_data_on_close"],
            flows=7,
            high=0,
            likely=6,
            possible=1,
            by=(("10.0.0.2:80", 6), ("10.0.0.3:80", 1)),
        ),
        CauseCount(
            cause=capture_causes()["reset.late"], flows=1, high=1, likely=0, possible=0, by=(("10.0.0.1:40009", 1),)
        ),
    ),
    findings=(*FINDINGS, LATE),
    notes=("packets of link type 105 are not decoded: see tcpdump.org/linktypes.html",),
)
CLEAN = CaptureReport(files=(CaptureFile(name="b.pcap", packets=10),), packets=10, segments=10, duration_s=1)
FORGED = finding(0, "reset.security_device", "a middlebox")
BOTH = BothEnds(
    client=CAPTURE,
    server=CLEAN,
    proven=(FORGED,),
    causes=(capture_causes()["reset.security_device"],),
    shared=9,
    clock_ahead_s=0.25,
    notes=("3 flows were more than can be compared at once, and were left out",),
)
PLAN = plan_capture(
    Wanted(("10.0.0.2",), (443, 8443), "web1", True, "any", True, "/srv/x", "tcpdump"), Bounds(10, 50, 300, 128)
)
