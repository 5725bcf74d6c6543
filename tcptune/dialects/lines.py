"""What the readers share: lines that count, and words for why one is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tcptune.domain.exchange import LeftOut, Setting

_BREAKS = re.compile(r"[\r\0]")


def content_lines(text: str, comments: str) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that is neither blank nor a comment.

    A carriage return alone, or a NUL, ends a line too; the number goes up with each line feed only.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        for part in _BREAKS.split(line):
            if part.strip() and part.strip()[0] not in comments:
                yield number, part


def place_of(path: str, line: int) -> str:
    """Return path:line."""
    return f"{path}:{line}"


def unknown(key: str) -> str:
    """Say that a key is none of ours."""
    return f"{key} is not in tcptune's catalogue"


def last_wins(settings: Iterable[Setting], texts: dict[tuple[str, int], str]) -> tuple[list[Setting], list[LeftOut]]:
    """Keep the last setting of each key; `texts` gives the line of the others as written."""
    kept: dict[str, Setting] = {}
    left_out: list[LeftOut] = []
    for setting in settings:
        if earlier := kept.pop(setting.key, None):
            left_out.append(
                LeftOut(
                    path=earlier.path,
                    line=earlier.line,
                    text=texts[earlier.path, earlier.line],
                    why=f"overridden by {setting.place}",
                )
            )
        kept[setting.key] = setting
    return list(kept.values()), left_out
