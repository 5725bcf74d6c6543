"""When a line was written: the forms of time that logs have. Never raises; what is no time has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_STAMP = re.compile(
    # journald's own, in both of its forms: microseconds.
    rb'__REALTIME_TIMESTAMP(?:"\s?:\s?"|=)(?P<micros>\d{13,17})'
    # ISO 8601; with slashes Go's log package and nginx's error log; with a comma Python and Java.
    # PostgreSQL names UTC, or whole hours alone.
    rb"|(?P<iso>\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?"
    rb"(?P<isozone>\s?(?:(?:Z|UTC|GMT)(?![A-Za-z])|[+-]\d\d:?\d\d)|[+-]\d\d(?!\d))?"
    # The same without separators.
    rb"|(?<!\d)(?P<basic>\d{8}T\d{6})(?:[.,]\d{1,9})?(?P<basiczone>Z|[+-]\d{4})?"
    # Access logs; HAProxy without a zone; with hyphens Tomcat and PHP.
    rb"|(?P<clf>\d\d[-/]" + _MONTH + rb"[-/]\d{4}[: ]\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?: (?P<clfzone>[+-]\d{4}))?"
    # Apache's error log: the year behind the time.
    rb"|(?P<dated>" + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d)(?:\.\d{1,9})? (?P<year>20\d\d)(?=[]\s]|$)"
    # syslog: neither year nor zone.
    rb"|(?P<syslog>" + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d)"
    # Kubernetes' klog: no year either.
    rb"|^[IWEF](?P<klog>\d{4} \d\d:\d\d:\d\d)"
    # JSON and logfmt of zap, Bunyan and their like: since 1970 in seconds, or in thousandths of them once to thrice.
    rb'|(?:"(?:ts|time|timestamp|@timestamp)"\s?:\s?"?|\b(?:ts|time)=)(?P<epoch>\d{10}(?:\d{3}){0,3})(?!\d)'
    # Squid, and whoever else begins with seconds and a fraction.
    rb"|^\[?(?P<begun>1\d{9})\.\d{3,9}(?=[]\s])"
)
HEAD_BYTES = 512
"""How far from the start of a line its time is looked for; where there is none, as far from its end."""
_REMEMBERED = 4096
_TOMORROW = timedelta(days=1)


class Stamp(NamedTuple):
    """A time of a log."""

    epoch_s: int
    zoned: bool
    """False where the line names no zone; then it was taken for UTC."""


def stamp(line: bytes, written: datetime) -> Stamp | None:
    """Return when a line was written, or None. `written` gives the year to times without one: the latest before it."""
    found = _STAMP.search(line, 0, HEAD_BYTES)
    if found is None and len(line) > HEAD_BYTES:
        # Docker puts the time behind the message.
        found = _STAMP.search(line, len(line) - HEAD_BYTES)
    if found is None:
        return None
    kind = found.lastgroup
    if kind in {"isozone", "basiczone", "clfzone"}:
        named = kind.removesuffix("zone")
        return _parsed(named, found[named], found[kind].strip(), written)
    if kind == "year":
        return _parsed("dated", found["dated"] + b" " + found["year"], b"", written)
    return _parsed(kind or "", found[kind or 0], b"", written)


@lru_cache(maxsize=_REMEMBERED)
def _parsed(kind: str, text: bytes, zone: bytes, written: datetime) -> Stamp | None:
    """Return the time of what was found. A log names each second many times, so they are remembered."""
    try:
        return _read(kind, text.decode("ascii"), zone, written)
    except (ValueError, OverflowError):
        return None


def _read(kind: str, shown: str, zone: bytes, written: datetime) -> Stamp:
    if whole := _WHOLE.get(kind):
        return _zoned(whole(shown), zone)
    match kind:
        case "micros":
            return _within(int(shown) // 1_000_000)
        case "epoch" | "begun":
            return _within(int(shown[:10]))
        case "syslog":
            return _yearless(_MONTHS[shown[:3]], int(shown[4:6]), shown[7:], written)
        case _:
            return _yearless(int(shown[:2]), int(shown[2:4]), shown[5:], written)


def _within(epoch_s: int) -> Stamp:
    datetime.fromtimestamp(epoch_s, UTC)  # raises for what no calendar has
    return Stamp(epoch_s, zoned=True)


def _at(year: int, month: int, day: int, clock: str) -> datetime:
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return datetime(year, month, day, hours, minutes, min(seconds, 59))  # its zone comes after


_WHOLE: dict[str, Callable[[str], datetime]] = {
    "iso": lambda shown: _at(int(shown[:4]), int(shown[5:7]), int(shown[8:10]), shown[11:]),
    "basic": lambda shown: _at(
        int(shown[:4]), int(shown[4:6]), int(shown[6:8]), f"{shown[9:11]}:{shown[11:13]}:{shown[13:]}"
    ),
    "clf": lambda shown: _at(int(shown[7:11]), _MONTHS[shown[3:6]], int(shown[:2]), shown[12:]),
    "dated": lambda shown: _at(int(shown[16:]), _MONTHS[shown[:3]], int(shown[4:6]), shown[7:15]),
}
"""Forms that have a year."""


def _zoned(naive: datetime, zone: bytes) -> Stamp:
    offset = timedelta()
    if zone not in {b"", b"Z", b"UTC", b"GMT"}:
        digits = zone[1:].replace(b":", b"")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0)) * (-1 if zone[:1] == b"-" else 1)
    return Stamp(int((naive.replace(tzinfo=UTC) - offset).timestamp()), zoned=bool(zone))


def _yearless(month: int, day: int, clock: str, written: datetime) -> Stamp:
    # 29 February exists in one of the years that are tried.
    for year in range(written.year + 1, written.year - 8, -1):
        try:
            found = _at(year, month, day, clock).replace(tzinfo=UTC)
        except ValueError:
            continue
        if found <= written + _TOMORROW:
            return Stamp(int(found.timestamp()), zoned=False)
    raise ValueError("there is no such day")
