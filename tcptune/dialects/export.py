"""From a profile to another tool's file. No such file knows guards or formulas: they are settled first, or listed."""

from __future__ import annotations

from collections.abc import Mapping

from tcptune.dialects import WRITERS
from tcptune.dialects.writing import ExportOptions
from tcptune.domain import formulas
from tcptune.domain.demands import Leave, operands, replaced
from tcptune.domain.exchange import Exported, LeftOut
from tcptune.domain.facts import Absent, HostFacts, Value
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.merging import Clash, solve
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Entry, Profile
from tcptune.errors import ProfileError
from tcptune.planning.rules import CLASH_HINT, Rule, clash_message, load_values, rule_for


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
    cannot be met together.
    """
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    for key, groups in profile.groups().items():
        if facts is not None:
            found = _on_host(profile, key, groups, facts, parameters.get(key), declared)
        else:
            found = _anywhere(profile, key, [entry for group in groups for entry in group], declared)
        if isinstance(found, Entry):
            entries.append(found)
        else:
            left_out.append(found)
    if not entries:
        return Exported(files={}, left_out=tuple(left_out))
    exported = WRITERS[to].write(profile.model_copy(update={"entries": tuple(entries)}), _options(facts, bounds=bounds))
    return Exported(files=exported.files, left_out=(*left_out, *exported.left_out))


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
    said = " or ".join(dict.fromkeys(str(entry.demand) for group in groups for entry in group))
    if isinstance(facts.sysctl.get(key), Absent):
        return _left(profile, key, said, f"{facts.host} has no such key")
    found = rule_for(key, groups, facts, parameter, declared)
    if isinstance(found, Rule):
        return Entry(key=key, demand=found.demand, why=found.why, source=found.source, profile=profile.name)
    return _left(profile, key, said, f"{facts.host}: {found.why}")


def _anywhere(profile: Profile, key: str, entries: list[Entry], declared: Declared) -> Entry | LeftOut:
    """Settle what asks the same of every host."""
    said = " or ".join(dict.fromkeys(str(entry.demand) for entry in entries))
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


def _left(profile: Profile, key: str, said: str, why: str) -> LeftOut:
    return LeftOut(path=profile.name, line=0, text=f"{key}: {said}", why=why)
