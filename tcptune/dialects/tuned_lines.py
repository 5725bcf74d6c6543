"""Read the text of one tuned profile, or of a file of variables, as tuned's own parser (configparser) splits it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"(.*?)\s*=\s*(.*)")


class Item(NamedTuple):
    """One option of a section, or a line that is none: then `broken` says why."""

    section: str
    path: str
    line: int
    text: str
    key: str
    value: str
    lines: int = 1
    broken: str = ""


class Parsed(NamedTuple):
    """One file: its sections in order, empty ones included, and its lines."""

    sections: dict[str, int]
    """Line of each section's first header."""
    items: tuple[Item, ...]


def parse(path: str, text: str) -> Parsed:
    """Split a profile. `#` and `;` begin a comment, `#` after a blank too; an indented line goes on with the last."""
    sections: dict[str, int] = {}
    items: list[Item] = []
    section, indent, is_open = "", 0, False
    for number, raw, said in _content(text):
        here = len(raw) - len(raw.lstrip())
        if is_open and here > indent:
            last = items[-1]
            items[-1] = last._replace(
                lines=last.lines + 1,
                text=f"{last.text} {said}",
                broken="its value goes on in the next line; the kernel takes one line",
            )
            continue
        indent = here
        if header := _HEADER.match(said):
            section, is_open = header[1], False
            sections.setdefault(section, number)
            continue
        item = Item(section, path, number, said, "", "")
        option = _OPTION.fullmatch(said)
        if not section:
            item = item._replace(broken="it stands before the first section; tuned refuses such a profile")
        elif option is None or not option[1]:
            item = item._replace(broken="this is no assignment; tuned refuses such a profile")
        else:
            item = item._replace(key=option[1], value=option[2])
        is_open = not item.broken
        items.append(item)
    return Parsed(sections, tuple(items))


def parse_variables(path: str, text: str) -> tuple[Item, ...]:
    """Split a file of variables: it has no sections."""
    items = []
    for number, _, said in _content(text):
        option = _OPTION.fullmatch(said)
        if option is not None and option[1]:
            items.append(Item("variables", path, number, said, option[1], option[2]))
        else:
            items.append(Item("variables", path, number, said, "", "", broken="this is no assignment"))
    return tuple(items)


def _content(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield number, line and the line without its comment, for each line that says anything."""
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.rstrip()
        if line.lstrip()[:1] in ("", "#", ";"):
            continue
        yield number, line, re.split(r"\s#", line, maxsplit=1)[0].strip()
