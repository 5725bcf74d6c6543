"""What is known of one kernel setting: the catalogue's type. A fact carries its source and how it was verified."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from tcptune.domain.facts import kernel_version
from tcptune.domain.values import Frozen, KernelText, SysctlKey, numbers


class Shape(StrEnum):
    """How a value is written."""

    INT = "int"
    BOOL = "bool"
    ENUM = "enum"
    PAIR = "pair"
    TRIPLE = "triple"


_NUMBER = re.compile(r"-?[0-9]{1,20}")
_LEADING_ZERO = re.compile(r"-?0[0-9]|-0")

ARITY = {Shape.PAIR: 2, Shape.TRIPLE: 3}


class Effect(StrEnum):
    """When a change of the value reaches a connection."""

    IMMEDIATE = "immediate"
    NEW_SOCKETS = "new sockets"
    NEW_LISTENERS = "new listeners"
    NEW_CONNECTIONS = "new connections"
    NEXT_TIMER = "next timer"


class Risk(StrEnum):
    """How much harm a wrong value does."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


def _version(value: object) -> object:
    if isinstance(value, str):
        major, minor = kernel_version(value)
        return major, minor
    return value


Version = Annotated[tuple[int, int], BeforeValidator(_version)]


class Default(Frozen):
    """A default of the kernel, from a version on. `value` is None where it depends on the machine."""

    since: Version = (0, 0)
    value: KernelText | None = None
    formula: str | None = None
    """How the kernel computes it, in words, where it does."""


class Bounds(Frozen):
    """Inclusive limits of each number."""

    min: int
    max: int


class Coupling(Frozen):
    """Another setting, or something outside the kernel, that this one works with."""

    key: str
    rule: str


class Myth(Frozen):
    """A claim that is passed on, and what is true."""

    claim: str
    correction: str


class Parameter(Frozen):
    """One setting of the kernel."""

    key: SysctlKey
    summary: str
    shape: Shape
    unit: str
    meanings: dict[str, str] = {}
    """For an enum: what each value stands for."""
    defaults: tuple[Default, ...]
    """Newest first."""
    sensible: Bounds
    """What tcptune accepts: the kernel takes more, such as negative times."""
    kernel_accepts: Bounds
    since: str
    removed_in: Version | None = None
    effect: Effect
    effect_note: str
    risk: Risk
    risk_note: str
    couplings: tuple[Coupling, ...] = ()
    myths: tuple[Myth, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    verified: str

    def mistake(self, text: str) -> str | None:
        """Say what is wrong with a value written for this setting, or None where nothing is.

        Stricter than the kernel, which takes min > max, octal numbers and negative times.
        """
        tokens = text.split()
        arity = ARITY.get(self.shape, 1)
        if len(tokens) != arity:
            return f"{self.key} takes {_count(arity)}, this has {len(tokens)}"
        for token in tokens:
            if problem := self.element_mistake(token):
                return problem
        values = numbers(text) or ()
        if self.shape is Shape.TRIPLE and not values[0] <= values[1] <= values[2]:
            return f"{self.key} wants min <= default <= max; the kernel would take {text!r} and misbehave"
        if self.shape is Shape.PAIR and not values[0] <= values[1]:
            return f"{self.key} wants low <= high"
        return None

    def element_mistake(self, token: str) -> str | None:
        """Say what is wrong with one number of a value."""
        if not _NUMBER.fullmatch(token):
            return f"{self.key} takes whole decimal numbers without unit, {token[:40]!r} is none"
        if _LEADING_ZERO.match(token):
            return f"{token!r} has a leading zero: the kernel would read it as octal"
        if not self.sensible.min <= int(token) <= self.sensible.max:
            return f"{token} is outside {self.sensible.min}..{self.sensible.max} ({self.unit})"
        if self.meanings and token not in self.meanings:
            return f"{self.key} has no value {token}; it takes {', '.join(self.meanings)}"
        return None

    def default(self, release: str) -> str | None:
        """Return the value a fresh kernel of this release has; None where it depends on the machine."""
        version = kernel_version(release)
        return next((d.value for d in self.defaults if version >= d.since), None)


def _count(arity: int) -> str:
    return {1: "one number", 2: "two numbers", 3: "three numbers"}[arity]
