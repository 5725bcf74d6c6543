"""A capture, packet by packet -> what it says. Memory is bounded by the tables' sizes, not by the capture's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from tcptune.captures.cases import Case, Naming, endpoint, host
from tcptune.captures.flows import Flow
from tcptune.captures.packets import IcmpError, Skipped, decode
from tcptune.captures.resets import explain
from tcptune.captures.sides import SECOND
from tcptune.captures.symptoms import symptoms
from tcptune.captures.table import FLOWS, FlowTable
from tcptune.captures.together import Together
from tcptune.domain.captures import CaptureFile, CaptureFinding, CaptureReport, CauseCount, FlowCounts
from tcptune.domain.causes import Confidence
from tcptune.knowledge.captures import capture_causes

EXAMPLES = 50
"""Findings of one cause that are kept whole; all are counted."""
_MOST_SENDERS = 500
_SENDERS_SHOWN = 5
_DATE_LIMIT_S = 253_402_300_800
"""The year 10000: what is later is no date, but damage."""


class _Tally:
    """One cause: how often, how sure, by whom."""

    __slots__ = ("by", "examples", "sure")

    def __init__(self) -> None:
        self.sure: Counter[Confidence] = Counter()
        self.by: Counter[str] = Counter()
        self.examples: list[CaptureFinding] = []


class Analysis:
    """Takes packets in the order they were captured, and says in the end what they show."""

    def __init__(
        self,
        naming: Naming = "#{}".format,
        *,
        flows: int = FLOWS,
        retired: Callable[[Flow], None] | None = None,
    ) -> None:
        self._naming = naming
        self._table = FlowTable(flows)
        self._retired = retired
        self._tallies: dict[str, _Tally] = {}
        self._skipped: Counter[Skipped] = Counter()
        self._links: Counter[int] = Counter()
        self._together = Together()
        self._start_ns: int | None = None
        self._last_ns = 0
        self._number = 0
        self._segments = 0
        self._data = self._again = 0
        self._total = self._ended = self._open = self._unseen = self._one_sided = 0
        self._draining = False

    def take(self, data: bytes, link: int, wire_bytes: int, time_ns: int) -> None:
        """Take the next packet."""
        self._number += 1
        if self._start_ns is None:
            self._start_ns = time_ns
        self._last_ns = max(self._last_ns, time_ns)
        found = decode(data, link, wire_bytes)
        if isinstance(found, Skipped):
            self._skipped[found] += 1
            if found is Skipped.LINK:
                self._links[link] += 1
            return
        found.number = self._number
        found.time_ns = time_ns
        if isinstance(found, IcmpError):
            self._table.take_error(found)
            return
        self._segments += 1
        for flow in self._table.take(found):
            self._judge(flow)

    @property
    def packets(self) -> int:
        """How many packets were taken."""
        return self._number

    @property
    def start_ns(self) -> int:
        """Time of the first packet."""
        return self._start_ns or 0

    @property
    def last_ns(self) -> int:
        """Time of the latest packet."""
        return self._last_ns

    def report(self, files: tuple[CaptureFile, ...], notes: tuple[str, ...] = ()) -> CaptureReport:
        """Return what the packets say. Nothing can be taken after that."""
        self._draining = True
        for flow in self._table.drain():
            self._judge(flow)
        for finding in self._together.findings():
            self._count(finding)
        start_ns = self._start_ns or 0
        causes = capture_causes()
        counts = [
            CauseCount(
                cause=causes[name],
                flows=sum(tally.sure.values()),
                high=tally.sure[Confidence.HIGH],
                likely=tally.sure[Confidence.LIKELY],
                possible=tally.sure[Confidence.POSSIBLE],
                by=tuple(tally.by.most_common(_SENDERS_SHOWN)),
            )
            for name, tally in self._tallies.items()
        ]
        counts.sort(key=lambda one: (one.cause.harmless, -one.flows, one.cause.id))
        dated = self._start_ns is not None and start_ns // SECOND < _DATE_LIMIT_S
        return CaptureReport(
            files=files,
            started=datetime.fromtimestamp(start_ns // SECOND, UTC) if dated else None,
            duration_s=round(max(0, self._last_ns - start_ns) / SECOND, 6),
            packets=self._number,
            segments=self._segments,
            skipped=tuple(sorted((reason.value, number) for reason, number in self._skipped.items())),
            undecoded=self._skipped[Skipped.SHORT] + self._skipped[Skipped.LINK],
            duplicates=self._table.duplicates,
            data_segments=self._data,
            retransmitted=self._again,
            flows=FlowCounts(
                total=self._total,
                ended=self._ended,
                open=self._open,
                evicted=self._table.evicted,
                unseen_start=self._unseen,
                one_sided=self._one_sided,
            ),
            causes=tuple(counts),
            findings=tuple(finding for one in counts for finding in self._tallies[one.cause.id].examples),
            notes=(*notes, *self._notes()),
        )

    def _judge(self, flow: Flow) -> None:
        self._total += 1
        self._ended += flow.ended
        self._open += self._draining and not flow.ended
        self._unseen += not flow.opened
        self._one_sided += flow.one_sided
        for side in (flow.client, flow.server):
            self._data += side.data_segments
            self._again += side.retransmitted
        case = Case(
            flow,
            start_ns=self._start_ns or 0,
            until_ns=self._last_ns,
            naming=self._naming,
            heard_of=self._table.heard_of,
        )
        reset = explain(case, self._table.ttl_of)
        if reset is not None:
            self._count(reset, flow)
        self._together.take(case, reset)
        for finding in symptoms(case):
            self._count(finding, flow)
        if self._retired is not None:
            self._retired(flow)

    def _count(self, finding: CaptureFinding, flow: Flow | None = None) -> None:
        tally = self._tallies.setdefault(finding.cause, _Tally())
        tally.sure[finding.confidence] += 1
        by = finding.by
        if flow is not None and by == endpoint(flow.client):
            # A client has another port each time.
            by = f"{host(flow.client.address)}:*"
        if by not in tally.by and len(tally.by) >= _MOST_SENDERS:
            # Who comes late and often still gets a row.
            tally.by = Counter(dict(tally.by.most_common(_MOST_SENDERS // 2)))
        tally.by[by] += 1
        if len(tally.examples) < EXAMPLES:
            tally.examples.append(finding)

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self._table.evicted:
            notes.append(
                f"{self._table.evicted} flows were dropped from the table while they were under way, because more were"
                " open at once than it holds; what followed of them was read as new flows, without their beginning"
            )
        if self._one_sided:
            notes.append(
                f"{self._one_sided} of {self._total} flows were heard from one side alone, though the other had spoken:"
                " a mirror of one direction, or answers that take another way; capture where both pass"
            )
        if self._links:
            numbers = ", ".join(str(link) for link, _ in self._links.most_common(5))
            notes.append(
                f"packets of link type {numbers} are not decoded (tcpdump.org/linktypes.html says which it is)"
            )
        if self._skipped[Skipped.SHORT]:
            notes.append(
                "some packets were captured too short for their headers: capture with a snaplen of 128 or more"
            )
        if self._skipped[Skipped.FRAGMENT]:
            notes.append("later fragments of IP packets are not put together: what they carry was not seen")
        return tuple(notes)
