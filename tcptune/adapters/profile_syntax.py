"""The form of a profile file: from a YAML document to entries, load variables and waivers.

Nothing is raised: every mistake is noted in the document with its place and a hint, so that all are told at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from pydantic import ValidationError

from tcptune.adapters.profile_demands import OPERATORS, Sheet, closest, example, read_demand
from tcptune.adapters.yaml_source import Document, Path
from tcptune.domain import formulas
from tcptune.domain.demands import operands
from tcptune.domain.guards import Guard
from tcptune.domain.limits import LIMIT_KEY
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import PROFILE_FORMAT_VERSION, Entry, LoadVariable, Waiver
from tcptune.domain.values import sysctl_key

TOP = ("profile", "format_version", "summary", "extends", "load", "settings", "limits", "waivers")
ENTRY = (*OPERATORS, "when", "why", "source")
WHEN = ("kernel", "memory", "virtualization", "scope", "roles", "hosts")
LOAD = ("default", "unit", "meaning")
WAIVER = ("key", "hosts", "who", "until", "why")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Head(NamedTuple):
    """What has to be known of a profile before its entries can be read."""

    name: str
    summary: str
    extends: list[str]
    load: dict[str, LoadVariable]


def read_head(document: Document) -> Head:
    """Return the head of a profile."""
    data = document.data
    if not isinstance(data, dict):
        document.add((), "a profile is a mapping", hint="profile: NAME and settings: {KEY: {OPERATOR: VALUE, ...}}")
        return Head("", "", [], {})
    known_keys(document, (), data, TOP)
    name = word(document, (), data, "profile", hint="profile: web-frontend")
    version = data.get("format_version")
    if version is not None and version != str(PROFILE_FORMAT_VERSION):
        said = f"this tcptune reads format version {PROFILE_FORMAT_VERSION}, not {version}"
        document.add(("format_version",), said, hint=f"format_version: {PROFILE_FORMAT_VERSION}")
    extends = data.get("extends") or []
    if not isinstance(extends, list) or not all(isinstance(item, str) for item in extends):
        document.add(("extends",), "'extends' is a list of profile names or paths", hint="extends: [baseline]")
        extends = []
    summary = data.get("summary")
    if summary is not None and not isinstance(summary, str):
        document.add(("summary",), "'summary' is one sentence", hint="summary: What it is for.")
    return Head(name, " ".join(summary.split()) if isinstance(summary, str) else "", extends, _load(document, data))


def read_settings(
    document: Document, head: Head, load: Mapping[str, LoadVariable], parameters: Mapping[str, Parameter], origin: str
) -> list[list[Entry]]:
    """Return the profile's own entries, the alternatives of one key together. `load`: every variable in reach."""
    data = document.data
    if not isinstance(data, dict):
        return []
    settings = data.get("settings")
    if not isinstance(settings, dict) or not settings:
        if settings is not None or not (head.extends or "limits" in data):
            document.add(
                ("settings",),
                "'settings' maps each sysctl key to what is wanted of it",
                hint="settings: {KEY: {leave: true}}",
            )
        return []
    sheet = Sheet(document, parameters, {name: variable.default for name, variable in load.items()})
    found = []
    seen: set[str] = set()
    for raw_key, body in settings.items():
        here = ("settings", raw_key)
        key = _key(sheet, here, raw_key)
        if key is None:
            continue
        if key in seen:
            document.add(here, f"{key} stands twice, here in another spelling", hint="one list of alternatives")
        seen.add(key)
        bodies = body if isinstance(body, list) else [body]
        paths: list[Path] = [(*here, index) for index in range(len(bodies))] if isinstance(body, list) else [here]
        entries = [
            _entry(sheet, path, key, each, load, head.name, origin) for path, each in zip(paths, bodies, strict=True)
        ]
        alternatives = [entry for entry in entries if entry]
        for entry, path in zip(entries[:-1], paths, strict=False):
            if entry and entry.when == Guard():
                document.add(
                    path, f"{key}: what comes after this never counts", hint="give it a 'when', or put it last"
                )
        found += [alternatives] if alternatives else []
    return found


