"""From a profile to another tool's file. No such file knows guards or formulas: they are settled first, or listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tcptune.dialects import WRITERS
from tcptune.dialects.writing import ExportOptions
from tcptune.domain import formulas
from tcptune.domain.demands import Leave, operands, replaced
from tcptune.domain.exchange import Exported, LeftOut
from tcptune.domain.facts import Absent, HostFacts, Value
from tcptune.domain.guards import Guard, Scope
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.merging import Clash, solve
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Entry, Profile
from tcptune.errors import InputError, ProfileError
from tcptune.planning.rules import CLASH_HINT, Rule, clash_message, load_values, rule_for, situation

_SCOPES = {"kubernetes": Scope.NAMESPACE}
"""Formats whose files count in one scope alone."""


def export(
    profile: Profile,
    to: str,
    parameters: Mapping[str, Parameter],
    *,
    facts: HostFacts | None = None,
    declared: Declared = NOTHING_DECLARED,
    bounds: bool = False,
) -> Exported:
    """Return the files of one format that say what the profile asks of one host, and what they do not say.

    Without facts, of any host: then what depends on the host is left out. Raises ProfileError where several profiles
    cannot be met together, InputError where the facts are of a host that the format is not for.
    """
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    scope = _SCOPES.get(to)
    if scope is not None and facts is not None and situation(facts, declared).scope is not scope:
        raise InputError(
            f"{to}: the values of {facts.host}, which is no pod, say nothing of a pod's own",
            hint="--bounds instead of --facts",
        )
    for key, groups in profile.groups().items():
        if facts is not None:
            found = _on_host(profile, key, groups, facts, parameters.get(key), declared)
        else:
            found = _anywhere(profile, key, groups, declared, scope)
        if isinstance(found, Entry):
            entries.append(found)
        else:
            left_out.append(found)
    exported = WRITERS[to].write(profile.model_copy(update={"entries": tuple(entries)}), _options(facts, bounds=bounds))
    order = {key: number for number, key in enumerate(profile.groups())}
    told = sorted([*left_out, *exported.left_out], key=lambda one: order.get(one.text.partition(": ")[0], len(order)))
    return Exported(files=exported.files, left_out=tuple(told))


def _options(facts: HostFacts | None, *, bounds: bool) -> ExportOptions:
    if facts is None:
        return ExportOptions(bounds=bounds)
    actual = {key: reading.text for key, reading in facts.sysctl.items() if isinstance(reading, Value)}
    return ExportOptions(host=facts.host, actual=actual, bounds=bounds)


def _on_host(
    profile: Profile,
    key: str,
    groups: tuple[tuple[Entry, ...], ...],
    facts: HostFacts,
    parameter: Parameter | None,
    declared: Declared,
) -> Entry | LeftOut:
    said = _said(groups)
    if isinstance(facts.sysctl.get(key), Absent):
        return _left(profile, key, said, f"{facts.host} has no such key")
    found = rule_for(key, groups, facts, parameter, declared)
    if isinstance(found, Rule):
        return Entry(key=key, demand=found.demand, why=found.why, source=found.source, profile=profile.name)
    return _left(profile, key, said, f"{facts.host}: {found.why}")


def _anywhere(
    profile: Profile, key: str, groups: Sequence[Sequence[Entry]], declared: Declared, scope: Scope | None
) -> Entry | LeftOut:
    """Settle what asks the same of every host, or of every one of a scope."""
    within = [[_within(entry, scope) for entry in group if _may_hold(entry, scope)] for group in groups]
    if not any(within):
        return _left(profile, key, _said(groups), f"it is asked {groups[0][0].when}, which this format is not for")
    # Where the first of a group has no guard left, the others never have their turn.
    entries = [entry for group in within for entry in (group[:1] if group and group[0].when == Guard() else group)]
    said = _said([entries])
    for entry in entries:
        if guard := str(entry.when):
            return _left(profile, key, said, f"it is asked {guard}, which depends on the host; name one")
        unknown = {name for value in operands(entry.demand) for name in formulas.names(value)} - set(entry.load)
        if unknown:
            return _left(profile, key, said, f"the value depends on {', '.join(sorted(unknown))} of a host; name one")
    loads = [load_values(entry, declared) for entry in entries]
    demands = [
        replaced(entry.demand, lambda text, load=load: formulas.evaluate(text, load))  # type: ignore[misc]
        for entry, load in zip(entries, loads, strict=True)
    ]
    try:
        demand = solve(demands)
    except Clash as clash:
        message = clash_message(key, entries, [str(one) for one in demands], str(clash))
        raise ProfileError(message, hint=CLASH_HINT) from None
    speaking = [e for e, one in zip(entries, demands, strict=True) if not isinstance(one, Leave)] or entries
    return speaking[0].model_copy(update={"demand": demand})


def _may_hold(entry: Entry, scope: Scope | None) -> bool:
    return scope is None or entry.when.scope in {None, scope}


def _within(entry: Entry, scope: Scope | None) -> Entry:
    """Return an entry without the guard that its scope answers."""
    if scope is None or entry.when.scope is None:
        return entry
    return entry.model_copy(update={"when": entry.when.model_copy(update={"scope": None})})


def _said(groups: Iterable[Iterable[Entry]]) -> str:
    return " or ".join(dict.fromkeys(str(entry.demand) for group in groups for entry in group))


def _left(profile: Profile, key: str, said: str, why: str) -> LeftOut:
    return LeftOut(path=profile.name, line=0, text=f"{key}: {said}", why=why)
