# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/host_runs.py by tests/collection/copies.py: change it there.
"""What hosts know of runs, and what is left over there of runs that nobody ended."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.runs import HostState
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen


class HostRun(Frozen):
    """One run in a host's own record."""

    run: str
    state: str
    """As the host calls it: held, confirmed, rolled_back, reverted, lost, failed_restored; or what was going on."""
    since: datetime
    boot_id: str | None
    """The boot in which it was applied."""
    deadline: datetime | None = None
    """When the host takes it back by itself."""
    timer_alive: bool = False


class HostRuns(Frozen):
    """Every run that a host remembers."""

    runs: tuple[HostRun, ...] = ()
    busy: str | None = None
    """The run that a process changes the host for right now. None where no process of this boot holds its lock."""


class Leftover(Frozen):
    """A run that somebody has to end on one host, or whose end the journal does not know."""

    host: str
    run: str
    on_host: str | None
    """The state in the host's own record; None where it has none."""
    in_journal: HostState | None
    """None where this journal does not know the run."""
    what: str
    verb: Literal["confirm", "rollback"] | None
    """What ends it; None while somebody is at work on it."""
    command: str
    """The one command that settles it on this host, or says more once it has ended."""


class Settlement(Frozen):
    """The one command that ends a run on all hosts on which it is left over."""

    run: str
    hosts: tuple[str, ...]
    command: str


class Unseen(Frozen):
    """A host whose records could not be read."""

    host: str
    why: str
    hint: str | None = None


class Doctor(Frozen):
    """What is left over on a fleet."""

    tcptune: Literal["doctor"] = "doctor"
    format_version: Literal[1] = 1
    fine: tuple[str, ...]
    """Hosts on which nothing is left over."""
    leftovers: tuple[Leftover, ...]
    settlements: tuple[Settlement, ...] = ()
    """One for each run of the journal that is left over on several hosts."""
    unseen: tuple[Unseen, ...]