def read_waivers(document: Document, origin: str, parameters: Mapping[str, Parameter]) -> tuple[Waiver, ...]:
    """Return the waivers of a profile, or of a file that holds nothing else."""
    data = document.data
    items = data.get("waivers", []) if isinstance(data, dict) else data
    path: Path = ("waivers",) if isinstance(data, dict) else ()
    if items is None:
        return ()
    if not isinstance(items, list):
        document.add(
            path, "waivers are a list", hint="- {key: ..., hosts: web3, who: ..., until: 2027-01-31, why: ...}"
        )
        return ()
    found = [_waiver(document, (*path, index), item, origin, parameters) for index, item in enumerate(items)]
    return tuple(waiver for waiver in found if waiver)


def _key(sheet: Sheet, here: Path, raw_key: str) -> str | None:
    try:
        key = sysctl_key(raw_key)
    except ValueError as problem:
        sheet.document.add(here, str(problem), hint="a key as sysctl prints it: net.core.somaxconn")
        return None
    if key not in sheet.parameters:
        hint = closest(key, sheet.parameters) or "tcptune explain WORD searches the catalogue"
        sheet.document.add(here, f"{key} is not in the catalogue", hint=hint)
        return None
    return key


def _waived_key(sheet: Sheet, here: Path, raw_key: str) -> str | None:
    return LIMIT_KEY if raw_key.strip() == LIMIT_KEY else _key(sheet, here, raw_key)


def _entry(
    sheet: Sheet, here: Path, key: str, body: Any, load: Mapping[str, LoadVariable], profile: str, origin: str
) -> Entry | None:
    document, parameter = sheet.document, sheet.parameters[key]
    if not isinstance(body, dict):
        document.add(here, f"{key} has a value and no operator", hint=example(parameter))
        return None
    before = len(document.mistakes)
    known_keys(document, here, body, ENTRY)
    why = word(document, here, body, "why", hint="the reason a reviewer needs")
    source = word(document, here, body, "source", hint="ip-sysctl.rst, a vendor's page, or what was measured")
    when = read_guard(document, (*here, "when"), body.get("when"))
    demand = read_demand(sheet, here, parameter, body)
    if demand is None or len(document.mistakes) > before:
        return None
    place = f"{origin}:{document.place(here).line}"
    entry = Entry(
        key=key, demand=demand, why=why, source=source, profile=profile, place=place, when=when, group=profile
    )
    return entry.model_copy(update={"load": used_load(entry, load)})


def used_load(entry: Entry, load: Mapping[str, LoadVariable]) -> dict[str, LoadVariable]:
    """Return those load variables that the formulas of an entry use."""
    used = {name for value in operands(entry.demand) for name in formulas.names(value)}
    return {name: load[name] for name in sorted(used) if name in load}


def read_guard(document: Document, path: Path, body: Any) -> Guard:
    """Return the conditions of an entry."""
    if body is None:
        return Guard()
    if not isinstance(body, dict):
        document.add(path, "'when' is a mapping of conditions", hint='when: {kernel: ">= 6.6", scope: host}')
        return Guard()
    known_keys(document, path, body, WHEN)
    fields: dict[str, Any] = {}
    for name in (name for name in WHEN if name in body):
        value = body[name]
        if name in {"virtualization", "roles", "hosts"}:
            value = [value] if isinstance(value, str) else value
        try:
            Guard.model_validate({name: value})
        except ValidationError as problem:
            error = problem.errors()[0]
            said = str(error.get("ctx", {}).get("error", error["msg"]))
            document.add((*path, name), f"{name}: {said}", hint=_WHEN_HINTS[name])
        else:
            fields[name] = value
    return Guard.model_validate(fields)


