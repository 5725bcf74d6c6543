"""What is known of a rollout while it goes on: one place, kept up with the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tcptune.domain.journal import WaveRecord
from tcptune.domain.runs import CHANGED_STATES, HostResult, HostState
from tcptune.planning.rollout import failed_hosts

if TYPE_CHECKING:
    from tcptune.domain.changes import Plan
    from tcptune.domain.events import Event
    from tcptune.domain.hosts import Host
    from tcptune.domain.rollout import Policy
    from tcptune.domain.runs import Run

Emit = Callable[["Event"], None]
Ask = Callable[[str, Sequence[str]], str | None]
"""Asks a person: a question and its answers. None where nobody answers."""


@dataclass(frozen=True)
class Outside:
    """What surrounds a rollout: time, people and whoever looks on."""

    clock: Callable[[], datetime]
    """The time of day, for records and people: it can be set."""
    elapsed: Callable[[], float]
    """Seconds since some moment, asleep included: what durations are measured by."""
    pause: Callable[[float], None]
    """Waits so many seconds, or less where somebody interrupts."""
    emit: Emit
    interrupted: Callable[[], str | None]
    """What stops the rollout from outside: 'Ctrl-C', or the name of a signal."""
    ask: Ask
    operator: str


@dataclass
class Rolling:
    """A rollout under way."""

    run: Run
    plan: Plan
    policy: Policy
    hosts: dict[str, Host]
    waves: list[WaveRecord]
    confirm_within_s: int | None
    """How long a person has, once one is waited for; None for ever."""
    standing: dict[str, HostResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.standing = {result.host: result for result in self.run.results}

    def results(self, names: Iterable[str]) -> list[HostResult]:
        """Return where hosts stand."""
        return [self.standing[name] for name in names]

    def those(self, names: Iterable[str], *states: HostState) -> list[Host]:
        """Return the hosts that stand in one of the states."""
        return [self.hosts[name] for name in names if self.standing[name].state in states]

    def changed(self, names: Iterable[str]) -> list[Host]:
        """Return the hosts that may hold a change of the run."""
        return self.those(names, *CHANGED_STATES)

    def held(self) -> list[Host]:
        """Return every host that holds the change and was not confirmed."""
        return self.those(self.standing, HostState.HELD)

    def states(self) -> dict[str, HostState]:
        """Return the state of every host."""
        return {name: result.state for name, result in self.standing.items()}

    def wave(self, number: int) -> WaveRecord:
        """Return a wave as it stands."""
        return self.waves[number - 1]

    def wave_of(self, host: str) -> int:
        """Return the number of a host's wave."""
        return next(wave.number for wave in self.waves if host in wave.hosts)

    def too_many_failed(self, wave: WaveRecord, others: Iterable[str] = ()) -> str | None:
        """Return why the wave fails for its hosts, or those before; None where few enough failed.

        `others` count as failed, too.
        """
        failed = {*failed_hosts(self.standing.values()), *others}
        return self.policy.failures.exceeded(
            wave=len(failed.intersection(wave.hosts)),
            of_wave=len(wave.hosts),
            total=len(failed),
            of_total=len(self.standing),
        )


@dataclass(frozen=True)
class Ended:
    """How a rollout, or a part of it, ended."""

    code: int | None
    """Exit code; None where the hosts' states say it."""
    why: str
    next: str | None = None
    """The one command that comes next."""
