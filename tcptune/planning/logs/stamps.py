"""When a line was written: the forms of time that logs have. Never raises; what is no time has none."""

from __future__ import annotations

import re
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
    rb"|(?P<iso>\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?\s?(?P<isozone>Z|[+-]\d\d:?\d\d)?"
    # Access logs; HAProxy without a zone.
    rb"|(?P<clf>\d\d/" + _MONTH + rb"/\d{4}:\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?: (?P<clfzone>[+-]\d{4}))?"
    # syslog: neither year nor zone.
    rb"|(?P<syslog>" + _MONTH + rb" [ \d]\d \d\d:\d\d:\d\d)"
    # Kubernetes' klog: no year either.
    rb"|^[IWEF](?P<klog>\d{4} \d\d:\d\d:\d\d)"
    # JSON of zap, Bunyan and their like: seconds or milliseconds since 1970.
    rb'|"(?:ts|time|timestamp|@timestamp)"\s?:\s?"?(?P<epoch>\d{10}(?:\d{3})?)(?!\d)'
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
    if kind == "isozone":
        return _parsed("iso", found["iso"], found["isozone"], written)
    if kind == "clfzone":
        return _parsed("clf", found["clf"], found["clfzone"], written)
    return _parsed(kind or "", found[kind or 0], b"", written)


@lru_cache(maxsize=_REMEMBERED)
def _parsed(kind: str, text: bytes, zone: bytes, written: datetime) -> Stamp | None:
    """Return the time of what was found. A log names each second many times, so they are remembered."""
    try:
        return _read(kind, text.decode("ascii"), zone, written)
    except (ValueError, OverflowError):
        return None


def _read(kind: str, shown: str, zone: bytes, written: datetime) -> Stamp:
    match kind:
        case "micros":
            return _within(int(shown) // 1_000_000)
        case "epoch":
            return _within(int(shown) // (1000 if len(shown) == 13 else 1))
        case "iso":
            return _zoned(datetime.fromisoformat(f"{shown[:10].replace('/', '-')}T{shown[11:]}"), zone)
        case "clf":
            date, _, clock = shown.partition(":")
            day, month, year = date.split("/")
            return _zoned(_at(int(year), _MONTHS[month], int(day), clock), zone)
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


def _zoned(naive: datetime, zone: bytes) -> Stamp:
    offset = timedelta()
    if zone not in {b"", b"Z"}:
        digits = zone[1:].replace(b":", b"")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[:1] == b"-" else 1)
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
