# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/runs.py by tests/collection/copies.py: change it there.
"""One apply of one plan, host by host, and the table of moves a host may make."""

from __future__ import annotations

from datetime import datetime
from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import StrEnum
from typing import Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.followups import FollowUp
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen


class HostState(StrEnum):
    """Where a host stands in a run."""

    PLANNED = "planned"
    APPLYING = "applying"
    HELD = "held"
    """Applied at runtime, waiting to be confirmed. A reboot takes it back."""
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled back"
    REVERTED = "reverted"
    """Taken back by the host itself: nobody confirmed in time."""
    LOST = "lost"
    """The host was booted before anybody confirmed: its values are gone, and no file was touched."""
    PARTLY_BACK = "partly back"
    """Rolled back but for what a third party changed since."""
    STALE = "stale"
    """Refused, untouched: the host has moved since the plan was made."""
    UNREACHABLE = "unreachable"
    """Could not be read before the change, so nothing was begun there."""
    FAILED = "failed"
    """The change failed and was taken back on the host."""
    BROKEN = "broken"
    """The change failed and so did taking it back, or its outcome is not known: only the host's own record tells."""


class Act(StrEnum):
    """What a command does to the hosts of a run. Each value is the name of the command."""

    APPLY = "apply"
    CONFIRM = "confirm"
    EXTEND = "extend"
    ROLLBACK = "rollback"


_BY_ITSELF = frozenset({HostState.REVERTED, HostState.LOST})
_WAYS_BACK = frozenset({HostState.ROLLED_BACK, HostState.PARTLY_BACK, HostState.BROKEN}) | _BY_ITSELF

MOVES: dict[HostState, frozenset[HostState]] = {
    HostState.PLANNED: frozenset({HostState.APPLYING, HostState.STALE, HostState.UNREACHABLE}),
    # A run whose controller died stays here: a rollback asks the host how far it came.
    HostState.APPLYING: _WAYS_BACK | {HostState.HELD, HostState.STALE, HostState.FAILED},
    HostState.HELD: _WAYS_BACK | {HostState.CONFIRMED},
    HostState.CONFIRMED: _WAYS_BACK,
    HostState.PARTLY_BACK: _WAYS_BACK,
    HostState.BROKEN: _WAYS_BACK,
    HostState.ROLLED_BACK: frozenset(),
    HostState.REVERTED: frozenset(),
    HostState.LOST: frozenset(),
    HostState.STALE: frozenset(),
    HostState.UNREACHABLE: frozenset(),
    HostState.FAILED: frozenset(),
}
"""What may follow what. Staying is always allowed: a failed attempt is noted and moves nobody."""

CHANGED_STATES = frozenset(
    {HostState.APPLYING, HostState.HELD, HostState.CONFIRMED, HostState.PARTLY_BACK, HostState.BROKEN},
)
"""States in which a host may hold changes of the run: what a rollback has to visit."""

FAILED_STATES = frozenset({HostState.UNREACHABLE, HostState.FAILED, HostState.BROKEN, HostState.PARTLY_BACK})
"""States that make a command exit with 4."""


class BootCheck(Frozen):
    """What a look at a host's files, just before they were written, said of its next boot with ours among them."""

    wins: tuple[str, ...] = ()
    """What wins over our files by now, and did not when the plan was made: a sentence each."""
    unknown: tuple[str, ...] = ()
    """What could not be told, and why."""

    @property
    def said(self) -> tuple[str, ...]:
        """Everything a person has to know."""
        return (*self.wins, *self.unknown)


class HostResult(Frozen):
    """A host in a run."""

    host: str
    cohort: str
    state: HostState
    replaced: dict[str, str] = {}
    """Key -> value the host really had before: what a rollback restores."""
    deadline: datetime | None = None
    """While it is held: when the host takes the change back by itself. None where it waits for ever."""
    at_boot: BootCheck | None = None
    """Of a host that was confirmed; None where all is well, or before."""
    doing: Act | None = None
    """What was begun here and has not been heard of since: under way, or its controller died."""
    error: str | None = None
    hint: str | None = None
    warnings: tuple[str, ...] = ()
    """What the host said beside the outcome, during this command. The journal keeps it in its log of moves."""


class Work(Frozen):
    """A command that works on a run, and the process that runs it."""

    act: Act
    by: str
    """Login name and machine."""
    since: datetime
    process: str
    """What tells the process from any other; only the journal reads it."""
    pid: str
    alive: bool | None = None
    """Whether that process is still there; None where it cannot be seen from here."""


class Run(Frozen):
    """One apply of one plan."""

    tcptune: Literal["run"] = "run"
    format_version: Literal[1] = 1
    run_id: str
    plan_id: str
    profile: str
    started_at: datetime
    ended_at: datetime | None
    operator: str
    """Login name and machine of who started it."""
    tool_version: str
    results: tuple[HostResult, ...]
    afterwards: tuple[FollowUp, ...] = ()
    """What is left to a person on the hosts that hold or keep the change."""
    at_work: Work | None = None
    """Who works on it, or died at it. None once a command has come to its end."""

    def result(self, host: str) -> HostResult:
        """Return a host's result. Raises KeyError where the run does not know the host."""
        for found in self.results:
            if found.host == host:
                return found
        raise KeyError(host)

    def count(self, state: HostState) -> int:
        """Return how many hosts stand in a state."""
        return sum(r.state is state for r in self.results)


class Move(Frozen):
    """One line of a run's log: a host changed its state."""

    at: datetime
    host: str
    before: HostState
    after: HostState
    note: str
