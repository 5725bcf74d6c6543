"""tuned profiles: the [sysctl] section, with everything it includes already merged as tuned merges it.

The first file is the profile that is meant. Of the others, a tuned.conf is found by the name of its folder, a file of
variables by its path, or by its name where it lies elsewhere. What tuned would work out on the host (functions,
conditions on the CPU) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from tcptune.dialects.lines import unknown
from tcptune.dialects.tuned_lines import Item, Parsed, parse, parse_variables
from tcptune.dialects.writing import ExportOptions, origin, slug, written
from tcptune.domain.demands import AtLeast, AtMost, Demand, Exactly
from tcptune.domain.exchange import Exported, Followed, Imported, LeftOut, Operator, Setting
from tcptune.domain.profile import Profile
from tcptune.domain.values import sysctl_key

PROFILE_FILE = "tuned.conf"

_TRUE = {"True", "true", "1"}
_CONDITIONS = ("uname_regex", "cpuinfo_regex")
_SHAPING = ("type", "enabled", "replace", "drop", *_CONDITIONS)
_OTHER_OPTIONS = ("devices", "devices_udev_regex", "script_pre", "script_post", "priority")
_OPERATORS = {">": Operator.AT_LEAST, "<": Operator.AT_MOST}


def recognises(path: str, text: str) -> bool:
    """Say whether this is a tuned.conf by its name, or has the sections of one."""
    if PurePosixPath(path).name == PROFILE_FILE:
        return True
    sections = parse(path, text).sections
    return "main" in sections and len(sections) > 1


class Wanted(NamedTuple):
    """What one profile includes."""

    profiles: tuple[str, ...]
    variables: tuple[str, ...]


def wanted(path: str, text: str) -> Wanted:
    """Return the profiles and the files of variables that one tuned.conf asks for by name."""
    includes = [item for item in parse(path, text).items if item.key == "include" and "$" not in item.value]
    names = [name for item in includes if item.section == "main" for name in _names(item.value)]
    variables = tuple(item.value for item in includes if item.section == "variables")
    return Wanted(tuple(name.removeprefix("-") for name in names), variables)


def read(files: Mapping[str, str], known: Container[str]) -> Imported:
    """Return what the profile sets once merged. `>` means at least and `<` at most, for a single number."""
    return _Merge(files, known).imported()


def write(profile: Profile, options: ExportOptions) -> Exported:
    """Write a profile for /etc/tuned. At least and at most of one number are said as `>` and `<`."""
    lines, left_out = written(profile, options, _expressed)
    if not lines:
        return Exported(files={}, left_out=left_out)
    head = f"{origin(profile)}\n[main]\nsummary={_summary(profile)}\n\n[sysctl]\n"
    text = head + "\n".join(f"# {line.remark}\n{line.entry.key} = {line.value}\n" for line in lines)
    return Exported(files={f"{slug(profile.name)}/{PROFILE_FILE}": text}, left_out=left_out)


def _summary(profile: Profile) -> str:
    # tuned takes what follows a blank and a # for a comment.
    said = " ".join(profile.summary.split()).replace(" #", " no.")
    return said or f"from the tcptune profile {profile.name}"


def _expressed(demand: Demand) -> str | None:
    match demand:
        case Exactly() if not demand.value.startswith(("<", ">")) and "$" not in demand.value:
            return demand.value
        case AtLeast() if len(demand.value.split()) == 1:
            return f">{demand.value}"
        case AtMost() if len(demand.value.split()) == 1:
            return f"<{demand.value}"
    return None


class _Unit:
    """One section of the merged profile that the sysctl plugin handles."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.enabled = True
        self.conditions: dict[str, str] = {}


