"""Two looks at one host, some seconds apart."""

from __future__ import annotations

from tcptune.domain.facts import HostFacts, Unread
from tcptune.domain.values import Frozen


class Sampled(Frozen):
    """A host that could be read twice."""

    first: HostFacts
    second: HostFacts

    @property
    def host(self) -> str:
        """Return its name in the inventory."""
        return self.second.host

    @property
    def rebooted(self) -> bool:
        """Say whether it was booted in between: its counters began again, and no difference means anything."""
        return self.first.system.boot_id != self.second.system.boot_id


HostSamples = Sampled | Unread
"""A host that could not be read the second time is Unread, too: half a sample says nothing of rates."""
