"""What the journal keeps beside the hosts of a run: waves, what gates measured, who did what, who claims a host."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tcptune.domain.changes import Plan
from tcptune.domain.runs import Run, Work
from tcptune.domain.values import Frozen


class WaveState(StrEnum):
    """Where a wave of a rollout stands."""

    PLANNED = "planned"
    CHANGING = "changing"
    SOAKING = "soaking"
    """Changed on every host that could be; its gates are asked until the soak time is over."""
    HELD = "held"
    """A person decides: it keeps the change, and no further wave begins."""
    PASSED = "passed"
    FAILED = "failed"
    """A gate failed, or too many hosts did. Its hosts may still hold the change."""
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled back"
    LEFT_OUT = "left out"
    """Never begun, because the rollout ended before."""


WAVE_MOVES: dict[WaveState, frozenset[WaveState]] = {
    WaveState.PLANNED: frozenset({WaveState.CHANGING, WaveState.LEFT_OUT}),
    WaveState.CHANGING: frozenset({WaveState.SOAKING, WaveState.HELD, WaveState.FAILED, WaveState.ROLLED_BACK}),
    WaveState.SOAKING: frozenset({WaveState.PASSED, WaveState.HELD, WaveState.FAILED, WaveState.ROLLED_BACK}),
    # Whoever is asked may have the gates asked again, go on, keep it as it is, or take it back.
    WaveState.HELD: frozenset(
        {WaveState.SOAKING, WaveState.PASSED, WaveState.FAILED, WaveState.CONFIRMED, WaveState.ROLLED_BACK},
    ),
    WaveState.PASSED: frozenset({WaveState.CONFIRMED, WaveState.HELD, WaveState.FAILED, WaveState.ROLLED_BACK}),
    WaveState.FAILED: frozenset({WaveState.HELD, WaveState.ROLLED_BACK}),
    WaveState.CONFIRMED: frozenset({WaveState.ROLLED_BACK}),
    WaveState.ROLLED_BACK: frozenset(),
    WaveState.LEFT_OUT: frozenset(),
}
"""What may follow what. Staying is always allowed: it is noted and moves nothing."""

OPEN_WAVES = frozenset({WaveState.PLANNED, WaveState.CHANGING, WaveState.SOAKING, WaveState.HELD})
"""States in which a wave has not come to an end."""


class WaveRecord(Frozen):
    """A wave of a run."""

    number: int
    """Counted from 1; the first is the canary."""
    hosts: tuple[str, ...]
    state: WaveState = WaveState.PLANNED
    began: datetime | None = None
    ended: datetime | None = None
    """None while its state is one of `OPEN_WAVES`."""
    why: str = ""
    """Why it stands where it stands: a sentence, or nothing."""


class PolicyRecord(Frozen):
    """The policy of a run, word for word."""

    text: str
    digest: str
    """SHA-256 of the text."""


class Rollout(Frozen):
    """How a run reaches its hosts: recorded whole before the first is changed."""

    policy: PolicyRecord
    waves: tuple[WaveRecord, ...]


class SampleRecord(Frozen):
    """What one check of a gate said of one host, and what the policy made of it."""

    wave: int
    host: str
    gate: str
    check: str
    at: datetime
    before: float | None
    after: float | None
    unit: str
    """Of before, after and threshold."""
    threshold: float | None
    verdict: Literal["passed", "failed", "undecided"]
    cause: str | None = None
    """Why it is undecided; None where it is not."""
    treat: Literal["continue", "hold", "fail"]
    why: str
    """One sentence."""

    @model_validator(mode="after")
    def _undecided_has_a_cause(self) -> SampleRecord:
        if (self.verdict == "undecided") != (self.cause is not None):
            raise ValueError("an undecided sample has a cause, and no other has one")
        return self


class LogEntry(Frozen):
    """One line of a run's log."""

    at: datetime
    """By the clock of the controller that wrote it; the order of the lines is the journal's own."""
    by: str | None
    """Login name and machine; None where an older tcptune wrote it."""
    tool_version: str | None
    wave: int | None
    host: str | None
    """None where it is about the wave, or about the run."""
    before: str
    after: str
    note: str


class Lease(Frozen):
    """The right of one controller to change some hosts, for a time."""

    token: int
    """Grows with every claim: who holds a smaller one of a host has lost it."""
    run_id: str
    by: str
    hosts: tuple[str, ...]
    since: datetime
    until: datetime
    """Both by the clock of the journal's database. Nobody may take the hosts over before it."""
    lease_s: int


class HostLock(Frozen):
    """A host that a run has claimed."""

    host: str
    token: int
    run_id: str
    by: str
    since: datetime
    until: datetime
    ran_out: bool
    """Whoever claims the host now gets it."""


class ClaimRecord(Frozen):
    """A claim of a run, with how it ended."""

    token: int
    by: str
    tool_version: str
    hosts: tuple[str, ...]
    since: datetime
    until: datetime
    ended: datetime | None
    taken_by: int | None
    """The claim that took its hosts over; None where it was released, or lasts."""


class ListedRun(Frozen):
    """A run in a list."""

    run_id: str
    plan_id: str
    profile: str
    started_at: datetime
    ended_at: datetime | None
    operator: str
    tool_version: str
    states: dict[str, int]
    """State -> hosts that stand in it."""
    at_work: Work | None


class RunList(Frozen):
    """Runs of the journal, newest first."""

    tcptune: Literal["runs"] = "runs"
    format_version: Literal[1] = 1
    runs: tuple[ListedRun, ...]


class RunRecord(Frozen):
    """All that the journal knows of a run."""

    tcptune: Literal["run record"] = "run record"
    format_version: Literal[1] = 1
    journal_form: str
    """Of the tables it was read from."""
    run: Run
    plan: Annotated[Plan | dict[str, Any], Field(union_mode="left_to_right")]
    """The plan as it was recorded, even where this tcptune does not understand it."""
    policy: PolicyRecord | None
    """None for a run that was no rollout; so are its waves and samples."""
    waves: tuple[WaveRecord, ...]
    samples: tuple[SampleRecord, ...]
    log: tuple[LogEntry, ...]
    claims: tuple[ClaimRecord, ...]


class Kept(Frozen):
    """A run that is old enough to go, and stays."""

    run_id: str
    why: str


class Pruned(Frozen):
    """Which runs the journal has forgotten."""

    tcptune: Literal["pruned"] = "pruned"
    format_version: Literal[1] = 1
    before: datetime
    """Runs that began earlier were looked at."""
    dry_run: bool
    """Nothing was forgotten: this is what would be."""
    forgotten: tuple[str, ...]
    kept: tuple[Kept, ...]
