"""What is known of a rollout from its events alone: where waves and hosts stand, what gates said, what it waits for.

No clock and no memory but the events': the same events give the same view. What watches from the middle of a stream
sees the hosts that moved since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tcptune.domain.events import (
    Answered,
    Asked,
    DeadlineExtended,
    Event,
    EventWave,
    GateMeasured,
    HostMoved,
    HostsClaimed,
    RolloutBegan,
    RolloutEnded,
    SoakBegan,
    Waiting,
    WaveBegan,
    WaveEnded,
    WaveHeld,
)
from tcptune.domain.journal import SampleRecord, WaveState
from tcptune.domain.rollout import FAILURES
from tcptune.domain.runs import HostState

_TREATS = ("fail", "hold", "continue")


@dataclass
class WaveView:
    """Where a wave stands."""

    number: int
    hosts: tuple[str, ...] = ()
    state: WaveState = WaveState.PLANNED
    soak_until: datetime | None = None
    counts: Counter[HostState] = field(default_factory=Counter)
    """State -> its hosts in it; a state without a host may stand there with 0."""


@dataclass(frozen=True)
class Nearest:
    """A check of a gate: of all hosts that it was asked of in this wave, the one that comes nearest to failing."""

    sample: SampleRecord
    hosts: int
    """Of how many it was asked."""

    @property
    def used(self) -> float | None:
        """How much of its threshold it uses, 1.0 being all; None where it has none, or could not be judged."""
        return _used(self.sample)


class RolloutView:
    """Takes events one by one. What it holds is only read by others."""

    def __init__(self) -> None:
        self.began: RolloutBegan | None = None
        self.waves: dict[int, WaveView] = {}
        self.states: dict[str, HostState] = {}
        self.current: int | None = None
        """The wave that began last."""
        self.claimed_until: datetime | None = None
        self.waiting: Waiting | None = None
        self.asked: Asked | None = None
        self.ended: RolloutEnded | None = None
        self._deadlines: dict[str, datetime] = {}
        self._samples: dict[tuple[str, str], dict[str, SampleRecord]] = {}
        self._nearest: tuple[Nearest, ...] | None = None

    @property
    def counts(self) -> Counter[HostState]:
        """How many hosts of the rollout stand in each state."""
        total: Counter[HostState] = Counter()
        for wave in self.waves.values():
            total += wave.counts
        return total

    @property
    def deadline(self) -> datetime | None:
        """When the first host takes its change back by itself; None where none does."""
        return min(self._deadlines.values(), default=None)

    @property
    def nearest(self) -> tuple[Nearest, ...]:
        """Every check of the wave that began last, the one nearest to failing first."""
        if self._nearest is None:
            found = [Nearest(max(by_host.values(), key=_severity), len(by_host)) for by_host in self._samples.values()]
            self._nearest = tuple(sorted(found, key=lambda one: _severity(one.sample), reverse=True))
        return self._nearest

    def take(self, event: Event) -> None:
        """Take note of an event."""
        self.waiting = event if isinstance(event, Waiting) else None
        match event:
            case RolloutBegan():
                self._begin(event)
            case HostsClaimed():
                self.claimed_until = event.until
            case WaveBegan():
                self._begin_wave(event)
            case HostMoved():
                self._move(event)
            case SoakBegan():
                wave = self._wave(event.wave)
                wave.state, wave.soak_until = WaveState.SOAKING, event.until
            case GateMeasured(sample=one):
                self._samples.setdefault((one.gate, one.check), {})[one.host] = one
                self._nearest = None
            case WaveHeld():
                self._wave(event.wave).state = WaveState.HELD
            case WaveEnded():
                self._wave(event.wave).state = event.state
            case DeadlineExtended():
                self._deadlines |= dict.fromkeys(event.hosts, event.deadline)
            case Asked():
                self.asked = event
            case Answered():
                self.asked = None
            case RolloutEnded():
                self.ended = event

    def _begin(self, event: RolloutBegan) -> None:
        # What is left of an earlier attempt is in the states that it begins with.
        self.began, self.ended, self.asked, self.current, self.claimed_until = event, None, None, None, None
        self.waves, self.states, self._deadlines, self._samples, self._nearest = {}, {}, {}, {}, None
        for wave in event.waves:
            self._add_wave(wave, event)

    def _add_wave(self, wave: EventWave, event: RolloutBegan) -> None:
        states = {host: event.states.get(host, HostState.PLANNED) for host in wave.hosts}
        self.states |= states
        self.waves[wave.number] = WaveView(wave.number, wave.hosts, wave.state, counts=Counter(states.values()))

    def _begin_wave(self, event: WaveBegan) -> None:
        wave = self._wave(event.wave)
        wave.state, wave.soak_until, self.current = WaveState.CHANGING, None, event.wave
        if not wave.hosts:
            wave.hosts = event.hosts
        self._samples, self._nearest = {}, None

    def _move(self, event: HostMoved) -> None:
        counts = self._wave(event.wave).counts
        if (known := self.states.get(event.host)) is not None:
            counts[known] -= 1
        counts[event.after] += 1
        self.states[event.host] = event.after
        if event.deadline is not None:
            self._deadlines[event.host] = event.deadline
        elif event.after is not HostState.HELD:
            self._deadlines.pop(event.host, None)

    def _wave(self, number: int) -> WaveView:
        return self.waves.setdefault(number, WaveView(number))


def failed_hosts(view: RolloutView, hosts: Sequence[str]) -> tuple[str, ...]:
    """Return those of some hosts that count as failures."""
    return tuple(host for host in hosts if view.states.get(host) in FAILURES)


def _severity(sample: SampleRecord) -> tuple[int, float, str]:
    used = _used(sample)
    return -_TREATS.index(sample.treat), -1.0 if used is None else used, sample.host


def _used(sample: SampleRecord) -> float | None:
    if sample.verdict == "undecided" or sample.after is None or sample.threshold is None:
        return None
    if sample.threshold <= 0:
        return 0.0 if sample.after <= sample.threshold else float("inf")
    return sample.after / sample.threshold
