"""What the writers share: which value a demand comes to where the format has no word for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tcptune.domain.demands import AtLeast, AtMost, Demand, Elements, Exactly, Includes, Leave, OneOf, Unset
from tcptune.domain.exchange import LeftOut
from tcptune.domain.profile import Entry, Profile
from tcptune.domain.values import Frozen

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


def written(profile: Profile, options: ExportOptions, express: Express) -> tuple[list[Written], tuple[LeftOut, ...]]:
    """Return what a file says of a profile, and what it does not: each entry is in one of the two, or in both.

    It is in both where the format cannot say all of it.
    """
    lines: list[Written] = []
    left_out: list[LeftOut] = []
    for entry in profile.entries:
        value = express(entry.demand)
        why = ""
        if value is None:
            value, why = _settled(entry, options)
        if value is not None:
            remark = f"{entry.why} [{entry.demand}]" if why else entry.why
            lines.append(Written(entry, value, " ".join(remark.split())))
        if why:
            left_out.append(not_said(profile, entry, why))
    for limit in profile.limits:
        text = f"{limit.key}: {limit.demand}"
        why = "the format sets no limits of running services; each has LimitNOFILE= in its unit"
        left_out.append(LeftOut(path=profile.name, line=0, text=text, why=why))
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


def _settled(entry: Entry, options: ExportOptions) -> tuple[str | None, str]:
    demand = entry.demand
    if isinstance(demand, Leave):
        return None, "leaves the value alone, so there is nothing to write"
    if isinstance(demand, Unset):
        return None, "wants it set by no file, this one included"
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
        case Exactly() | AtLeast() | AtMost() | Includes():
            return demand.value
        case OneOf():
            return demand.values[0]
        case Elements():
            each = [_bound(one) for one in demand.each]
            return " ".join(one for one in each if one is not None) if None not in each else None
    return None
