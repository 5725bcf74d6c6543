"""What the writers share: which value a demand comes to where the format has no word for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tcptune.domain import formulas
from tcptune.domain.demands import AtLeast, AtMost, Demand, Elements, Exactly, Leave, OneOf, Unset, operands
from tcptune.domain.exchange import LeftOut
from tcptune.domain.facts import Absent, HostFacts
from tcptune.domain.findings import NotApplicable, Unknown
from tcptune.domain.guards import Guard, Scope
from tcptune.domain.hosts import NOTHING_DECLARED
from tcptune.domain.merging import solve
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Entry, Profile
from tcptune.domain.values import Frozen
from tcptune.planning.rules import rule_for

Express = Callable[[Demand], str | None]
"""How a format writes a demand; None where it has no word for it."""


class ExportOptions(Frozen):
    """What a demand is settled with where the format can say no more than a value.

    Without either, it is left out: `at least 4096` written as 4096 would lower a host that has more.
    """

    host: str = ""
    """Whose values `actual` are."""
    actual: Mapping[str, str] = {}
    """The values of one host, by key. Each demand is settled as a plan for that host would settle it."""
    bounds: bool = False
    """Write the bound itself where no value is known, and the first of several that may be."""


class Written(NamedTuple):
    """One setting of a foreign file."""

    entry: Entry
    value: str
    remark: str
    """Why the value stands; one line."""


def exactly(demand: Demand) -> str | None:
    """Express a demand in a format that can only set values."""
    return demand.value if isinstance(demand, Exactly) else None


def on_host(
    profile: Profile, facts: HostFacts, parameters: Mapping[str, Parameter]
) -> tuple[tuple[Entry, ...], tuple[LeftOut, ...]]:
    """Return what a profile asks of one host, guards judged and formulas evaluated, and what it does not ask there.

    Load variables have their defaults. Raises ProfileError where entries of several profiles cannot be met together.
    """
    entries: list[Entry] = []
    left_out: list[LeftOut] = []
    for key, groups in profile.groups().items():
        rule = rule_for(key, groups, facts, parameters.get(key), NOTHING_DECLARED)
        first = groups[0][0]
        if isinstance(facts.sysctl.get(key), Absent) and not isinstance(first.demand, Unset):
            left_out.append(not_said(profile, first, f"{facts.host} has no such setting"))
        elif isinstance(rule, NotApplicable | Unknown):
            left_out.append(not_said(profile, first, rule.why))
        else:
            plain = {"demand": rule.demand, "why": rule.why, "source": rule.source, "when": Guard()}
            entries.append(first.model_copy(update=plain))
    return tuple(entries), tuple(left_out)


def written(
    profile: Profile, options: ExportOptions, express: Express, scope: Scope | None = None
) -> tuple[list[Written], tuple[LeftOut, ...]]:
    """Return what a file says of a profile, and what it does not: each setting is in one of the two, or in both.

    It is in both where the format cannot say all of it. `scope` is where the file will count, where that is known.
    """
    lines: list[Written] = []
    left_out: list[LeftOut] = []
    for groups in profile.groups().values():
        entry, why = _everywhere(groups, scope)
        value = None if why else express(entry.demand)
        if value is None and not why:
            value, why = _settled(entry, options)
        if value is not None:
            remark = f"{entry.why} [{entry.demand}]" if why else entry.why
            lines.append(Written(entry, value, " ".join(remark.split())))
        if why:
            left_out.append(not_said(profile, entry, why))
    return lines, tuple(left_out)


def not_said(profile: Profile, entry: Entry, why: str) -> LeftOut:
    """Return the record of an entry that a file does not say, or not in full."""
    return LeftOut(path=profile.name, line=0, text=f"{entry.key}: {entry.demand}", why=why)


def origin(profile: Profile) -> str:
    """Return the comment that every file begins with, as one line."""
    return f"# Written by tcptune from its profile {' '.join(profile.name.split())}.\n"


def is_plain_number(value: str) -> bool:
    """Say whether YAML would read a value as the number it is: 010 it reads as 8."""
    return re.fullmatch(r"0|[1-9][0-9]*", value) is not None


def slug(name: str) -> str:
    """Return a profile's name as part of a file name.

    >>> slug("Web front/end")
    'Web-front-end'
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "profile"


def _everywhere(groups: Sequence[Sequence[Entry]], scope: Scope | None) -> tuple[Entry, str]:
    """Return what is asked of a setting wherever the file will count, or why there is no such thing."""
    within = [[_within(e, scope) for e in group if scope is None or e.when.scope in {None, scope}] for group in groups]
    first = [group[0] for group in within if group]
    if not first:
        return groups[0][0], f"holds {groups[0][0].when}, which this file is not for"
    if guarded := [entry for entry in first if entry.when != Guard()]:
        return guarded[0], f"holds only for {guarded[0].when}; {_ON_A_HOST}"
    if any(formulas.is_formula(value) for entry in first for value in operands(entry.demand)):
        return first[0], f"what it comes to depends on the host; {_ON_A_HOST}"
    # A clash is refused when a profile is read.
    return first[0].model_copy(update={"demand": solve([entry.demand for entry in first])}), ""


_ON_A_HOST = "--facts and --host say of which"


def _within(entry: Entry, scope: Scope | None) -> Entry:
    if scope is None:
        return entry
    return entry.model_copy(update={"when": entry.when.model_copy(update={"scope": None})})


def _settled(entry: Entry, options: ExportOptions) -> tuple[str | None, str]:
    demand = entry.demand
    if isinstance(demand, Leave):
        return None, "leaves the value alone, so there is nothing to write"
    if isinstance(demand, Unset):
        return None, "asks that no file sets it, so there is nothing to write"
    cannot = f"the format cannot say '{demand}'"
    if (actual := options.actual.get(entry.key)) is not None:
        try:
            value = demand.settle(actual)
        except ValueError as problem:
            return None, f"{cannot}, and for {options.host} it comes to nothing: {problem}"
        return value, f"{cannot}; written as {value}, what {options.host} needs, which has {actual}"
    if options.bounds and (bound := _bound(demand)) is not None:
        return bound, f"{cannot}; written as {bound}, whatever a host has"
    what = f", and {options.host} has no such value" if options.host else ""
    return None, f"{cannot}{what}; as a fixed value it would undo what a host has better"


def _bound(demand: Demand) -> str | None:
    match demand:
        case Exactly() | AtLeast() | AtMost():
            return demand.value
        case OneOf():
            return demand.values[0]
        case Elements():
            each = [_bound(one) for one in demand.each]
            return " ".join(one for one in each if one is not None) if None not in each else None
    return None
