"""How much worse a host's counters may get: the rules of a counters gate. More is always worse."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tcptune.domain.values import Frozen

NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"
"""What a rule or a command may be called: it is a column of a report."""
_COUNTER = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+){1,2}")


def _counter(name: str) -> str:
    if not _COUNTER.fullmatch(name):
        raise ValueError(f"{name!r} is no counter; write it as facts do: TcpExt.ListenOverflows, softnet_stat.dropped")
    return name


Counter = Annotated[str, AfterValidator(_counter)]


class _Rule(Frozen):
    """What every rule has."""

    name: Annotated[str, Field(pattern=NAME)]
    counters: Annotated[tuple[Counter, ...], Field(min_length=1)]
    """Added up."""
    times_before: Annotated[float, Field(gt=1)] = 2.0
    """The host may have this many times its own number from before the change."""
    times_others: Annotated[float, Field(ge=1)] = 1.5
    """It may grow this many times as much as the hosts not yet changed did meanwhile. The laxer of the two binds."""
    traffic: Annotated[tuple[Counter, ...], Field(min_length=1)] = ("Tcp.OutSegs",)
    """Counters that tell whether the host is at work, added up."""
    min_traffic_per_s: Annotated[float, Field(ge=0)] = 10.0
    why: Annotated[str, Field(min_length=1)]
    """What it means when this gets worse."""
    source: Annotated[str, Field(min_length=1)]


class RateRule(_Rule):
    """Events per second."""

    measure: Literal["rate"] = "rate"
    tolerated_per_s: Annotated[float, Field(gt=0)]
    """What it was before counts as at least this much: factors of next to nothing say nothing."""
    at_most_per_s: Annotated[float, Field(ge=0)] | None = None
    """Fails above this, whatever it was before and is elsewhere."""

    @property
    def unit(self) -> str:
        """Unit of the numbers."""
        return "per second"

    @property
    def tolerated(self) -> float:
        """In `unit`."""
        return self.tolerated_per_s

    @property
    def at_most(self) -> float | None:
        """In `unit`."""
        return self.at_most_per_s


class ShareRule(_Rule):
    """Events per hundred others."""

    measure: Literal["share"] = "share"
    of: Annotated[tuple[Counter, ...], Field(min_length=1)]
    """What a hundred is counted of, added up."""
    tolerated_percent: Annotated[float, Field(gt=0)]
    at_most_percent: Annotated[float, Field(ge=0)] | None = None

    @property
    def unit(self) -> str:
        """Unit of the numbers."""
        return "percent"

    @property
    def tolerated(self) -> float:
        """In `unit`."""
        return self.tolerated_percent

    @property
    def at_most(self) -> float | None:
        """In `unit`."""
        return self.at_most_percent


class LevelRule(_Rule):
    """How much of something there is: the larger of the readings at the ends of a window."""

    measure: Literal["level"] = "level"
    unit: Annotated[str, Field(min_length=1)]
    """'pages', 'sockets'."""
    tolerated_level: Annotated[float, Field(gt=0)]
    at_most_level: Annotated[float, Field(ge=0)] | None = None

    @property
    def tolerated(self) -> float:
        """In `unit`."""
        return self.tolerated_level

    @property
    def at_most(self) -> float | None:
        """In `unit`."""
        return self.at_most_level


CounterRule = Annotated[RateRule | ShareRule | LevelRule, Field(discriminator="measure")]
