"""Whether a run's changes are still in place."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from tcptune.domain.effects import HostEffect, Outcome
from tcptune.domain.findings import Boot
from tcptune.domain.runs import HostState
from tcptune.domain.values import Frozen, SysctlKey


class Check(Frozen):
    """One setting of a run, looked at again."""

    key: SysctlKey
    expected: str
    actual: str | None
    """None where it cannot be read any more."""
    at_boot: Boot
    boot_matters: bool
    """False for a run that is held or rolled back: then the next boot is not ours to promise."""

    @property
    def ok(self) -> bool:
        """Whether runtime, and the next boot where it matters, are as the run left them."""
        return self.actual == self.expected and (not self.boot_matters or self.at_boot.value == self.expected)

    @property
    def unknown(self) -> bool:
        """Whether runtime is as the run left it, and nobody can say whether the next boot is."""
        return self.actual == self.expected and self.boot_matters and not self.at_boot.known


class FileOutcome(StrEnum):
    """What became of a file of a run beside its settings."""

    AS_LEFT = "as left"
    WAITS = "waits for a restart"
    """The next start gives what is wanted; what runs was started before."""
    MOVED = "moved"
    UNKNOWN = "not known"


class FileCheck(Frozen):
    """A limit of a run, at its next start; or a file that must be as it was before, where the run was not confirmed."""

    path: str
    what: str
    """The processes it is about, 'nginx (nginx.service)', or the path again."""
    outcome: FileOutcome
    said: str
    """What was found: 'wanted 65536, 65536 at the next start (/etc/...), 1024 now'."""


class OldQueue(Frozen):
    """A listener whose queue is as long as before the run: its program was not started again since."""

    listener: str
    """'nginx on 0.0.0.0:443'."""
    backlog: int
    """Connections that its queue takes."""
    do: str
    """What is left to a person, as the plan says it: 'systemctl restart nginx.service'."""


class HostVerdict(Frozen):
    """All settings and limits of a run on one host."""

    host: str
    state: HostState
    checks: tuple[Check, ...]
    files: tuple[FileCheck, ...] = ()
    old_queues: tuple[OldQueue, ...] = ()
    error: str | None = None
    """Why the host could not be read. Then it is not called fine."""
    hint: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the host was read, every check holds, and nothing waits for a restart."""
        return self.in_place and not self.waiting

    @property
    def moved(self) -> bool:
        """Whether something is certainly not as the run left it."""
        checks = any(not check.ok and not check.unknown for check in self.checks)
        return checks or any(file.outcome is FileOutcome.MOVED for file in self.files)

    @property
    def in_place(self) -> bool:
        """Whether all is as the run left it: a restart that nobody has done yet is no fault of the run."""
        return self.error is None and not self.moved and not self.unknown

    @property
    def waiting(self) -> tuple[FileCheck | OldQueue, ...]:
        """The limits and the queues whose processes have to be started again."""
        return (*(file for file in self.files if file.outcome is FileOutcome.WAITS), *self.old_queues)

    @property
    def unknown(self) -> tuple[Check | FileCheck, ...]:
        """The settings, limits and files that could not be judged."""
        checks = tuple(check for check in self.checks if check.unknown)
        return checks + tuple(file for file in self.files if file.outcome is FileOutcome.UNKNOWN)


class RunVerdict(Frozen):
    """A whole run, looked at again."""

    tcptune: Literal["verify"] = "verify"
    format_version: Literal[1] = 1
    run_id: str
    hosts: tuple[HostVerdict, ...]
    effects: tuple[HostEffect, ...] = ()
    """What became of their counters; empty where nobody asked for it."""

    @property
    def worse(self) -> bool:
        """Whether a rate of a host is worse than before the run."""
        return any(one.outcome is Outcome.WORSE for one in self.effects)

    @property
    def unmeasured(self) -> bool:
        """Whether there is a host whose rates could not be compared."""
        return any(one.outcome is Outcome.NOT_JUDGED for one in self.effects)
