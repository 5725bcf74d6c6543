"""What a profile asks of one host: guards judged, formulas evaluated, several entries solved to one demand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tcptune.domain import formulas
from tcptune.domain.demands import Demand, Includes, Unset, operands, replaced
from tcptune.domain.facts import Absent, HostFacts, Value
from tcptune.domain.findings import NotApplicable, Unknown
from tcptune.domain.guards import Scope, Situation, unmet
from tcptune.domain.hosts import Declared
from tcptune.domain.merging import Clash, solve
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Entry, LimitEntry
from tcptune.domain.state import Virtualization
from tcptune.domain.values import Frozen, numbers
from tcptune.errors import ProfileError

# A child network namespace lacks these on every kernel that has them at all.
_HOST_ONLY = ("net.ipv4.tcp_mem", "net.core.netdev_max_backlog", "net.ipv4.tcp_max_orphans")


class Rule(Frozen):
    """What is asked of one setting on one host."""

    key: str
    demand: Demand
    words: str
    """The demand as people read it, with the formula it came from."""
    why: str
    source: str
    entries: tuple[Entry, ...]


def rule_for(
    key: str,
    groups: Sequence[Sequence[Entry]],
    facts: HostFacts,
    parameter: Parameter | None,
    declared: Declared,
) -> Rule | NotApplicable | Unknown:
    """Return what the entries of one key ask of a host.

    Raises ProfileError where entries of several profiles cannot be met together.
    """
    here = situation(facts, declared)
    chosen: list[Entry] = []
    guards: list[str] = []
    for group in groups:
        try:
            reasons = []
            for entry in group:
                reason = unmet(entry.when, here)
                if reason is None:
                    chosen.append(entry)
                    break
                reasons.append(reason)
            else:
                guards += reasons
        except ValueError as problem:
            return Unknown(key=key, why=f"{problem}, and the profile asks")
    if not chosen:
        return NotApplicable(key=key, why="; ".join(dict.fromkeys(guards)))
    if isinstance(facts.sysctl.get(key), Absent) and not all(isinstance(e.demand, Unset) for e in chosen):
        # Nothing to evaluate for: `actual` has no value. The audit says why the key is absent.
        return _joined(key, chosen, [entry.demand for entry in chosen], [str(entry.demand) for entry in chosen])
    demands: list[Demand] = []
    words: list[str] = []
    for entry in chosen:
        try:
            demand, said = evaluated(entry, facts, parameter, declared)
        except ValueError as problem:
            return Unknown(key=key, why=f"{entry.place or entry.profile}: {problem}")
        demands.append(demand)
        words.append(said)
    return _joined(key, chosen, demands, words)


def _joined(key: str, chosen: Sequence[Entry], demands: Sequence[Demand], words: Sequence[str]) -> Rule:
    if len(chosen) == 1:
        demand, said = demands[0], words[0]
    else:
        try:
            demand = solve(demands)
        except Clash as clash:
            raise ProfileError(clash_message(key, chosen, words, str(clash)), hint=CLASH_HINT) from None
        said = next((w for d, w in zip(demands, words, strict=True) if d == demand), str(demand))
    speaking = [entry for entry, d in zip(chosen, demands, strict=True) if _binds(d, demands, demand)] or chosen
    return Rule(
        key=key,
        demand=demand,
        words=said,
        why="; ".join(dict.fromkeys(entry.why for entry in speaking)),
        source="; ".join(dict.fromkeys(entry.source for entry in speaking)),
        entries=tuple(chosen),
    )


def _binds(one: Demand, demands: Sequence[Demand], solved: Demand) -> bool:
    """Say whether less would be asked without this demand, and so whether its reason explains what is asked."""
    others = [d for d in demands if d != one]
    return one.operator != "leave" and (not others or solve(others) != solved)


CLASH_HINT = "override the key in a profile that extends both, or use one of them"


def clash_message(key: str, entries: Sequence[Entry], words: Sequence[str], reason: str) -> str:
    """Return the text that names both sides of a clash."""
    sides = "\n".join(f"  {e.place or e.profile}  {e.profile}: {w}" for e, w in zip(entries, words, strict=True))
    return f"{key}: these profiles cannot be met together: {reason}\n{sides}"


def evaluated(entry: Entry, facts: HostFacts, parameter: Parameter | None, declared: Declared) -> tuple[Demand, str]:
    """Return an entry's demand with its formulas evaluated, and its words.

    Raises ValueError where a formula has no value here, or one the setting cannot have.
    """
    written = operands(entry.demand)
    if not any(formulas.is_formula(value) for value in written):
        return entry.demand, str(entry.demand)
    load = load_values(entry, declared)
    values = {**load, **formula_facts(facts), "actual": actual_numbers(entry.key, facts)}
    demand = replaced(entry.demand, lambda text: formulas.evaluate(text, values))
    _must_fit(parameter, demand)
    explained = [
        # Facts keep their names: hosts that differ in a little RAM alone still share a finding and a cohort.
        (formulas.evaluate(value, values), " ".join(formulas.in_words(value, load)))
        for value in dict.fromkeys(written)
        if formulas.is_formula(value)
    ]
    if len(written) == 1 and demand.operator != "elements":
        return demand, f"{demand} = {explained[0][1]}"
    return demand, f"{demand} ({', '.join(f'{number} = {formula}' for number, formula in explained)})"


def _must_fit(parameter: Parameter | None, demand: Demand) -> None:
    if parameter is None or isinstance(demand, Includes):
        return
    for value in operands(demand):
        check = parameter.element_mistake if demand.operator == "elements" else parameter.mistake
        if problem := check(value):
            raise ValueError(problem)


def load_values(entry: Entry | LimitEntry, declared: Declared) -> dict[str, float | int]:
    """Return the load variables an entry uses: as declared for the host, else the profile's default."""
    return {name: _plain(declared.load.get(name, variable.default)) for name, variable in entry.load.items()}


