"""What became of a host's counters since a change: fixed, better, unchanged, worse, or not judged."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from pydantic import computed_field

from tcptune.domain.quantities import spelled
from tcptune.domain.values import Frozen


class Outcome(StrEnum):
    """What became of one number."""

    FIXED = "fixed"
    """It was more than what is tolerated, and is not any more."""
    BETTER = "better"
    """At most half of what it was, and still more than what is tolerated."""
    UNCHANGED = "unchanged"
    WORSE = "worse"
    NOT_JUDGED = "not judged"


class Quiet(Frozen):
    """Traffic that is too little to judge a number by."""

    before_per_s: float
    now_per_s: float | None = None
    """None where there was too little before: what there is now does not matter then."""


def too_quiet(some: Sequence[Quiet]) -> str:
    """Say why numbers were not judged for lack of traffic: all of them before the run, or all of them now.

    >>> too_quiet([Quiet(before_per_s=3.5), Quiet(before_per_s=7)])
    'idle before: 3.5 to 7 per second'
    """
    before = _range([one.before_per_s for one in some])
    if now := [one.now_per_s for one in some if one.now_per_s is not None]:
        return f"too little traffic to tell: {_range(now)} per second now, {before} before"
    return f"idle before: {before} per second"


def _range(values: Sequence[float]) -> str:
    least, most = spelled(min(values)), spelled(max(values))
    return least if least == most else f"{least} to {most}"


class RateEffect(Frozen):
    """One number before and after."""

    rule: str
    """Name of a rule of the counters gate."""
    outcome: Outcome
    before: float | None
    after: float | None
    unit: str
    tolerated: float
    """What counts as nothing."""
    why: str = ""
    """Why it was not judged."""
    quiet: Quiet | None = None
    """The traffic, where that is why it was not judged."""

    @property
    def there(self) -> bool:
        """Whether it is more than next to nothing now."""
        return self.after is not None and self.after > self.tolerated

    @property
    def open(self) -> bool:
        """Whether it is or was more than what is tolerated, and what became of it is not known."""
        known = [value for value in (self.before, self.after) if value is not None]
        return self.outcome is Outcome.NOT_JUDGED and any(value > self.tolerated for value in known)


class HostEffect(Frozen):
    """All numbers of one host."""

    host: str
    rates: tuple[RateEffect, ...] = ()
    why: str = ""
    """Why nothing was compared."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """The host's verdict: worse where one number is; not judged where one that was there is not; else the best.

        Where most numbers are not judged, for lack of traffic, the few that are do not make a host unchanged.
        """
        found = {one.outcome for one in self.rates}
        if Outcome.WORSE not in found and any(one.open for one in self.rates):
            return Outcome.NOT_JUDGED
        if moved := [one for one in (Outcome.WORSE, Outcome.FIXED, Outcome.BETTER) if one in found]:
            return moved[0]
        judged = sum(one.outcome is Outcome.UNCHANGED for one in self.rates)
        return Outcome.UNCHANGED if 2 * judged > len(self.rates) else Outcome.NOT_JUDGED