_WHEN_HINTS = {
    "kernel": 'kernel: ">= 5.4, < 6.6"',
    "memory": 'memory: ">= 8 GiB"',
    "virtualization": "virtualization: [none, kvm]",
    "scope": "scope: host, or scope: namespace",
    "roles": "roles: [edge]",
    "hosts": 'hosts: [web1, "db*"]',
}


def _load(document: Document, data: Mapping[str, Any]) -> dict[str, LoadVariable]:
    body = data.get("load")
    if body is None:
        return {}
    form = "load: {peak_connections_per_s: {default: 5000, unit: connections/s, meaning: ...}}"
    if not isinstance(body, dict):
        document.add(("load",), "'load' maps names to their default, unit and meaning", hint=form)
        return {}
    found = {}
    for name, fields in body.items():
        here = ("load", name)
        if not _NAME.fullmatch(name) or name in {*formulas.FACTS, *formulas.FUNCTIONS, *formulas.UNITS}:
            document.add(here, f"{name!r} cannot name a load variable", hint="lower case, and no fact or function")
            continue
        if not isinstance(fields, dict):
            document.add(here, f"{name} needs a default, a unit and a meaning", hint=form)
            continue
        known_keys(document, here, fields, LOAD)
        unit = word(document, here, fields, "unit", hint="connections/s, bytes, s")
        meaning = word(document, here, fields, "meaning", hint="what an operator has to measure or decide")
        default = number(fields.get("default"))
        if default is None:
            document.add((*here, "default"), f"{name}: the default is no number", hint="default: 5000")
        elif unit and meaning:
            found[name] = LoadVariable(default=default, unit=unit, meaning=meaning)
    return found


def number(value: object) -> float | None:
    """Return a finite number from its text, or None.

    >>> number("0.2"), number("1e3"), number("nan")
    (0.2, 1000.0, None)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _waiver(
    document: Document, here: Path, item: Any, origin: str, parameters: Mapping[str, Parameter]
) -> Waiver | None:
    if not isinstance(item, dict):
        document.add(here, "a waiver is a mapping", hint=f"with {', '.join(WAIVER)}")
        return None
    before = len(document.mistakes)
    known_keys(document, here, item, WAIVER)
    who = word(document, here, item, "who", hint="somebody who answers for it")
    why = word(document, here, item, "why", hint="why the deviation is tolerated")
    until = item.get("until")
    try:
        day = date.fromisoformat(until) if isinstance(until, str) else None
    except ValueError:
        day = None
    if day is None:
        document.add((*here, "until"), "a waiver needs its last day", hint="until: 2027-01-31")
    sheet = Sheet(document, parameters, {})
    raw_key = item.get("key")
    key = _waived_key(sheet, (*here, "key"), raw_key) if isinstance(raw_key, str) else None
    if not isinstance(raw_key, str):
        document.add(here, "'key' is missing", hint=f"the setting the waiver is about, or {LIMIT_KEY}")
    hosts = item.get("hosts", "*")
    hosts = ",".join(hosts) if isinstance(hosts, list) and all(isinstance(h, str) for h in hosts) else hosts
    if not isinstance(hosts, str):
        document.add((*here, "hosts"), "'hosts' is a name, a wildcard or a list of them", hint="hosts: web*")
    if key is None or day is None or len(document.mistakes) > before:
        return None
    place = f"{origin}:{document.place(here).line}"
    return Waiver(key=key, hosts=hosts, who=who, until=day, why=why, place=place)


def word(document: Document, here: Path, body: Mapping[str, Any], field: str, *, hint: str) -> str:
    """Return the text of a field that has to be there."""
    value = body.get(field)
    if isinstance(value, str) and value.strip():
        return " ".join(value.split())
    document.add((*here, field), f"{field!r} is missing", hint=hint)
    return ""


def known_keys(document: Document, here: Path, body: Mapping[str, Any], known: Iterable[str]) -> None:
    """Note every key that is not known."""
    known = tuple(known)
    for name in body:
        if name not in known:
            document.add((*here, name), f"unknown key {name!r}", hint=closest(name, known) or ", ".join(known))
