"""What is known of a counter of the kernel: what it counts, what is well, and what it points to. No host is here."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from tcptune.domain.parameters import Verified
from tcptune.domain.values import Frozen


class CounterKind(StrEnum):
    """How a counter is read."""

    RATE = "rate"
    """It only grows: the difference of two samples, over the time between them."""
    LEVEL = "level"
    """What is there now."""


class Counter(Frozen):
    """One counter of the kernel, or of a driver."""

    name: str = Field(pattern=r"^[A-Za-z_]+(?:\.\w+){0,2}$")
    """As facts have it where they hold it: TcpExt.ListenOverflows, sockstat.TCP.tw, softnet_stat.dropped."""
    also: tuple[str, ...] = ()
    """Other names of the same thing, by driver."""
    file: str = Field(min_length=5)
    """Where it is to be read."""
    meaning: str = Field(min_length=5)
    kind: CounterKind
    healthy: str = Field(min_length=1)
    """What it is on a host that is well."""
    symptom: str = ""
    """What is felt where it is not."""
    points_to: str = ""
    resets: str = ""
    """What it says of resets."""
    note: str = ""
    since: str
    """Release of Linux; with a ~ where it is from general knowledge."""
    verified: Verified

    @property
    def short(self) -> str:
        """Without its group: ListenOverflows."""
        return self.name.rpartition(".")[2]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it goes by: that of facts, of nstat, and of /proc."""
        proc = self.file in {"/proc/net/snmp", "/proc/net/netstat"}
        return (self.name, *((self.name.replace(".", ""), self.short) if proc else ()), *self.also)
