"""Whether a run's changes are still in place."""

from __future__ import annotations

from typing import Literal

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


class HostVerdict(Frozen):
    """All settings of a run on one host."""

    host: str
    state: HostState
    checks: tuple[Check, ...]
    error: str | None = None
    """Why the host could not be read. Then it is not called fine."""
    hint: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the host was read and every check holds."""
        return self.error is None and all(check.ok for check in self.checks)


class RunVerdict(Frozen):
    """A whole run, looked at again."""

    tcptune: Literal["verify"] = "verify"
    format_version: Literal[1] = 1
    run_id: str
    hosts: tuple[HostVerdict, ...]
