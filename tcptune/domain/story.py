"""A rollout as its record tells it: waves, gates, hosts."""

from __future__ import annotations

from typing import Literal

from tcptune.domain.gates import GateTable
from tcptune.domain.journal import SampleRecord, WaveRecord
from tcptune.domain.runs import Run
from tcptune.domain.values import Frozen


class RolloutStory(Frozen):
    """The story of a rollout."""

    tcptune: Literal["rollout"] = "rollout"
    format_version: Literal[1] = 1
    run: Run
    policy: str
    """Its name."""
    policy_digest: str
    waves: tuple[WaveRecord, ...]
    samples: tuple[SampleRecord, ...]
    """All that gates said, oldest first."""
    table: GateTable | None
    """The last look at the gates of the wave that stopped the rollout; None where none did."""
