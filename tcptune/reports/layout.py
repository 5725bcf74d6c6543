"""Small pieces of text layout that reports share."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

WIDTH = 120


def aligned(rows: Iterable[Sequence[str]], *, indent: str = "  ", gap: str = "  ") -> list[str]:
    """Return rows as lines with their columns aligned; the last column is ragged."""
    table = [tuple(row) for row in rows]
    if not table:
        return []
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    return [
        (indent + gap.join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])).rstrip()
        for row in table
    ]


def visible(text: str) -> str:
    """Return a text without control characters: what a host says must not steer the reader's terminal."""
    return "".join(c if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf"} else "\ufffd" for c in text)


def shown(value: str) -> str:
    """Return a setting's value as it is to be seen: some lists have nothing in them.

    >>> shown("4096"), shown("")
    ('4096', '(empty)')
    """
    return value or "(empty)"


def wrapped(text: str, *, indent: str) -> list[str]:
    """Return a text as lines of at most WIDTH columns."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def listed(words: Sequence[str], *, indent: str) -> list[str]:
    """Return words as lines of at most WIDTH columns, all of them and none cut: a name is searched for as it is."""
    text = ", ".join(words)
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def names(hosts: Sequence[str], *, most: int = 6) -> str:
    """Return host names in one line: all of a few, the first of many.

    >>> names(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    if len(hosts) <= most:
        return ", ".join(hosts)
    return f"{', '.join(hosts[:most])} and {len(hosts) - most} more"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    >>> count(1, "host"), count(3, "host")
    ('1 host', '3 hosts')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
