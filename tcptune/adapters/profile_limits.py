"""The section `limits` of a profile file. What is wrong is noted in the document, never raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tcptune.adapters.profile_demands import TRIAL, closest
from tcptune.adapters.profile_syntax import known_keys, read_guard, word
from tcptune.adapters.yaml_source import Document, Path
from tcptune.domain import formulas
from tcptune.domain.guards import Guard
from tcptune.domain.limits import LEAST_NOFILE, MOST_NOFILE
from tcptune.domain.profile import LimitEntry, LoadVariable
from tcptune.domain.values import kernel_text, numbers

LIMITS = ("nofile",)
LIMIT_ENTRY = ("at_least", "processes", "when", "why", "source")

_FORM = "limits: {nofile: {at_least: 65536, processes: [nginx], why: ..., source: ...}}"
_FACTS = {name: meaning for name, meaning in formulas.FACTS.items() if name != "actual"}
"""What formulas may use here: a limit has no one value now."""


def read_limits(document: Document, name: str, load: Mapping[str, LoadVariable], origin: str) -> list[list[LimitEntry]]:
    """Return the profile's own entries, the alternatives for the same processes together."""
    body = document.data.get("limits") if isinstance(document.data, dict) else None
    if body is None:
        if isinstance(document.data, dict) and "limits" in document.data:
            document.add(("limits",), "'limits' is empty", hint=_FORM)
        return []
    if not isinstance(body, dict):
        document.add(("limits",), "'limits' maps the name of a limit to what is wanted of it", hint=_FORM)
        return []
    found: dict[str, list[LimitEntry]] = {}
    for limit, items in body.items():
        here: Path = ("limits", limit)
        if limit not in LIMITS:
            hint = closest(limit, LIMITS) or f"there is {', '.join(LIMITS)}, the number of open files"
            document.add(here, f"there is no limit {limit!r} in profiles", hint=hint)
            continue
        if not isinstance(items, dict | list) or not items:
            document.add(here, f"{limit} is a mapping, or a list of them", hint=_FORM)
            continue
        bodies = items if isinstance(items, list) else [items]
        paths: list[Path] = [(*here, index) for index in range(len(bodies))] if isinstance(items, list) else [here]
        for path, each in zip(paths, bodies, strict=True):
            entry = _entry(document, path, each, name, load, origin)
            if entry is None:
                continue
            before = found.setdefault(entry.key, [])
            if before and before[-1].when == Guard():
                said = f"{entry.key}: the entry of {before[-1].place} has no 'when', so this one never counts"
                document.add(path, said, hint="give that one a 'when', or other processes")
            before.append(entry)
    return list(found.values())


def _entry(
    document: Document, here: Path, body: Any, profile: str, load: Mapping[str, LoadVariable], origin: str
) -> LimitEntry | None:
    if not isinstance(body, dict):
        document.add(here, "a limit is a mapping with at_least, why and source", hint=_FORM)
        return None
    before = len(document.mistakes)
    known_keys(document, here, body, LIMIT_ENTRY)
    why = word(document, here, body, "why", hint="the reason a reviewer needs")
    source = word(document, here, body, "source", hint="systemd.exec, a vendor's page, or what was measured")
    when = read_guard(document, (*here, "when"), body.get("when"))
    processes = _processes(document, (*here, "processes"), body)
    at_least = _at_least(document, here, body, load)
    if len(document.mistakes) > before:
        return None
    used = formulas.names(at_least) if formulas.is_formula(at_least) else frozenset()
    return LimitEntry(
        at_least=at_least,
        processes=processes,
        when=when,
        why=why,
        source=source,
        profile=profile,
        place=f"{origin}:{document.place(here).line}",
        group=profile,
        load={name: load[name] for name in sorted(used) if name in load},
    )


def _processes(document: Document, path: Path, body: Mapping[str, Any]) -> tuple[str, ...]:
    if "processes" not in body:
        return ()
    given = body["processes"]
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and n.strip() for n in names):
        said = "'processes' is a list of names of processes or units; without it, every process that listens is meant"
        document.add(path, said, hint='processes: [nginx, "haproxy*"]')
        return ()
    # Which are meant does not depend on their order, and so neither does what an entry overrides.
    return tuple(sorted({name.strip() for name in names}))


def _at_least(document: Document, here: Path, body: Mapping[str, Any], load: Mapping[str, LoadVariable]) -> str:
    path = (*here, "at_least")
    if "at_least" not in body:
        document.add(here, "nofile has no 'at_least'", hint="at_least: 65536")
        return ""
    try:
        text = kernel_text(body["at_least"])
    except ValueError as refused:
        document.add(path, str(refused), hint="at_least: 65536")
        return ""
    if not formulas.is_formula(text):
        _check(document, path, text, "")
        return text
    if problem := formulas.mistake(text, [*_FACTS, *load]):
        known = sorted([*_FACTS, *load])
        near = closest(problem.split()[0], known) if "neither" in problem else None
        document.add(path, problem, hint=near or f"names: {', '.join(known)}; {', '.join(formulas.FUNCTIONS)}")
        return text
    try:
        defaults = {name: variable.default for name, variable in load.items()}
        value = formulas.evaluate(text, {**{name: TRIAL[name] for name in _FACTS}, **defaults})
    except ValueError as failed:
        document.add(path, str(failed), hint="the defaults of its load variables must give a number")
        return text
    _check(document, path, value, f"with its defaults, on a host with 16 GiB, this formula gives {value}: ")
    return text


def _check(document: Document, path: Path, text: str, prefix: str) -> None:
    found = numbers(text)
    if text in {"infinity", "unlimited"}:
        document.add(path, "no limit is infinite: fs.nr_open bounds them all", hint=f"at_least: {MOST_NOFILE}, or less")
    elif found is None or len(found) != 1 or str(found[0]) != text:
        document.add(path, f"{prefix}nofile takes one whole number, {text!r} is none", hint="at_least: 65536")
    elif not LEAST_NOFILE <= found[0] <= MOST_NOFILE:
        said = f"{prefix}{text} is outside {LEAST_NOFILE}..{MOST_NOFILE} (files)"
        document.add(path, said, hint="limit it: | clamp(LOW, HIGH)" if prefix else "at_least: 65536")
