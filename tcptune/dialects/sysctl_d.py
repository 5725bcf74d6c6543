"""sysctl.conf and sysctl.d folders. What counts is what systemd-sysctl would write in the end.

Several files are taken for a host's folders where their paths end like these, and for /etc/sysctl.d otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from tcptune.dialects.lines import content_lines, place_of, unknown
from tcptune.dialects.writing import ExportOptions, Written, exactly, origin, slug, written
from tcptune.domain.boot import Loader
from tcptune.domain.exchange import Exported, Imported, LeftOut, Setting
from tcptune.domain.facts import SysctlFile
from tcptune.domain.profile import Profile
from tcptune.domain.values import sysctl_key
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.boot import BootModel
from tcptune.planning.boot_files import FOLDERS, SYSCTL_CONF
from tcptune.planning.boot_globs import is_glob
from tcptune.planning.boot_lines import systemd_lines
from tcptune.planning.order import Move, constraints

COMMENTS = "#;"
ONE_FILE = "/etc/sysctl.d/0.conf"
_LONGEST_FIRST = sorted(FOLDERS, key=len, reverse=True)
_ASSIGNMENT = re.compile(r"^\s*-?[\w./*?\[\]-]+\s*=", re.MULTILINE)
BOM = "\ufeff"
_QUOTES = "\"'"


def recognises(path: str, text: str) -> bool:  # noqa: ARG001  # one signature for the family
    """Say whether any line of the text assigns something. Any more special format is to be asked first."""
    return _ASSIGNMENT.search(text) is not None


def read(files: Mapping[str, str], known: Container[str]) -> Imported:
    """Return what the files set in the end. Inline comments stay part of the value: they reach the kernel."""
    hosted = hosted_paths(files)
    shown = {there: here for here, there in hosted.items() if there is not None}
    model = BootModel(SysctlFile(path=there, content=files[here]) for there, here in shown.items())
    order = model.load_order(Loader.SYSTEMD)
    settings: list[Setting] = []
    left_out: list[LeftOut] = []
    for here, there in hosted.items():
        if there is None or there not in order.read:
            by = next((shown[s.by] for s in order.shadowed if s.path == there), None)
            left_out.append(_unread(here, there, files[here], by))
    for there in order.read:
        judged = sorted(_judged(model, shown, there, files[shown[there]], known), key=lambda found: found.line)
        settings += [found for found in judged if isinstance(found, Setting)]
        left_out += [found for found in judged if isinstance(found, LeftOut)]
    return Imported(settings=tuple(settings), left_out=tuple(left_out))


def write(profile: Profile, options: ExportOptions) -> Exported:
    """Write one file for /etc/sysctl.d."""
    lines, left_out = written(profile, options, exactly)
    if not lines:
        return Exported(files={}, left_out=left_out)
    ordered = _in_write_order(lines)
    text = f"{origin(profile)}\n" + "\n".join(f"# {line.remark}\n{line.entry.key} = {line.value}\n" for line in ordered)
    return Exported(files={f"60-{slug(profile.name)}.conf": text}, left_out=left_out)


def _in_write_order(lines: Sequence[Written]) -> list[Written]:
    """Return the lines as the profile has them, but none before one that always has to be written first."""
    found = constraints((Move(line.entry.key, None, line.value) for line in lines), catalogue())
    waiting, ordered = list(lines), list[Written]()
    while waiting:
        ahead = {line.entry.key for line in waiting}
        ready = (line for line in waiting if not any(c.then == line.entry.key and c.first in ahead for c in found))
        ordered.append(next(ready, waiting[0]))
        waiting.remove(ordered[-1])
    return ordered


def hosted_paths(files: Mapping[str, str]) -> dict[str, str | None]:
    """Return the path that each file has, or would have, on a host. None where that is taken."""
    if len(files) == 1:
        return dict.fromkeys(files, ONE_FILE)
    hosted: dict[str, str | None] = {}
    for path in files:
        rooted, name = f"/{path.lstrip('/')}", PurePosixPath(path).name
        if rooted.endswith(SYSCTL_CONF):
            there = SYSCTL_CONF
        else:
            folder = next((f for f in _LONGEST_FIRST if rooted.endswith(f"{f}/{name}")), FOLDERS[0])
            there = f"{folder}/{name}"
        hosted[path] = None if there in hosted.values() else there
    return hosted


def _unread(here: str, there: str | None, text: str, by: str | None) -> LeftOut:
    if there is None:
        why = "another of the files has the same place on a host"
    elif there == SYSCTL_CONF:
        why = "systemd-sysctl reads this file only through a link in /etc/sysctl.d; import it by itself"
    elif by is not None:
        why = f"not read: {by} has the same name in a stronger folder"
    else:
        why = "not read: the name does not end in .conf, or is hidden"
    lines = sum(1 for line in content_lines(text, COMMENTS))
    return LeftOut(path=here, line=0, text=PurePosixPath(here).name, why=why, lines=lines)


class Assignment(NamedTuple):
    """A line that is no comment, or a part of one. `key` is None where it names none."""

    line: int
    text: str
    key: str | None
    value: str | None
    why: str


def _judged(
    model: BootModel, shown: Mapping[str, str], there: str, text: str, known: Container[str]
) -> Iterator[Setting | LeftOut]:
    here = shown[there]
    for said in assignments(text):
        why = said.why
        if said.key is not None:
            winner = model.at_boot(said.key).systemd.winner
            if winner is not None and (winner.path, winner.line) != (there, said.line):
                why = f"overridden by {place_of(shown[winner.path], winner.line)}"
            elif said.key not in known:
                why = unknown(said.key)
            elif said.value is not None and _quoted(said.value):
                why = "the quotes reach the kernel, which refuses them"
            elif not why:
                yield Setting(key=said.key, value=said.value, path=here, line=said.line, note=_note(said.text))
                continue
        yield LeftOut(path=here, line=said.line, text=said.text.strip(), why=why)


def assignments(text: str) -> Iterator[Assignment]:
    """Yield every line that is no comment, with the key it sets, or why it sets none."""
    last: dict[tuple[int, str], Assignment] = {}
    for number, line in content_lines(text, COMMENTS):
        found = next(iter(systemd_lines(line)), None)
        said = Assignment(number, line, None, None, "this is no assignment; the loader passes over it")
        if number == 1 and line.startswith(BOM):
            said = said._replace(why="the byte order mark before it belongs to the line; save without one")
        elif found is not None and is_glob(found.path):
            what = (
                "takes what matches a pattern out of patterns" if found.value is None else "sets what a pattern finds"
            )
            said = said._replace(why=f"{what}; a profile names each key")
        elif found is not None:
            said = _named(number, line, found.path, found.value)
        if said.key is not None:
            # A carriage return inside a line begins another one of the same number.
            if earlier := last.get((number, said.key)):
                yield earlier._replace(key=None, why=f"overridden in the same line {number}")
            last[number, said.key] = said
        else:
            yield said
    yield from last.values()


def _named(number: int, line: str, path: str, value: str | None) -> Assignment:
    try:
        key = sysctl_key(path)
    except ValueError as problem:
        return Assignment(number, line, None, None, str(problem))
    why = "takes the key out of patterns and sets nothing" if value is None else ""
    return Assignment(number, line, key, value, why)


def _quoted(value: str) -> bool:
    return value[:1] in _QUOTES or value[-1:] in _QUOTES if value else False


def _note(line: str) -> str:
    text = line.strip()
    return "the leading - lets the loader pass over a refusal" if text.startswith("-") else ""
