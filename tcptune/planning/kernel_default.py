"""The value a fresh kernel computes from the machine, as near as facts tell: it counts its own memory, not all RAM."""

from __future__ import annotations

from tcptune.domain import formulas
from tcptune.domain.facts import System
from tcptune.domain.guards import Scope
from tcptune.domain.parameters import Parameter
from tcptune.domain.values import numbers

NEAR = 0.25
"""How far, in proportion, a running value may be from the computed one and still be taken for the kernel's own."""


def computed_default(parameter: Parameter, system: System, scope: Scope | None) -> str | None:
    """Return the default by the catalogue's formula, or None where there is none or a fact is missing.

    A network namespace starts with what its parent has at that moment, which no formula gives.
    """
    default = parameter.at(system.kernel).default
    if default is None or default.formula is None or scope is Scope.NAMESPACE:
        return None
    values = {
        "memory_bytes": system.memory_bytes,
        "page_size_bytes": system.page_size_bytes,
        "cpus": system.cpus,
    }
    try:
        return formulas.evaluate_vector(default.formula, values)
    except ValueError:
        return None


def is_near(actual: str, computed: str) -> bool:
    """Say whether a running value may well be the one that the kernel computed.

    >>> is_near("4096 131072 6200000", "4096 131072 6291456")
    True
    """
    have, expected = numbers(actual), numbers(computed)
    if have is None or expected is None or len(have) != len(expected):
        return False
    return all(abs(a - b) <= NEAR * b for a, b in zip(have, expected, strict=True))
