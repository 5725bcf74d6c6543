"""saptune notes: the [sysctl] section and its operators. An empty value means that saptune leaves the key alone."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from tcptune.dialects.lines import content_lines, last_wins, unknown
from tcptune.domain.exchange import Followed, Imported, LeftOut, Operator, Setting
from tcptune.domain.values import sysctl_key

_COMMENTS = "#"
_LINE = re.compile(r"([\w.+_-]+)\s*([<=>]+)\s*[\"']*(.*?)[\"']*$")
_SECTION = re.compile(r"^\[(?:version|reminder|grub|rpm|pagecache|block|limits|login)\]", re.MULTILINE)


def recognises(path: str, text: str) -> bool:  # noqa: ARG001  # one signature for the family
    """Say whether the text has sections that only a note has."""
    return _SECTION.search(text) is not None


def read(files: Mapping[str, str], known: Container[str]) -> Imported:
    """Return what the note asks. `>` and `<` exclude their bound, `>=` and `<=` do not."""
    settings: list[Setting] = []
    left_out: list[LeftOut] = []
    followed: list[Followed] = []
    texts: dict[tuple[str, int], str] = {}
    summary = ""
    for path, text in files.items():
        section, why = "", "it stands before the first section; saptune passes over it"
        for number, raw in content_lines(text.removeprefix("\ufeff"), _COMMENTS):
            line = raw.strip()
            if line.startswith("["):
                section, _, tags = line.strip("[]").partition(":")
                why = _section_why(section, tags)
                if why:
                    left_out.append(LeftOut(path=path, line=number, text=line, why=why, lines=0))
                continue
            texts[path, number] = line
            if section == "version" and line.startswith("DESCRIPTION="):
                summary = line.partition("=")[2].strip()
                followed.append(Followed(path=path, line=number, text=line))
            elif why:
                left_out[-1:] = _counted(left_out, path, number, line, why)
            else:
                try:
                    settings.append(_setting(path, number, line, known))
                except ValueError as problem:
                    left_out.append(LeftOut(path=path, line=number, text=line, why=str(problem)))
    kept, overridden = last_wins(settings, texts)
    return Imported(settings=tuple(kept), left_out=(*left_out, *overridden), followed=tuple(followed), summary=summary)


def _section_why(section: str, tags: str) -> str:
    if section == "sysctl":
        return f"only where {tags}, which a profile of tcptune cannot ask" if tags else ""
    if not section:
        return "a section without a name; saptune passes over it"
    return f"tcptune has no place for what saptune's section {section} does"


def _counted(left_out: list[LeftOut], path: str, number: int, line: str, why: str) -> list[LeftOut]:
    """Return what takes the place of the last record: with one line more, or followed by a new one."""
    last = left_out[-1:]
    if last and last[0].path == path and last[0].text.startswith("["):
        return [last[0].model_copy(update={"lines": last[0].lines + 1})]
    return [*last, LeftOut(path=path, line=number, text=line, why=why)]


def _setting(path: str, number: int, line: str, known: Container[str]) -> Setting:
    """Return the setting of a line. Raises ValueError with the reason where there is none."""
    split = _LINE.search(line)
    if split is None:
        raise ValueError("this is no assignment; saptune passes over it")
    raw_key, sign, value = split.groups()
    if "/" in line.partition(sign)[0]:
        raise ValueError("saptune knows no keys with slashes and passes over the line")
    key = sysctl_key(raw_key)
    if key not in known:
        raise ValueError(unknown(key))
    if not value:
        return Setting(key=key, operator=Operator.LEAVE, path=path, line=number, note="saptune leaves it untouched")
    if sign not in _SIGNS:
        raise ValueError(f"saptune has no operator {sign}")
    operator, step = _SIGNS[sign]
    if not step:
        return Setting(key=key, operator=operator, value=value, path=path, line=number)
    numbers = value.split()
    if not all(re.fullmatch(r"-?\d+", one) for one in numbers):
        raise ValueError(f"{sign} compares whole numbers, and {value!r} holds something else")
    moved = " ".join(str(int(one) + step) for one in numbers)
    return Setting(key=key, operator=operator, value=moved, path=path, line=number, note=f"written as {sign} {value}")


_SIGNS: dict[str, tuple[Operator, int]] = {
    "=": (Operator.EXACTLY, 0),
    ">=": (Operator.AT_LEAST, 0),
    "<=": (Operator.AT_MOST, 0),
    ">": (Operator.AT_LEAST, 1),
    "<": (Operator.AT_MOST, -1),
}
