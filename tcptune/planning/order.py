"""In which order settings are written: by the catalogue where it matters, by their keys otherwise. Pure.

An order that holds for one direction only, such as "before the range, when lowering", is between two settings that move
the same way. Where they move apart or towards each other, the kernel takes either order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from heapq import heapify, heappop, heappush
from itertools import groupby
from typing import NamedTuple

from tcptune.domain.changes import Change
from tcptune.domain.parameters import Parameter, WriteOrder
from tcptune.errors import TcptuneError


class Move(NamedTuple):
    """One setting on its way from one value to another."""

    key: str
    before: str | None
    """None where it is not known; then nothing that depends on the direction holds."""
    after: str


class Constraint(NamedTuple):
    """One setting has to be written before another."""

    first: str
    then: str
    why: str


def in_write_order(changes: Iterable[Change], parameters: Mapping[str, Parameter]) -> tuple[Change, ...]:
    """Return the changes as they have to be written, each with what has to wait for it and why.

    Raises TcptuneError where they cannot be put in an order.
    """
    by_key = {change.key: change for change in changes}
    moves = [Move(change.key, change.before, change.after) for change in by_key.values()]
    found = constraints(moves, parameters)
    # What only the next boot has to change is not written now.
    noted = [one for one in found if by_key[one.first].at_runtime and by_key[one.then].at_runtime]
    return tuple(
        by_key[key].model_copy(update={"order": _note([one for one in noted if one.first == key])})
        for key in _sorted(by_key, found)
    )


def in_boot_order(
    settings: Mapping[str, str], parameters: Mapping[str, Parameter], *, kernel: str
) -> tuple[tuple[str, str], ...]:
    """Return the lines of a file as a boot has to write them, over what a kernel of this release starts with.

    Raises TcptuneError where they cannot be put in an order.
    """
    moves = [
        Move(key, page.default(kernel) if (page := parameters.get(key)) else None, value)
        for key, value in settings.items()
    ]
    return tuple((key, settings[key]) for key in _sorted(settings, constraints(moves, parameters)))


def constraints(moves: Iterable[Move], parameters: Mapping[str, Parameter]) -> list[Constraint]:
    """Return every order that the catalogue wants of these moves, once for two settings, by their keys."""
    found: dict[tuple[str, str], Constraint] = {}
    # The reason is the one on the page of whichever is written first, where both pages have one.
    for one in sorted(_wanted(sorted(moves), parameters), key=lambda one: one[1]):
        found.setdefault(one[0][:2], one[0])
    return sorted(found.values())


def _wanted(moves: Sequence[Move], parameters: Mapping[str, Parameter]) -> Iterator[tuple[Constraint, bool]]:
    """Yield each order with whether it is from the page of the one that is written last."""
    for move in moves:
        page = parameters.get(move.key)
        for order in page.write_order if page else ():
            for other in moves:
                if other.key == move.key or not fnmatchcase(other.key, order.other):
                    continue
                if _holds(order, move, other, parameters):
                    last = order.position == "after"
                    pair = (other.key, move.key) if last else (move.key, other.key)
                    yield Constraint(*pair, order.why), last


def _holds(order: WriteOrder, move: Move, other: Move, parameters: Mapping[str, Parameter]) -> bool:
    if order.when == "always":
        return True
    wanted = 1 if order.when == "raising" else -1
    return (
        _direction(move, _element(move, other, parameters)) == wanted
        and _direction(other, _element(other, move, parameters)) != -wanted
    )


def _element(of: Move, towards: Move, parameters: Mapping[str, Parameter]) -> int:
    """Return which number of one setting bounds the other: the low end of a range, for example."""
    page = parameters.get(towards.key)
    return next((limit.element for limit in page.limits if limit.key == of.key), 0) if page else 0


def _direction(move: Move, element: int) -> int:
    """Return 1 where the number goes up, -1 where it goes down, 0 where it stays or is none."""
    try:
        before, after = (int(text.split()[element]) for text in (move.before or "", move.after))
    except (ValueError, IndexError):
        return 0
    return (after > before) - (after < before)


def _sorted(keys: Iterable[str], found: Iterable[Constraint]) -> list[str]:
    """Return the keys in the first order, as they sort, that keeps every constraint."""
    waits = {key: {one.first for one in found if one.then == key} for key in keys}
    ready = [key for key, others in waits.items() if not others]
    heapify(ready)
    done: list[str] = []
    while ready:
        done.append(heappop(ready))
        for key, others in waits.items():
            if done[-1] in others:
                others.remove(done[-1])
                if not others:
                    heappush(ready, key)
    if len(done) < len(waits):
        raise TcptuneError(
            f"there is no order to write these in: {' before '.join(_circle(waits))}",
            hint="leave one of them out of the profile, and report it: the catalogue contradicts itself",
        )
    return done


def _circle(waits: Mapping[str, set[str]]) -> list[str]:
    """Return a circle of keys, each to be written before the next, that ends where it starts."""
    seen = [min(key for key, others in waits.items() if others)]
    while seen[-1] not in seen[:-1]:
        seen.append(min(waits[seen[-1]]))
    circle = seen[seen.index(seen[-1]) :]
    return circle[::-1]


def _note(found: Sequence[Constraint]) -> str | None:
    by_why = sorted(found, key=lambda one: one.why)
    told = (
        f"written before {' and '.join(one.then for one in group)}: {why}"
        for why, group in groupby(by_why, key=lambda one: one.why)
    )
    return "; ".join(told) or None