class _Merge:
    """The merging of one profile with what it includes."""

    def __init__(self, files: Mapping[str, str], known: Container[str]) -> None:
        self._files = files
        self._known = known
        self._units: dict[str, _Unit] = {}
        self._variables: dict[str, Item] = {}
        self._values: dict[str, str] = {}
        self._left_out: list[LeftOut] = []
        self._followed: list[Followed] = []
        self._seen: list[str] = []
        self._summary = ""

    def imported(self) -> Imported:
        main = next(iter(self._files), None)
        if main is None:
            return Imported()
        for path, parsed in self._loaded(main):
            self._add(path, parsed)
        self._settle_variables()
        settings = list(self._settings())
        for path, text in self._files.items():
            if path not in self._seen:
                lines = sum(item.lines for item in parse(path, text).items)
                self._left_out.append(
                    LeftOut(path=path, line=0, text=path, why="nothing that counts includes this file", lines=lines)
                )
        order = {path: at for at, path in enumerate(self._files)}
        return Imported(
            settings=tuple(settings),
            left_out=tuple(sorted(self._left_out, key=lambda one: (order[one.path], one.line))),
            followed=tuple(sorted(self._followed, key=lambda one: (order[one.path], one.line))),
            summary=self._summary,
        )

    def _leave(self, item: Item, why: str) -> None:
        self._left_out.append(LeftOut(path=item.path, line=item.line, text=item.text, why=why, lines=item.lines))

    def _follow(self, item: Item) -> None:
        self._followed.append(Followed(path=item.path, line=item.line, text=item.text))
        if item.lines > 1:
            self._left_out.append(
                LeftOut(path=item.path, line=item.line + 1, text="…", why=item.broken, lines=item.lines - 1)
            )

    # Which profiles, in which order: what is included comes first, and each file once.

    def _loaded(self, path: str) -> Iterator[tuple[str, Parsed]]:
        self._seen.append(path)
        parsed = parse(path, self._files[path])
        includes = [item for item in parsed.items if (item.section, item.key) == ("main", "include")]
        for item in includes[:-1]:
            self._leave(item, f"overridden by {item.path}:{includes[-1].line}")
        for item in includes[-1:]:
            yield from self._included(item)
        yield path, parsed

    def _included(self, item: Item) -> Iterator[tuple[str, Parsed]]:
        if "$" in item.value:
            self._leave(item, f"{_unresolved(item.value)}; what it includes is missing here")
            return
        found = []
        for name in _names(item.value):
            path = self._profile(name.removeprefix("-"))
            if path is not None:
                found.append(name)
                yield from self._loaded(path)
            elif not name.startswith("-") and not self._was_read(name):
                self._leave(item._replace(lines=0), f"the profile {name} was not found; what it sets is missing here")
        self._follow(item)

    def _profile(self, name: str) -> str | None:
        return next((path for path in self._files if path not in self._seen and _is_profile(path, name)), None)

    def _was_read(self, name: str) -> bool:
        return any(_is_profile(path, name) for path in self._seen)

    # What each of them says.

    def _add(self, path: str, parsed: Parsed) -> None:
        for item in parsed.items:
            if item.broken and not item.key:
                self._leave(item, item.broken)
        for section, line in parsed.sections.items():
            items = [item for item in parsed.items if item.section == section and item.key]
            kind = next((item.value for item in reversed(items) if item.key == "type"), section)
            if section == "main":
                self._add_main(items)
            elif section == "variables":
                self._add_variables(items)
            elif kind == "sysctl":
                self._add_unit(section, items)
            else:
                lines = sum(item.lines for item in items)
                why = f"tcptune has no place for what tuned's {kind} plugin does"
                self._left_out.append(LeftOut(path=path, line=line, text=f"[{section}]", why=why, lines=lines))

    def _add_main(self, items: list[Item]) -> None:
        for item in items:
            if item.key == "summary":
                self._summary = item.value
                self._follow(item)
            elif item.key != "include":
                self._leave(item, "a profile of tcptune has no place for it")

    def _add_variables(self, items: list[Item]) -> None:
        for item in items:
            if earlier := self._variables.get(item.key):
                self._leave(earlier, f"overridden by {item.path}:{item.line}")
            self._variables[item.key] = item

    def _add_unit(self, name: str, items: list[Item]) -> None:
        unit = self._units.setdefault(name, _Unit())
        said = {item.key: item for item in items if item.key in _SHAPING}
        for item in items:
            if said.get(item.key) is item:
                self._follow(item)
            elif item.key in _SHAPING:
                self._leave(item, f"overridden by {item.path}:{said[item.key].line}")
            elif item.key in _OTHER_OPTIONS:
                self._leave(item, "a profile of tcptune has no place for it")
        unit.enabled = said["enabled"].value in _TRUE if "enabled" in said else True
        unit.conditions |= {key: said[key].value for key in _CONDITIONS if key in said}
        if "replace" in said and said["replace"].value in _TRUE:
            self._drop(unit, list(unit.items), said["replace"])
            unit.conditions = {key: said[key].value for key in _CONDITIONS if key in said}
        if "drop" in said:
            self._drop(unit, [_canonical(key) for key in re.split(r"\b\s*[,;]\s*", said["drop"].value)], said["drop"])
        for item in items:
            if item.key in _SHAPING or item.key in _OTHER_OPTIONS:
                continue
            key = _canonical(item.key)
            if earlier := unit.items.pop(key, None):
                self._leave(earlier, f"overridden by {item.path}:{item.line}")
            unit.items[key] = item

    def _drop(self, unit: _Unit, keys: list[str], by: Item) -> None:
        for key in keys:
            if dropped := unit.items.pop(key, None):
                self._leave(dropped, f"dropped by {by.path}:{by.line}: {by.text}")

    # What the variables stand for.

    def _settle_variables(self) -> None:
        for item in self._variables.values():
            if item.key != "include":
                self._define(item)
                continue
            path = self._variables_file(item.value)
            if path is None:
                self._leave(item, "this file of variables was not found")
                continue
            self._seen.append(path)
            self._follow(item)
            for one in parse_variables(path, self._files[path]):
                self._define(one)

    def _define(self, item: Item) -> None:
        if item.broken:
            self._leave(item, item.broken)
        else:
            self._follow(item)
            self._values[item.key] = self._expanded(item.value)

    def _variables_file(self, value: str) -> str | None:
        others = [path for path in self._files if path not in self._seen]
        name = PurePosixPath(value).name
        return next((p for p in others if p == value), None) or next(
            (p for p in others if PurePosixPath(p).name == name), None
        )

    def _expanded(self, value: str) -> str:
        static = re.sub(r"(?<!\\)\$\{(\w+)\}", lambda m: self._values.get(m[1], m[0]), value)
        return re.sub(r"\\(\$\{\w+\})", r"\1", static)

    # What is left in the end.

    def _settings(self) -> Iterator[Setting]:
        sure = [unit for unit in self._units.values() if unit.enabled and not unit.conditions]
        last = {key: item for unit in sure for key, item in unit.items.items()}
        for unit in self._units.values():
            for key, item in unit.items.items():
                try:
                    yield self._setting(unit, key, item, last)
                except ValueError as problem:
                    self._leave(item, str(problem))

    def _setting(self, unit: _Unit, key: str, item: Item, last: Mapping[str, Item]) -> Setting:
        """Return the setting of a line. Raises ValueError with the reason where there is none."""
        if not unit.enabled:
            raise ValueError("its section is switched off")
        if unit.conditions:
            conditions = " and ".join(f"{name} {value}" for name, value in unit.conditions.items())
            raise ValueError(f"only on hosts that match {conditions}, which a profile of tcptune cannot ask")
        if last[key] is not item:
            raise ValueError(f"overridden by {last[key].path}:{last[key].line}")
        if item.broken:
            raise ValueError(item.broken)
        value = self._expanded(re.sub(r'^"(.*)"$', r"\1", item.value))
        if "${" in value:
            raise ValueError(_unresolved(value))
        sysctl_key(key)
        if key not in self._known:
            raise ValueError(unknown(key))
        operator = Operator.EXACTLY
        if len(value) > 1 and value[0] in _OPERATORS:
            operator, value = _OPERATORS[value[0]], value[1:].strip()
            if re.fullmatch(r"-?\d+", value) is None:
                raise ValueError("tuned compares single whole numbers only; it would write this text as it stands")
        return Setting(key=key, operator=operator, value=value, path=item.path, line=item.line)


def _names(value: str) -> list[str]:
    return [name for name in re.split(r"\s*[,;]\s*", value) if name]


def _is_profile(path: str, name: str) -> bool:
    parts = PurePosixPath(path)
    return parts.name == PROFILE_FILE and parts.parent.name == PurePosixPath(name).name


def _canonical(key: str) -> str:
    try:
        return sysctl_key(key)
    except ValueError:
        return key


def _unresolved(value: str) -> str:
    if function := re.search(r"\$\{f:(\w+)", value):
        return f"tuned works this out on the host, by its function {function[1]}"
    variable = re.search(r"\$\{(\w+)\}", value)
    return f"nothing defines the variable {variable[1]}" if variable else "this holds a variable"
