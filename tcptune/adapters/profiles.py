"""Profiles and waivers: from files and from the built-in set to domain values.

Every mistake of a file is reported at once, with line, column and a hint.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tcptune.adapters.profile_limits import read_limits
from tcptune.adapters.profile_syntax import read_head, read_settings, read_waivers, used_load
from tcptune.adapters.yaml_source import Document, file_text, looks_like_path
from tcptune.domain import formulas
from tcptune.domain.changes import sha256
from tcptune.domain.demands import operands
from tcptune.domain.guards import Guard
from tcptune.domain.merging import Clash, solve
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Entry, LimitEntry, Listed, LoadVariable, Profile, ProfileList, Waiver
from tcptune.errors import ProfileError, TcptuneError
from tcptune.knowledge.catalogue import built_in_profiles, catalogue
from tcptune.planning.rules import CLASH_HINT, clash_message

Parameters = Mapping[str, Parameter]
E = TypeVar("E", Entry, LimitEntry)
"""Both have a key, a group, a place and a guard, and are merged by them in the same way."""


def load_profile(name_or_path: str, parameters: Parameters | None = None) -> Profile:
    """Return the built-in profile of that name, or the profile in that file.

    Raises ProfileError with every mistake of the file, or where there is no such profile.
    """
    return _load(name_or_path, Path(), (), catalogue() if parameters is None else parameters)


def load_profiles(names_or_paths: Sequence[str], parameters: Parameters | None = None) -> Profile:
    """Return several profiles as one, whose entries on one key all have to be met.

    Raises ProfileError for the mistakes of any of them, and where two can never be met together.
    """
    loaded = [load_profile(name, parameters) for name in dict.fromkeys(names_or_paths)]
    if len(loaded) == 1:
        return loaded[0]
    combined = Profile(
        name=" + ".join(profile.name for profile in loaded),
        summary="; ".join(profile.summary for profile in loaded if profile.summary),
        origin=", ".join(profile.origin for profile in loaded),
        extends=tuple(profile.name for profile in loaded),
        load={name: variable for profile in loaded for name, variable in profile.load.items()},
        entries=_ordered(_merged([profile.entries for profile in loaded]), parameters or catalogue()),
        limits=tuple(_merged([profile.limits for profile in loaded])),
        waivers=tuple(dict.fromkeys(waiver for profile in loaded for waiver in profile.waivers)),
        digest=sha256("\n".join(profile.digest for profile in loaded)),
    )
    _refuse_clashes(combined)
    return combined


def load_file(path: Path, parameters: Parameters | None = None) -> Profile:
    """Return the profile in a file, whatever its name. Raises ProfileError with every mistake."""
    return load_profile(f"./{path}" if not path.is_absolute() else str(path), parameters)


def list_built_in() -> ProfileList:
    """Return the built-in profiles, by name."""
    loaded = {name: load_profile(name) for name in built_in_profiles()}
    return ProfileList(
        profiles=tuple(Listed(name=n, summary=p.summary, settings=len(p.groups())) for n, p in loaded.items())
    )


def load_waivers(path: Path, parameters: Parameters | None = None) -> tuple[Waiver, ...]:
    """Return the waivers of a file: a list, or a mapping with `waivers`. Raises ProfileError with every mistake."""
    document = Document(_file_text(path))
    found: tuple[Waiver, ...] = ()
    if document.readable:
        found = read_waivers(document, str(path), catalogue() if parameters is None else parameters)
    if document.mistakes:
        raise document.error(str(path), ProfileError)
    return found


def _load(name_or_path: str, base: Path, coming_from: tuple[str, ...], parameters: Parameters) -> Profile:
    text, origin, folder = _text(name_or_path, base)
    if origin in coming_from:
        circle = " -> ".join([*coming_from, origin])
        raise ProfileError(f"profiles extend each other in a circle: {circle}")
    document = Document(text)
    if not document.readable:
        raise document.error(origin, ProfileError)
    head = read_head(document)
    parents: list[Profile] = []
    for index, parent in enumerate(head.extends):
        try:
            parents.append(_load(parent, folder, (*coming_from, origin), parameters))
        except TcptuneError as problem:
            document.add(("extends", index), str(problem), hint=problem.hint)
    load = {name: variable for parent in parents for name, variable in parent.load.items()} | head.load
    own = read_settings(document, head, load, parameters, origin)
    own_limits = read_limits(document, head.name, load, origin)
    waivers = read_waivers(document, origin, parameters) if isinstance(document.data, dict) else ()
    if document.mistakes:
        raise document.error(origin, ProfileError)
    inherited = [_reloaded(entry, load) for entry in _merged([parent.entries for parent in parents])]
    entries = _overridden(inherited, own, head.name)
    inherited_limits = [_reloaded_limit(entry, load) for entry in _merged([parent.limits for parent in parents])]
    limits = _overridden(inherited_limits, own_limits, head.name)
    if not entries and not limits:
        raise ProfileError(f"{origin}:1:1: this profile asks for nothing", hint="give it 'settings' or 'extends'")
    profile = Profile(
        name=head.name,
        summary=head.summary,
        origin=origin,
        extends=tuple(head.extends),
        load=load,
        entries=_ordered(entries, parameters),
        limits=tuple(limits),
        waivers=tuple(dict.fromkeys((*(w for parent in parents for w in parent.waivers), *waivers))),
        digest=sha256("\n".join([text, *(p.digest for p in parents)])),
    )
    _refuse_clashes(profile)
    return profile


def _merged(several: Sequence[Sequence[E]]) -> list[E]:
    """Return the entries of profiles that stand side by side.

    What two inherit from one profile counts once; and where one of them overrides it, that override stands for both.
    """
    everything = list({(e.key, e.group, e.place): e for entries in several for e in entries}.values())
    overridden = {(e.key, place): e.group for e in everything for place in e.overrides}
    return [e for e in everything if overridden.get((e.key, e.place), e.group) == e.group]


def _overridden(inherited: Iterable[E], own: Iterable[Sequence[E]], group: str) -> list[E]:
    """Return inherited entries with those of own keys replaced.

    Where all own entries have a guard, the inherited ones are what counts on hosts where none holds.
    """
    inherited = list(inherited)
    found: list[E] = []
    taken: set[str] = set()
    for alternatives in own:
        key = alternatives[0].key
        taken.add(key)
        before = [entry for entry in inherited if entry.key == key]
        overrides = tuple(dict.fromkeys(place for entry in before for place in _places(entry)))
        found += [entry.model_copy(update={"overrides": overrides}) for entry in alternatives]
        if all(entry.when != Guard() for entry in alternatives):
            found += [entry.model_copy(update={"group": group}) for entry in before]
    return [entry for entry in inherited if entry.key not in taken] + found


def _places(entry: Entry | LimitEntry) -> tuple[str, ...]:
    return (entry.place, *entry.overrides)


def _reloaded(entry: Entry, load: Mapping[str, LoadVariable]) -> Entry:
    return entry.model_copy(update={"load": used_load(entry, load)}) if entry.load else entry


def _reloaded_limit(entry: LimitEntry, load: Mapping[str, LoadVariable]) -> LimitEntry:
    return entry.model_copy(update={"load": {name: load[name] for name in entry.load}})


def _refuse_clashes(profile: Profile) -> None:
    """Raise ProfileError for entries that clash on every host; those with guards or formulas are judged per host."""
    clashes = []
    for key, groups in profile.groups().items():
        entries = [group[0] for group in groups if group[0].when == Guard()]
        fixed = [e for e in entries if not any(formulas.is_formula(value) for value in operands(e.demand))]
        try:
            solve([entry.demand for entry in fixed])
        except Clash as clash:
            clashes.append(clash_message(key, fixed, [str(e.demand) for e in fixed], str(clash)))
    if clashes:
        raise ProfileError("\n".join(clashes), hint=CLASH_HINT)


def _ordered(entries: Iterable[Entry], parameters: Parameters) -> tuple[Entry, ...]:
    # In the catalogue's order, which is that of writing; the sort is stable, so alternatives stay in theirs.
    rank = {key: at for at, key in enumerate(parameters)}
    return tuple(sorted(entries, key=lambda entry: rank.get(entry.key, len(rank))))


def _text(name_or_path: str, base: Path) -> tuple[str, str, Path]:
    built_in = built_in_profiles()
    if name_or_path in built_in:
        return built_in[name_or_path], f"{name_or_path} (built in)", base
    path = Path(os.path.normpath(base / name_or_path))
    if not looks_like_path(name_or_path) and not path.is_file():
        near = difflib.get_close_matches(name_or_path, built_in, 1)
        known = near or sorted(built_in)
        raise ProfileError(f"there is no profile {name_or_path!r}", hint=" or ".join([*known, "a path ending in .yml"]))
    return _file_text(path), str(path), path.parent


def _file_text(path: Path) -> str:
    return file_text(path, ProfileError, hint="the name of a built-in profile, or a path")
