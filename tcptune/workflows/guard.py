"""An applier that asks before each write whether the claim on the hosts still lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tcptune.domain.changes import Plan
from tcptune.domain.hosts import Host
from tcptune.ports import Applier, Heart, HostOutcome


@dataclass(frozen=True)
class Guarded:
    """Passes on what it is asked for. Raises LeaseLost, with nothing done, where somebody else may have the hosts.

    That is so for a way back, too: whoever took the hosts over has them, and what is held takes itself back.
    """

    applier: Applier
    heart: Heart

    def apply(
        self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int | None = None
    ) -> Iterator[HostOutcome]:
        """Change the kernel's values."""
        self.heart.check()
        return self.applier.apply(run_id, plan, hosts, revert_after_s)

    def confirm(self, run_id: str, plan: Plan, hosts: Sequence[Host]) -> Iterator[HostOutcome]:
        """Keep the values."""
        self.heart.check()
        return self.applier.confirm(run_id, plan, hosts)

    def extend(self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int) -> Iterator[HostOutcome]:
        """Give held hosts more time."""
        self.heart.check()
        return self.applier.extend(run_id, plan, hosts, revert_after_s)

    def roll_back(
        self,
        run_id: str,
        plan: Plan,
        hosts: Sequence[Host],
        force_keys: Sequence[str] = (),
        fence: Sequence[str] = (),
    ) -> Iterator[HostOutcome]:
        """Restore what each host had."""
        self.heart.check()
        return self.applier.roll_back(run_id, plan, hosts, force_keys, fence)
