"""What became of a host's counters since a change: fixed, better, unchanged, worse, or not judged."""

from __future__ import annotations

from enum import StrEnum

from pydantic import computed_field

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
