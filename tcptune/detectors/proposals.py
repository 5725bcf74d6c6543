"""Several causes, one proposal: a setting has one value, however many causes of a host ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tcptune.domain.diagnosis import CauseFound, NofileProposal, Operator, Proposal
from tcptune.domain.ports import folded, ports
from tcptune.domain.values import numbers


def agreed(found: Sequence[CauseFound]) -> tuple[CauseFound, ...]:
    """Return the causes of a host, where those that propose something for one setting propose the same.

    It has the value that goes farthest, and all reasons. Of two that cannot be had together, that of the cause which
    comes first counts, and the reason says so.
    """
    settings: dict[str, Proposal] = {}
    limits: dict[str, NofileProposal] = {}
    for cause in found:
        for one in cause.settings:
            settings[one.key] = _both(settings[one.key], one) if one.key in settings else one
        if (limit := cause.nofile) is not None:
            before = limits.get(limit.process)
            limits[limit.process] = _more(before, limit) if before else limit
    return tuple(
        cause.model_copy(
            update={
                "settings": tuple(settings[one.key] for one in cause.settings),
                "nofile": limits[cause.nofile.process] if cause.nofile else None,
            }
        )
        for cause in found
    )


def _both(one: Proposal, other: Proposal) -> Proposal:
    why = _reasons((one.why, other.why))
    if one.operator is not other.operator or (one.operator is Operator.EXACTLY and one.value != other.value):
        other_way = f"{other.operator.replace('_', ' ')} {other.value}"
        return one.model_copy(update={"why": f"{why}; {other_way}, which another cause asks for, is not to be had too"})
    return one.model_copy(update={"value": _farthest(one.operator, (one.value, other.value)), "why": why})


def _farthest(operator: Operator, values: Sequence[str]) -> str:
    if operator is Operator.EXACTLY:
        return values[0]
    if operator is Operator.INCLUDES:
        return folded(frozenset().union(*(ports(value) for value in values)))
    columns = list(zip(*(numbers(value) or () for value in values), strict=True))
    if operator is Operator.WIDEN:
        return f"{min(columns[0])} {max(columns[1])}"
    best = min if operator is Operator.AT_MOST else max
    return " ".join(str(best(column)) for column in columns)


def _more(one: NofileProposal, other: NofileProposal) -> NofileProposal:
    lowest = min((limit for limit in (one.actual, other.actual) if limit is not None), default=None)
    most = max(one.at_least, other.at_least)
    return one.model_copy(update={"at_least": most, "actual": lowest, "why": _reasons((one.why, other.why))})


def _reasons(several: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(several))
