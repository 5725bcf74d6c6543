"""What a host should be like: entries with an operator, a reason and a source; and what was agreed to tolerate."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import model_validator

from tcptune.domain.demands import Demand
from tcptune.domain.guards import Guard
from tcptune.domain.limits import LIMIT_KEY, is_about
from tcptune.domain.values import Frozen, KernelText, SysctlKey

PROFILE_FORMAT_VERSION: Literal[1] = 1


class LoadVariable(Frozen):
    """Something about the work of a host that cannot be read there, such as its peak connection rate."""

    default: float
    unit: str
    meaning: str


class Entry(Frozen):
    """What a profile asks of one setting."""

    key: SysctlKey
    demand: Demand
    """Its values may be formulas; see domain/formulas.py."""
    why: str
    source: str
    profile: str
    """Name of the profile that says so: with `extends` it may not be the one that was asked for."""
    place: str = ""
    """'web.yml:14', for messages."""
    when: Guard = Guard()
    load: dict[str, LoadVariable] = {}
    """The load variables its formulas use."""
    group: str = ""
    """Entries of one key and one group are alternatives: the first whose guard holds counts."""
    overrides: tuple[str, ...] = ()
    """Places of the entries it takes the place of, in profiles it extends."""


class LimitEntry(Frozen):
    """What a profile asks of a limit of processes that listen."""

    limit: Literal["nofile"] = "nofile"
    at_least: KernelText
    """A number of files, or a formula."""
    processes: tuple[str, ...] = ()
    """Names of processes or units, or wildcards, sorted. Empty: every process that listens."""
    why: str
    source: str
    profile: str
    place: str = ""
    when: Guard = Guard()
    load: dict[str, LoadVariable] = {}
    group: str = ""
    """Entries of one key and one group are alternatives: the first whose guard holds counts."""
    overrides: tuple[str, ...] = ()
    """Places of the entries it takes the place of, in profiles it extends."""

    @property
    def key(self) -> str:
        """What two entries share where one overrides the other: the limit, and the processes as they are written."""
        return f"{self.limit} of {self.who}"

    @property
    def who(self) -> str:
        """The processes, in words."""
        return ", ".join(self.processes) or "every process that listens"

    @property
    def demand(self) -> str:
        """What is asked, in words."""
        return f"at least {self.at_least}"

    def covers(self, name: str, unit: str | None) -> bool:
        """Say whether it is about a process of this name, in this unit of systemd."""
        return not self.processes or any(is_about(pattern, name, unit) for pattern in self.processes)


class Waiver(Frozen):
    """Somebody answers for a deviation until a day."""

    key: SysctlKey
    """Of a setting; or LIMIT_KEY for the limits of every process of a host."""
    hosts: str = "*"
    """Host names or wildcards, with commas between."""
    who: str
    until: date
    """The last day it holds."""
    why: str
    place: str = ""

    def covers(self, key: str, host: str) -> bool:
        """Say whether it is about this setting on this host, whatever the day."""
        patterns = [pattern.strip() for pattern in self.hosts.split(",")]
        return key == self.key and any(fnmatchcase(host, pattern) for pattern in patterns)


class Profile(Frozen):
    """A named set of entries, with everything it extends already merged in."""

    tcptune: Literal["profile"] = "profile"
    format_version: Literal[1] = PROFILE_FORMAT_VERSION
    name: str
    summary: str
    origin: str
    """'built in', or the path it was read from."""
    extends: tuple[str, ...] = ()
    load: dict[str, LoadVariable] = {}
    entries: tuple[Entry, ...]
    limits: tuple[LimitEntry, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    digest: str
    """SHA-256 over the text of the profile and of all it extends."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.entries and not self.limits:
            raise ValueError("a profile asks for something")
        return self

    def limit_groups(self) -> tuple[tuple[LimitEntry, ...], ...]:
        """Return the alternatives of each group. For a process that several are about, the highest counts."""
        found: dict[tuple[str, str], list[LimitEntry]] = {}
        for entry in self.limits:
            found.setdefault((entry.key, entry.group), []).append(entry)
        return tuple(tuple(group) for group in found.values())

    def groups(self) -> dict[SysctlKey, tuple[tuple[Entry, ...], ...]]:
        """Return the alternatives of each group by key. From several groups one value has to be solved."""
        found: dict[str, dict[str, list[Entry]]] = {}
        for entry in self.entries:
            found.setdefault(entry.key, {}).setdefault(entry.group, []).append(entry)
        return {key: tuple(tuple(group) for group in groups.values()) for key, groups in found.items()}


class EntryChange(Frozen):
    """What two profiles ask of one setting, alternatives in their order. Empty where one has no say in it."""

    key: SysctlKey
    """Of a setting; or LIMIT_KEY, whose texts name the processes."""
    before: tuple[str, ...]
    after: tuple[str, ...]


class ProfileDiff(Frozen):
    """What differs between two profiles, everything they extend included."""

    tcptune: Literal["profile diff"] = "profile diff"
    format_version: Literal[1] = PROFILE_FORMAT_VERSION
    left: str
    right: str
    changes: tuple[EntryChange, ...]


class Listed(Frozen):
    """One profile in a list."""

    name: str
    summary: str
    settings: int


class ProfileList(Frozen):
    """The built-in profiles."""

    tcptune: Literal["profiles"] = "profiles"
    format_version: Literal[1] = PROFILE_FORMAT_VERSION
    profiles: tuple[Listed, ...]


def compared(left: Profile, right: Profile) -> ProfileDiff:
    """Return the settings and limits of which two profiles do not ask the same. Reasons alone make no difference."""
    before, after = _asked(left), _asked(right)
    return ProfileDiff(
        left=left.name,
        right=right.name,
        changes=tuple(
            EntryChange(key=key, before=before.get(key, ()), after=after.get(key, ()))
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
        ),
    )


def _asked(profile: Profile) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entry in profile.entries:
        text = f"{entry.demand}, {entry.when}" if str(entry.when) else str(entry.demand)
        found[entry.key] = (*found.get(entry.key, ()), text)
    for limit in profile.limits:
        text = f"{limit.demand} for {limit.who}" + (f", {limit.when}" if str(limit.when) else "")
        found[LIMIT_KEY] = (*found.get(LIMIT_KEY, ()), text)
    return found
