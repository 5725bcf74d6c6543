"""When hosts may be changed: times of day in a zone, over midnight and over changes of the clock. Reads no clock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from tcptune.domain.values import Frozen

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDNIGHT = "24:00"
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def _clock(value: object) -> str:
    if isinstance(value, str) and (_CLOCK.fullmatch(value) or value == MIDNIGHT):
        return value
    raise ValueError(f"{value!r} is no time of day from 00:00 to 24:00")


def _zone(value: object) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone that this machine knows") from None


def _days(value: object) -> tuple[str, ...]:
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list | tuple) or not named:
        raise ValueError(f"days are a list of {', '.join(DAYS)}")
    if unknown := [day for day in named if day not in DAYS]:
        raise ValueError(f"{unknown[0]!r} is no day; days are {', '.join(DAYS)}")
    return tuple(day for day in DAYS if day in named)


Clock = Annotated[
    str,
    BeforeValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"}),
]
"""Hours and minutes as a clock in the zone shows them."""
_DAYS_SCHEMA = {
    "anyOf": [{"enum": list(DAYS)}, {"type": "array", "minItems": 1, "items": {"enum": list(DAYS)}}],
}


class TimeWindow(Frozen):
    """A stretch of time that comes back on some days of the week.

    It opens when the clock first shows `opens` on a day, and closes when it first shows `closes`. A time that a change
    of the clock skips counts as shown at the moment of the change; of a time that comes twice, the first one counts. So
    a window that lies wholly in a skipped hour does not open on that day.
    """

    days: Annotated[tuple[str, ...], BeforeValidator(_days), WithJsonSchema(_DAYS_SCHEMA)] = Field(
        default=DAYS, description="Days on which it opens; every day without it."
    )
    opens: Clock = Field(description="HH:MM.")
    closes: Clock = Field(description="HH:MM; before `opens`, on the day after; 24:00 for the end of the day.")
    zone: Annotated[str, BeforeValidator(_zone), WithJsonSchema({"type": "string", "minLength": 1})] = Field(
        description="Time zone by its name: Europe/Berlin, UTC."
    )

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.opens == self.closes:
            raise ValueError(f"this window closes when it opens, at {self.opens}; for a whole day: 00:00 to {MIDNIGHT}")
        if self.opens == MIDNIGHT:
            raise ValueError("a day begins at 00:00; 24:00 is where it ends")
        return self

    def allowed(self, now: datetime) -> bool:
        """Say whether the window is open. Raises ValueError for a time without zone."""
        today = self._today(now)
        # One that opened yesterday may reach over midnight.
        return any(opens <= now < closes for opens, closes in map(self._on, (today - timedelta(1), today)))

    def opens_next(self, now: datetime) -> datetime:
        """Return when, after `now`, it opens next, in UTC. Raises ValueError for a time without zone."""
        today = self._today(now)
        for days in count():
            # Only a window within a skipped hour is ever empty, so this ends.
            opens, closes = self._on(today + timedelta(days))
            if now < opens < closes:
                return opens
        raise AssertionError  # pragma: no cover

    def _today(self, now: datetime) -> date:
        if now.tzinfo is None:
            raise ValueError("a time without zone says nothing about a window")
        return now.astimezone(ZoneInfo(self.zone)).date()

    def _on(self, day: date) -> tuple[datetime, datetime]:
        """Return when it opens and closes on a day, in UTC; twice the same on a day that is not its own."""
        opens = first_shown(day, self.opens, self.zone)
        if DAYS[day.weekday()] not in self.days:
            return opens, opens
        # The same spelling sorts as the time does.
        ends = day if self.opens < self.closes else day + timedelta(1)
        return opens, first_shown(ends, self.closes, self.zone)

    def __str__(self) -> str:
        days = "every day" if self.days == DAYS else ", ".join(self.days)
        return f"{days} {self.opens} to {self.closes} {self.zone}"


def first_shown(day: date, clock: str, zone: str) -> datetime:
    """Return the first instant, in UTC, at which a clock in `zone` shows that time of that day, or has passed it."""
    if clock == MIDNIGHT:
        day, clock = day + timedelta(1), "00:00"
    local = datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone))
    # Of an hour that comes twice, fold=0 is the first.
    found = local.astimezone(UTC)
    if found.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    # The clock skips it: the change lies between what the two offsets make of it.
    before = local.replace(fold=1).astimezone(UTC)
    while found - before > timedelta(seconds=1):
        middle = before + (found - before) // 2
        shows = middle.astimezone(local.tzinfo).replace(tzinfo=None)
        before, found = (before, middle) if shows >= local.replace(tzinfo=None) else (middle, found)
    return found.replace(microsecond=0)


def allowed(windows: Iterable[TimeWindow], now: datetime) -> bool:
    """Say whether one of the windows is open; without any, it always is."""
    windows = tuple(windows)
    return not windows or any(window.allowed(now) for window in windows)


def opens_next(windows: Iterable[TimeWindow], now: datetime) -> datetime | None:
    """Return when, after `now`, one of the windows opens next, in UTC; None without any: then it is always allowed."""
    return min((window.opens_next(now) for window in windows), default=None)
