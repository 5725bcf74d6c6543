"""Windows of time: over midnight, by weekday, in other zones, and on days on which the clock is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tcptune.domain.time_windows import DAYS, TimeWindow, allowed, first_shown, opens_next

BERLIN = "Europe/Berlin"


def window(opens: str = "22:00", closes: str = "04:00", zone: str = "UTC", **fields: object) -> TimeWindow:
    return TimeWindow.model_validate({"opens": opens, "closes": closes, "zone": zone, **fields})


def at(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(found: TimeWindow, day: str) -> float:
    """Return for how many hours a window is open, minute by minute, from noon (UTC) of the day before to noon."""
    noon = at(f"{day} 12:00") - timedelta(1)
    return sum(found.allowed(noon + timedelta(minutes=minute)) for minute in range(24 * 60)) / 60


@pytest.mark.parametrize(
    ("now", "open_"),
    [
        ("2026-11-20 21:59:59", False),
        ("2026-11-20 22:00", True),
        ("2026-11-21 00:00", True),
        ("2026-11-21 03:59:59", True),
        ("2026-11-21 04:00", False),
    ],
)
def test_a_window_over_midnight_is_open_from_its_first_second_to_before_its_last(now: str, open_: bool) -> None:
    assert window().allowed(at(now)) is open_


def test_the_hours_after_midnight_belong_to_the_day_on_which_it_opened() -> None:
    friday = window(days=["fri"])

    assert friday.allowed(at("2026-11-21 03:00"))  # a Saturday
    assert not friday.allowed(at("2026-11-20 03:00"))
    assert not friday.allowed(at("2026-11-21 23:00"))


def test_a_window_is_in_its_own_zone() -> None:
    tokyo = window("09:00", "10:00", "Asia/Tokyo", days="mon")

    assert tokyo.allowed(at("2026-11-23 00:30"))
    assert not tokyo.allowed(at("2026-11-23 09:30"))
    # Monday in Tokyo begins on Sunday in UTC.
    assert window("00:00", "01:00", "Asia/Tokyo", days="mon").opens_next(at("2026-11-20 00:00")) == at(
        "2026-11-22 15:00"
    )


def test_whole_days_touch_without_a_gap() -> None:
    weekend = window("00:00", "24:00", days=["sun", "sat"])

    assert weekend.days == ("sat", "sun")
    assert not weekend.allowed(at("2026-11-20 23:59:59"))
    assert weekend.allowed(at("2026-11-21 00:00"))
    assert weekend.allowed(at("2026-11-21 23:59:59"))
    assert weekend.allowed(at("2026-11-22 00:00"))
    assert not weekend.allowed(at("2026-11-23 00:00"))


@pytest.mark.parametrize(
    ("now", "next_"),
    [
        ("2026-11-20 21:00", "2026-11-20 22:00"),
        ("2026-11-20 22:00", "2026-11-23 22:00"),
        ("2026-11-21 03:00", "2026-11-23 22:00"),
        ("2026-11-22 03:00", "2026-11-23 22:00"),
    ],
)
def test_it_opens_next_on_the_next_of_its_days(now: str, next_: str) -> None:
    assert window(days=list(DAYS[:5])).opens_next(at(now)) == at(next_)


def test_where_the_clock_skips_the_opening_it_opens_when_the_clock_is_changed() -> None:
    # 29 March 2026, 02:00 becomes 03:00 in Berlin, at 01:00 UTC.
    found = window("02:30", "05:00", BERLIN)

    assert found.opens_next(at("2026-03-28 12:00")) == at("2026-03-29 01:00")
    assert hours(found, "2026-03-29") == 2  # 03:00 to 05:00 on the clock
    assert hours(found, "2026-03-28") == 2.5


def test_where_the_clock_skips_the_closing_it_closes_when_the_clock_is_changed() -> None:
    assert hours(window("22:00", "02:30", BERLIN), "2026-03-29") == 4


def test_a_window_within_the_skipped_hour_does_not_open_that_day() -> None:
    found = window("02:15", "02:45", BERLIN)

    assert hours(found, "2026-03-29") == 0
    assert found.opens_next(at("2026-03-28 12:00")) == at("2026-03-30 00:15")


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    # 25 October 2026, 03:00 becomes 02:00 in Berlin, at 01:00 UTC.
    assert hours(window("22:00", "02:30", BERLIN), "2026-10-25") == 4.5
    assert hours(window("02:30", "04:00", BERLIN), "2026-10-25") == 2.5
    assert hours(window("02:15", "02:45", BERLIN), "2026-10-25") == 0.5
    assert hours(window("00:00", "24:00", BERLIN, days=["sun"]), "2026-10-25") == 14


def test_a_day_of_25_hours_is_all_in_a_window_of_that_day() -> None:
    sunday = window("00:00", "24:00", BERLIN, days=["sun"])

    assert sunday.allowed(at("2026-10-24 22:00"))
    assert sunday.allowed(at("2026-10-25 22:59:59"))
    assert not sunday.allowed(at("2026-10-25 23:00"))


def test_the_moment_at_which_the_clock_passes_a_skipped_time_is_found_to_the_second() -> None:
    assert first_shown(date(2026, 3, 29), "02:01", BERLIN) == at("2026-03-29 01:00")
    assert first_shown(date(2026, 3, 29), "02:59", BERLIN) == at("2026-03-29 01:00")
    # An island that left out a whole day.
    assert first_shown(date(2011, 12, 30), "12:00", "Pacific/Apia") == at("2011-12-30 10:00")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"opens": "22:00", "closes": "22:00"}, "closes when it opens"),
        ({"opens": "24:00", "closes": "04:00"}, "a day begins at 00:00"),
        ({"opens": "9:00"}, "no time of day"),
        ({"opens": "24:01"}, "no time of day"),
        ({"opens": 1320}, "no time of day"),
        ({"days": []}, "days are a list"),
        ({"days": ["mon", "freitag"]}, "'freitag' is no day"),
        ({"zone": "Europe/Berlni"}, "no time zone"),
        ({"zone": "Europe"}, "no time zone"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"zone": ""}, "no time zone"),
    ],
)
def test_what_is_no_window_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        window(**{"opens": "22:00", "closes": "04:00", **fields})  # type: ignore[arg-type]


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without zone"):
        window().allowed(datetime(2026, 11, 20))


def test_one_open_window_of_several_is_enough() -> None:
    several = (window("22:00", "23:00"), window("12:00", "13:00"))

    assert allowed(several, at("2026-11-20 12:30"))
    assert not allowed(several, at("2026-11-20 14:00"))
    assert opens_next(several, at("2026-11-20 14:00")) == at("2026-11-20 22:00")


def test_without_a_window_it_is_always_allowed() -> None:
    assert allowed((), at("2026-11-20 12:30"))
    assert opens_next((), at("2026-11-20 12:30")) is None


CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.builds(
    lambda opens, closes, zone, days: window(opens, closes if closes != opens else "24:00", zone, days=days),
    CLOCKS,
    CLOCKS,
    st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]),
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(WINDOWS, TIMES)
def test_when_it_opens_it_is_open_and_a_moment_before_it_is_as_it_was(found: TimeWindow, now: datetime) -> None:
    opens = found.opens_next(now)

    assert opens > now
    assert found.allowed(opens)
    if not found.allowed(now):
        # Nothing opens in between.
        assert not any(found.allowed(now + (opens - now) * part / 8) for part in range(8))


@given(WINDOWS, TIMES)
def test_away_from_changes_of_the_clock_it_is_open_as_the_clock_says(found: TimeWindow, now: datetime) -> None:
    zone = ZoneInfo(found.zone)
    local = now.astimezone(zone)
    around = {(now + timedelta(hours=step)).astimezone(zone).utcoffset() for step in range(-48, 49, 4)}
    if len(around) > 1:
        return
    shown = f"{local:%H:%M}"
    today, yesterday = DAYS[local.weekday()] in found.days, DAYS[local.weekday() - 1] in found.days
    if found.opens < found.closes:
        expected = today and found.opens <= shown < found.closes
    else:
        expected = (today and shown >= found.opens) or (yesterday and shown < found.closes)

    assert found.allowed(now) is expected
