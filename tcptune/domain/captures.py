"""What captures of packets say: who ended connections and why, with the packets that show it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tcptune.domain.causes import Confidence, Known
from tcptune.domain.values import Frozen

UNKNOWN = "unknown"


class CaptureCause(Frozen):
    """What is known of a cause that packets show. Data, with its source."""

    id: str
    title: str
    harmless: bool = False
    """Nobody lost anything: it is listed, and is no finding for the exit code."""
    tell_apart: tuple[str, ...] = ()
    """What else it could be, and how to find out."""
    remedies: tuple[Known, ...] = Field(min_length=1)
    """Ordered by closeness to the cause."""
    kernel_change_helps: bool
    source: str
    verified: str
    """How it was checked: 'experiment' on a real kernel, or 'source'."""


class KnownGap(Frozen):
    """A timeout by which somebody ends or forgets a connection that says nothing."""

    seconds: float = Field(gt=0)
    who: str
    source: str


class Seen(Frozen):
    """One packet that is evidence."""

    packet: str
    """Its number as Wireshark counts, from 1; with the file's name before it where there are several."""
    time_s: float
    """Seconds since the first packet of the capture."""
    what: str


class CaptureFinding(Frozen):
    """One cause on one flow."""

    cause: str
    confidence: Confidence
    flow: str
    """'client:port > server:port'; who is the client is a guess where the handshake was not captured."""
    by: str
    """Who did it, as 'address:port', 'a middlebox', or 'unknown'."""
    what: str
    """One sentence."""
    signs: tuple[str, ...] = ()
    """What in the packets says so, and against it."""
    seen: tuple[Seen, ...] = ()


class CauseCount(Frozen):
    """A cause over the whole capture."""

    cause: CaptureCause
    flows: int
    high: int
    likely: int
    possible: int
    by: tuple[tuple[str, int], ...]
    """Who did it how often, the most frequent first; a bounded list."""


class CaptureFile(Frozen):
    """One file, and how far it could be read."""

    name: str
    packets: int
    damage: str = ""
    """Where and how it ends before its end, or is no longer understood; empty where it was read whole."""


class FlowCounts(Frozen):
    """What became of the flows."""

    total: int = 0
    ended: int = 0
    """By FINs of both sides, or by a reset."""
    open: int = 0
    """When the capture ended."""
    evicted: int = 0
    """Flows that were still under way when their place in the table was needed: what follows of them is read as new."""
    unseen_start: int = 0
    """Whose handshake is not in the capture."""
    one_sided: int = 0
    """Of which one side was not heard, to which the other had answered."""


class CaptureReport(Frozen):
    """What all files of a capture say."""

    tcptune: Literal["capture"] = "capture"
    format_version: Literal[1] = 1
    files: tuple[CaptureFile, ...]
    started: datetime | None = None
    """Time of the first packet, by the clock of who captured."""
    duration_s: float = 0
    packets: int = 0
    segments: int = 0
    skipped: tuple[tuple[str, int], ...] = ()
    """Packets that are no TCP segment, by reason."""
    undecoded: int = 0
    """Of these, packets that may have been one: cut too short, or of a link type that is not known."""
    duplicates: int = 0
    """Segments captured more than once, at several interfaces."""
    data_segments: int = 0
    retransmitted: int = 0
    flows: FlowCounts = FlowCounts()
    causes: tuple[CauseCount, ...] = ()
    """The most frequent first, harmless ones last."""
    findings: tuple[CaptureFinding, ...] = ()
    """Examples of each cause: a bounded list. The counts are of all."""
    notes: tuple[str, ...] = ()
    """What the reader must know before believing any of it."""

    @property
    def harmful(self) -> int:
        """How many findings there are that somebody lost something by."""
        return sum(one.flows for one in self.causes if not one.cause.harmless)

    @property
    def judged(self) -> bool:
        """Say whether there was anything to judge, and all of it was.

        Every file to its end, every flow to its own, every packet that may have been a segment; most flows with both
        of their sides.
        """
        if not self.segments or self.flows.evicted or self.flows.one_sided * 2 > self.flows.total:
            return False
        return not self.undecoded and not any(one.damage for one in self.files)


class BothEnds(Frozen):
    """Captures of both ends of the same connections, and what they prove together."""

    tcptune: Literal["captures of both ends"] = "captures of both ends"
    format_version: Literal[1] = 1
    client: CaptureReport
    server: CaptureReport
    proven: tuple[CaptureFinding, ...]
    """A bounded list."""
    causes: tuple[CaptureCause, ...]
    """What is known of the causes that are proven."""
    shared: int
    """Flows that both captures have."""
    clock_ahead_s: float
    """By how much the server's clock is ahead of the client's, by the SYNs; the way there is part of it."""
    notes: tuple[str, ...] = ()

    @property
    def harmful(self) -> int:
        """How many findings there are that somebody lost something by."""
        harmless = {cause.id for cause in self.causes if cause.harmless}
        proven = sum(one.cause not in harmless for one in self.proven)
        return proven + self.client.harmful + self.server.harmful

    @property
    def judged(self) -> bool:
        """Say whether both captures could be read, and have something in common."""
        return self.client.judged and self.server.judged and self.shared > 0


class CaptureStep(Frozen):
    """One command to run by hand, and where."""

    where: str
    command: str
    why: str


class CapturePlan(Frozen):
    """Commands that capture within bounds. They are printed, and run by nobody but the reader."""

    tcptune: Literal["capture plan"] = "capture plan"
    format_version: Literal[1] = 1
    steps: tuple[CaptureStep, ...]
    disk_bytes: int
    """The most that one end writes."""
    notes: tuple[str, ...]
