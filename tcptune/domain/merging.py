"""Several demands on one setting, solved to one that meets them all.

Bounds are intersected number by number, lists are filtered. What cannot be met together is a Clash, never a choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.demands import (
    AtLeast,
    AtMost,
    Between,
    Demand,
    Elements,
    Exactly,
    Includes,
    Leave,
    OneOf,
    Single,
    Unset,
    meets,
)
from tcptune.domain.ports import folded, ports
from tcptune.domain.values import numbers


class Clash(Exception):
    """No value meets all demands."""


def solve(demands: Sequence[Demand]) -> Demand:
    """Return one demand that is met exactly by what meets all of `demands`, formulas already evaluated.

    Raises Clash where nothing can meet them all.
    """
    strict = [d for d in dict.fromkeys(demands) if not isinstance(d, Leave)]
    if not strict:
        return Leave()
    if len(strict) == 1:
        return strict[0]
    if any(isinstance(d, Unset) for d in strict):
        raise Clash("one wants it set by no file, the other wants a value")
    listed = [d for d in strict if isinstance(d, Exactly | OneOf)]
    if listed:
        return _filtered(listed[0], strict)
    if any(isinstance(d, Includes) for d in strict):
        return _joined(strict)
    return _by_number(strict)


def _filtered(listed: Exactly | OneOf, demands: Sequence[Demand]) -> Demand:
    values = (listed.value,) if isinstance(listed, Exactly) else listed.values
    left = tuple(value for value in values if all(_met(d, value) for d in demands))
    if not left:
        raise Clash("no value meets both")
    return Exactly(value=left[0]) if len(left) == 1 else OneOf(values=left)


def _met(demand: Demand, value: str) -> bool:
    try:
        return meets(demand, value)
    except ValueError:
        return False


def _joined(demands: Sequence[Demand]) -> Demand:
    if not all(isinstance(d, Includes) for d in demands):
        raise Clash("a list of ports has no bounds")
    return Includes(value=folded(port for d in demands if isinstance(d, Includes) for port in ports(d.value)))


def _by_number(demands: Sequence[Demand]) -> Demand:
    columns = [_elements(d) for d in demands]
    if len({len(column) for column in columns}) > 1:
        raise Clash("they speak of different counts of numbers")
    each = tuple(_single(column) for column in zip(*columns, strict=True))
    return each[0] if len(each) == 1 else Elements(each=each)


def _elements(demand: Demand) -> tuple[Single, ...]:
    match demand:
        case Elements():
            return demand.each
        case AtLeast():
            return tuple(AtLeast(value=part) for part in demand.value.split())
        case AtMost():
            return tuple(AtMost(value=part) for part in demand.value.split())
        case Between():
            bounds = zip(demand.low.split(), demand.high.split(), strict=True)
            return tuple(Between(low=low, high=high) for low, high in bounds)
        case _:
            raise Clash(f"{demand} cannot be combined")


def _single(demands: Sequence[Single]) -> Single:
    listed = [d for d in demands if isinstance(d, Exactly | OneOf)]
    if listed:
        found = _filtered(listed[0], demands)
        assert isinstance(found, Exactly | OneOf)  # noqa: S101  # for mypy
        return found
    lows = [low for d in demands if (low := _bound(d, "low")) is not None]
    highs = [high for d in demands if (high := _bound(d, "high")) is not None]
    if lows and highs:
        if max(lows) > min(highs):
            raise Clash(f"at least {max(lows)} and at most {min(highs)} at once")
        if max(lows) == min(highs):
            return Exactly(value=str(max(lows)))
        return Between(low=str(max(lows)), high=str(min(highs)))
    if lows:
        return AtLeast(value=str(max(lows)))
    return AtMost(value=str(min(highs))) if highs else Leave()


def _bound(demand: Single, side: str) -> int | None:
    match demand, side:
        case (AtLeast(value=text), "low") | (Between(low=text), "low"):
            pass
        case (AtMost(value=text), "high") | (Between(high=text), "high"):
            pass
        case _:
            return None
    found = numbers(text)
    if found is None or len(found) != 1:
        raise Clash(f"{text!r} is no number")
    return found[0]
