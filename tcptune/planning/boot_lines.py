"""Read one sysctl.d file as each loader does. They differ in small things: see each function."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# The vendors' files are the same on every host of a fleet.
_REMEMBERED = 256
_SYSTEMD_BLANKS = " \t\n\r"
_SYSTEMD_LONGEST_LINE_BYTES = 1024 * 1024
_SYSTEMD_LINE_ENDS = re.compile(r"\n\r?\0?|\r\n?\0?|\0")
_PROCPS_BLANKS = " \t\n\v\f\r"
_SWAPPED = str.maketrans("./", "/.")


class Line(NamedTuple):
    """One line that speaks of a key."""

    number: int
    path: str
    """Below /proc/sys, as the loader spells it; may be a pattern."""
    value: str | None
    """None for `-key`, which takes the key out of the globs."""


@lru_cache(maxsize=_REMEMBERED)
def systemd_lines(content: str) -> tuple[Line, ...]:
    """Read as systemd-sysctl: a carriage return or a NUL ends a line too; a line of 1 MiB ends the reading."""
    return tuple(_systemd_read(content))


@lru_cache(maxsize=_REMEMBERED)
def procps_lines(content: str) -> tuple[Line, ...]:
    """Read as `sysctl --system`: a NUL hides the rest of its line; `- key` keeps the space; `--key` loses both dashes.

    The path stays as written, doubled slashes included: that is how procps compares it with what a glob finds.
    """
    return tuple(_procps_read(content))


def _systemd_read(content: str) -> Iterator[Line]:
    for number, text in _systemd_split(content):
        line = text.strip(_SYSTEMD_BLANKS)
        if not line or line[0] in "#;":
            continue
        name, assigns, value = line.partition("=")
        if not assigns and line[0] != "-":
            continue
        name = name.removeprefix("-").strip(_SYSTEMD_BLANKS)
        parts = [part for part in _slashed(name).split("/") if part not in {"", "."}]
        yield Line(number, "/".join(parts), value.strip(_SYSTEMD_BLANKS) if assigns else None)


def _systemd_split(content: str) -> Iterator[tuple[int, str]]:
    number = 1
    start = 0
    while start < len(content):
        end = _SYSTEMD_LINE_ENDS.search(content, start)
        text = content[start : end.start() if end else len(content)]
        if len(text.encode(errors="surrogateescape")) >= _SYSTEMD_LONGEST_LINE_BYTES:
            return
        yield number, text
        if end is None:
            return
        number += end.group().count("\n")
        start = end.end()


def _procps_read(content: str) -> Iterator[Line]:
    for number, text in enumerate(content.split("\n"), start=1):
        line = text.partition("\0")[0].lstrip(_PROCPS_BLANKS)
        if not line or line[0] in "#;":
            continue
        name, assigns, value = line.partition("=")
        if not assigns and line[0] != "-":
            continue
        name = name.removeprefix("-").rstrip(_PROCPS_BLANKS).removeprefix("-")
        yield Line(number, _slashed(name), value.strip(_PROCPS_BLANKS) if assigns else None)


def _slashed(name: str) -> str:
    """Turn a key into a path. The first separator decides: a dot swaps all dots and slashes, a slash changes nothing.

    >>> _slashed("net.ipv4.conf.eth0/100.rp_filter")
    'net/ipv4/conf/eth0.100/rp_filter'
    """
    first = next((char for char in name if char in "./"), "/")
    return name.translate(_SWAPPED) if first == "." else name