def actual_numbers(key: str, facts: HostFacts) -> tuple[int, ...] | None:
    """Return a setting's own numbers, or None where it has none here."""
    reading = facts.sysctl.get(key)
    return numbers(reading.text) if isinstance(reading, Value) else None


def formula_facts(facts: HostFacts) -> dict[str, Any]:
    """Return what formulas may ask of a host. None where it is not known."""
    speeds = [link.speed_mbps for link in facts.links.links if link.speed_mbps] if facts.links else []
    return {
        "memory_bytes": facts.system.memory_bytes,
        "cpus": facts.system.cpus,
        "page_size_bytes": facts.system.page_size_bytes,
        "link_speed_mbps": max(speeds, default=None),
        "kernel": formulas.KernelRelease(facts.system.kernel),
    }


def situation(facts: HostFacts, declared: Declared) -> Situation:
    """Return what guards may ask of a host."""
    return Situation(
        kernel=facts.system.kernel,
        memory_bytes=facts.system.memory_bytes,
        virtualization=_virtualization(facts.system.virtualization),
        scope=_scope(facts),
        roles=declared.roles,
        host=facts.host,
    )


def _virtualization(found: Virtualization | None) -> tuple[str, ...] | None:
    if found is None:
        return None
    names = [
        *(("container", found.container) if found.container else ()),
        *(("vm", found.machine) if found.machine else ()),
    ]
    return tuple(names) or (None if found.unread else ("none",))


def _scope(facts: HostFacts) -> Scope | None:
    child = facts.system.namespace.child if facts.system.namespace else None
    if child is None:
        readings = [facts.sysctl[key] for key in _HOST_ONLY if key in facts.sysctl]
        if not readings:
            return None
        child = all(isinstance(reading, Absent) for reading in readings)
    return Scope.NAMESPACE if child else Scope.HOST


def _plain(number: float) -> float | int:
    return int(number) if math.isfinite(number) and number == int(number) else number
