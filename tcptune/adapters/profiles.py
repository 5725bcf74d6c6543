"""Profiles: from YAML to domain values. Every mistake of a file is reported at once, with its place."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tcptune.adapters.yaml_source import Document
from tcptune.domain.changes import sha256
from tcptune.domain.demands import AtLeast, AtMost, Between, Demand, Elements, Exactly, Leave, OneOf
from tcptune.domain.parameters import ARITY, Parameter, Shape
from tcptune.domain.profile import PROFILE_FORMAT_VERSION, Entry, Profile
from tcptune.domain.values import kernel_text, numbers, sysctl_key
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import built_in_profiles, catalogue

_OPERATORS = ("exactly", "at_least", "at_most", "between", "one_of", "leave", "elements")
_TOP = ("profile", "format_version", "summary", "extends", "settings")
_DEMAND: TypeAdapter[Demand] = TypeAdapter(Demand)


def load_profile(name_or_path: str) -> Profile:
    """Return the built-in profile of that name, or the profile in that file.

    Raises ProfileError with every mistake of the file, or where there is no such profile.
    """
    return _load(name_or_path, base=Path(), coming_from=())


def _load(name_or_path: str, base: Path, coming_from: tuple[str, ...]) -> Profile:
    text, origin, folder = _text(name_or_path, base)
    if origin in coming_from:
        raise ProfileError(f"profiles extend each other in a circle: {' -> '.join([*coming_from, origin])}")
    document = Document(text)
    parents: list[Profile] = []
    name, summary = "", ""
    extends: list[str] = []
    own: list[Entry] = []
    if document.readable:
        name, summary, extends, own = _read(document, origin)
    for index, parent in enumerate(extends):
        try:
            parents.append(_load(parent, folder, (*coming_from, origin)))
        except ProfileError as problem:
            document.add(("extends", index), str(problem))
    if document.mistakes:
        raise _as_error(origin, document)
    entries: dict[str, Entry] = {}
    for entry in (*(e for parent in parents for e in parent.entries), *own):
        entries[entry.key] = entry
    return Profile(
        name=name,
        summary=summary,
        origin=origin,
        extends=tuple(extends),
        entries=tuple(sorted(entries.values(), key=_catalogue_order)),
        digest=sha256("\n".join([text, *(p.digest for p in parents)])),
    )


def _text(name_or_path: str, base: Path) -> tuple[str, str, Path]:
    built_in = built_in_profiles()
    if name_or_path in built_in:
        return built_in[name_or_path], f"{name_or_path} (built in)", base
    path = Path(os.path.normpath(base / name_or_path))
    looks_like_path = "/" in name_or_path or name_or_path.endswith((".yml", ".yaml"))
    if not looks_like_path and not path.is_file():
        near = difflib.get_close_matches(name_or_path, built_in, 1)
        known = near or sorted(built_in)
        raise ProfileError(f"there is no profile {name_or_path!r}", hint=" or ".join([*known, "a path ending in .yml"]))
    try:
        return path.read_text(encoding="utf-8"), str(path), path.parent
    except OSError as problem:
        raise ProfileError(f"{path}: {problem.strerror}", hint="the name of a built-in profile, or a path") from None
    except UnicodeDecodeError:
        raise ProfileError(f"{path}: this is no text in UTF-8") from None


def _read(document: Document, origin: str) -> tuple[str, str, list[str], list[Entry]]:
    data = document.data
    if not isinstance(data, dict):
        document.add((), "a profile is a mapping with 'profile' and 'settings'")
        return "", "", [], []
    for key in data:
        if key not in _TOP:
            document.add((key,), f"unknown key {key!r}{_meant(key, _TOP)}")
    name = _word(document, data, "profile")
    version = data.get("format_version")
    if version is not None and version != str(PROFILE_FORMAT_VERSION):
        document.add(("format_version",), f"this tcptune reads format version {PROFILE_FORMAT_VERSION}, not {version}")
    extends = data.get("extends") or []
    if not isinstance(extends, list) or not all(isinstance(item, str) for item in extends):
        document.add(("extends",), "'extends' is a list of profile names or paths")
        extends = []
    settings = data.get("settings")
    entries: list[Entry] = []
    if isinstance(settings, dict) and settings:
        for key, body in settings.items():
            if entry := _entry(document, key, body, name or origin):
                if any(entry.key == other.key for other in entries):
                    document.add(("settings", key), f"{entry.key} stands twice, here in another spelling")
                entries.append(entry)
    else:
        document.add(("settings",), "'settings' maps each sysctl key to what is wanted of it")
    summary = data.get("summary")
    return name, summary if isinstance(summary, str) else "", extends, entries


def _word(document: Document, data: Mapping[str, Any], field: str) -> str:
    value = data.get(field)
    if isinstance(value, str) and value.strip():
        return value.strip()
    document.add((field,) if field in data else (), f"{field!r} is missing: give the profile a name")
    return ""


def _entry(document: Document, raw_key: str, body: Any, profile: str) -> Entry | None:
    here = ("settings", raw_key)
    try:
        key = sysctl_key(raw_key)
    except ValueError as problem:
        document.add(here, str(problem))
        return None
    known = catalogue()
    parameter = known.get(key)
    if parameter is None:
        document.add(here, f"{key} is not in the catalogue{_meant(key, known)}")
        return None
    if parameter.read_only:
        document.add(here, f"{key} can only be read: the kernel keeps it")
        return None
    if not isinstance(body, dict):
        document.add(
            here, f"write an operator here, for example {{exactly: {_example(parameter)}, why: ..., source: ...}}"
        )
        return None
    before = len(document.mistakes)
    for field in body:
        if field not in (*_OPERATORS, "why", "source"):
            document.add((*here, field), f"unknown key {field!r}{_meant(field, (*_OPERATORS, 'why', 'source'))}")
    for field in ("why", "source"):
        if not isinstance(body.get(field), str) or not body[field].strip():
            document.add((*here, field), f"{key}: {field!r} is missing; a reviewer needs it")
    demand = _demand(document, here, parameter, body)
    if demand is None or len(document.mistakes) > before:
        return None
    return Entry(
        key=key,
        demand=demand,
        why=" ".join(body["why"].split()),
        source=" ".join(body["source"].split()),
        profile=profile,
    )


def _demand(
    document: Document, here: tuple[str | int, ...], parameter: Parameter, body: dict[str, Any]
) -> Demand | None:
    given = [operator for operator in _OPERATORS if operator in body]
    if len(given) != 1:
        said = "has no operator" if not given else f"has {len(given)} operators ({', '.join(given)})"
        document.add(here, f"{parameter.key} {said}; it takes one of {', '.join(_OPERATORS)}")
        return None
    operator = given[0]
    path = (*here, operator)
    operand = body[operator]
    if operator == "elements":
        return _elements(document, path, parameter, operand)
    demand = _single(document, path, operator, operand)
    if demand is not None:
        for value in _values_of(demand):
            if problem := parameter.mistake(value):
                document.add(path, problem)
        _check_order(document, path, demand)
    return demand


def _elements(document: Document, path: tuple[str | int, ...], parameter: Parameter, operand: Any) -> Demand | None:
    arity = ARITY.get(parameter.shape, 1)
    if arity == 1 or not isinstance(operand, list) or len(operand) != arity:
        document.add(path, f"'elements' is a list of {arity} operators, for a setting of several numbers")
        return None
    each: list[Any] = []
    for index, item in enumerate(operand):
        here = (*path, index)
        if item == "leave":
            each.append(Leave())
            continue
        if not isinstance(item, dict) or len(item) != 1:
            document.add(here, "write one operator here, for example {at_least: 4096}, or leave")
            continue
        [(operator, value)] = item.items()
        if operator not in _OPERATORS[:-1]:
            document.add(here, f"unknown operator {operator!r}{_meant(operator, _OPERATORS[:-1])}")
            continue
        demand = _single(document, (*here, operator), operator, value)
        if demand is None:
            continue
        for text in _values_of(demand):
            if problem := parameter.element_mistake(text):
                document.add((*here, operator), problem)
        _check_order(document, (*here, operator), demand)
        each.append(demand)
    if len(each) != arity:
        return None
    demands = Elements(each=tuple(each))
    _check_climb(document, path, demands)
    return demands


def _check_order(document: Document, path: tuple[str | int, ...], demand: Demand) -> None:
    if isinstance(demand, Between):
        low, high = numbers(demand.low), numbers(demand.high)
        if low and high and any(a > b for a, b in zip(low, high, strict=False)):
            document.add(path, f"no value is {demand}: the bounds are the wrong way round")


def _check_climb(document: Document, path: tuple[str | int, ...], demands: Elements) -> None:
    """Refuse a vector whose earlier number would have to be higher than a later one may be."""
    floor = 0
    for number, demand in enumerate(demands.each, start=1):
        low, high = _reach(demand)
        floor = max(floor, low)
        if high is not None and floor > high:
            document.add(path, f"number {number} may be at most {high}, and one before it is at least {floor}")


def _reach(demand: Demand) -> tuple[int, int | None]:
    """Return the least and the most one number may be; None for no limit."""
    match demand:
        case Exactly():
            found = numbers(demand.value) or (0,)
            return found[0], found[0]
        case AtLeast():
            return (numbers(demand.value) or (0,))[0], None
        case AtMost():
            return 0, (numbers(demand.value) or (0,))[0]
        case Between():
            low, high = (numbers(demand.low) or (0,))[0], (numbers(demand.high) or (0,))[0]
            # The wrong way round is a mistake of its own.
            return (low, high) if low <= high else (0, None)
        case _:
            return 0, None


def _single(document: Document, path: tuple[str | int, ...], operator: str, operand: Any) -> Demand | None:
    fields: dict[str, Any]
    match operator:
        case "between":
            if not isinstance(operand, list) or len(operand) != 2:
                document.add(path, "'between' takes a list of two: [low, high]")
                return None
            fields = {"low": operand[0], "high": operand[1]}
        case "one_of":
            if not isinstance(operand, list) or not operand:
                document.add(path, "'one_of' takes a list of values, the preferred one first")
                return None
            fields = {"values": operand}
        case "leave":
            if operand is not True:
                document.add(path, "write 'leave: true'")
                return None
            fields = {}
        case _:
            fields = {"value": operand}
    try:
        return _DEMAND.validate_python({"operator": operator, **fields})
    except ValidationError as problem:
        for error in problem.errors():
            # Only kernel_text can refuse here; its own words are what helps.
            document.add(path, str(error.get("ctx", {}).get("error", error["msg"])))
        return None


def _values_of(demand: Demand) -> tuple[str, ...]:
    match demand:
        case Between():
            return (demand.low, demand.high)
        case OneOf():
            return demand.values
        case Leave() | Elements():
            return ()
        case _:
            return (demand.value,)


def _example(parameter: Parameter) -> str:
    """Return a value that the setting may have, to show how an entry is written."""
    if known := next((d.value for d in parameter.defaults if d.value and not parameter.mistake(d.value)), None):
        return known
    if parameter.shape is Shape.PORTS:
        return "8080"
    return " ".join([kernel_text(parameter.sensible.min)] * parameter.arity)


def _meant(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def _catalogue_order(entry: Entry) -> int:
    return list(catalogue()).index(entry.key)


def _as_error(origin: str, document: Document) -> ProfileError:
    mistakes = sorted(document.mistakes, key=lambda m: (m.place.line, m.place.column))
    if len(mistakes) == 1:
        [only] = mistakes
        return ProfileError(f"{origin}:{only.place.line}:{only.place.column}: {only.message}")
    lines = [f"  {m.place.line}:{m.place.column}  {m.message}" for m in mistakes]
    return ProfileError("\n".join([f"{origin}: {len(mistakes)} mistakes", *lines]))
