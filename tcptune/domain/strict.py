"""Where tcptune is stricter than the kernel: each rule has a name, so that a refusal can be looked up and tested.

The kernel takes `9000 8000 7000` for min, default and max, reads 010 as eight, swallows a comment behind the numbers
and keeps a negative timeout. Nobody means any of that.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from tcptune.domain.values import Frozen, numbers

if TYPE_CHECKING:
    from tcptune.domain.parameters import Parameter

_DECIMAL = re.compile(r"-?[0-9]+")
_HEX = re.compile(r"-?0[xX][0-9a-fA-F]+")
_WITH_UNIT = re.compile(r"-?[0-9]+ ?[A-Za-z%]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,15}")
_LONGEST_NUMBER = 64
"""Characters. No setting has a number of more than 20 digits, and Python reads none of more than 4300."""
_BOOLEANS = frozenset({"true", "false", "yes", "no", "on", "off"})


class Rule(StrEnum):
    """A rule of ours, by its id."""

    READ_ONLY = "read-only"
    QUOTED = "quoted"
    BOOLEAN = "boolean"
    ARITY = "arity"
    SEPARATOR = "separator"
    UNIT = "unit"
    HEX = "hex"
    NOT_A_NUMBER = "not-a-number"
    OCTAL = "octal"
    NEGATIVE = "negative"
    RANGE = "range"
    MEANING = "meaning"
    ORDER = "order"
    PORT_LIST = "port-list"
    NAME = "name"


class Mistake(Frozen):
    """One broken rule."""

    rule: Rule
    message: str


def mistakes(parameter: Parameter, text: str) -> tuple[Mistake, ...]:
    """Return what is wrong with a value, every number of it judged; empty where nothing is."""
    if (refusal := _unfit(parameter, text)) is not None:
        return (refusal,)
    if parameter.shape.value == "ports":
        return _ports(parameter, text)
    if parameter.shape.value in {"name", "names"}:
        return _names(parameter, text)
    tokens = text.split()
    if len(tokens) != parameter.arity:
        return (_wrong_count(parameter, text, tokens),)
    found = tuple(mistake for token in tokens for mistake in element_mistakes(parameter, token))
    return found or _order(parameter, text)


def _unfit(parameter: Parameter, text: str) -> Mistake | None:
    """Return what rules out any value of this spelling, whatever the setting's shape."""
    if parameter.read_only:
        return Mistake(rule=Rule.READ_ONLY, message=f"{parameter.key} can only be read")
    if text[:1] in {'"', "'"}:
        return Mistake(rule=Rule.QUOTED, message=f"write {parameter.key} without quotes; the kernel refuses them")
    if odd := [c for c in text if c.isspace() and c not in " \t"]:
        return Mistake(rule=Rule.SEPARATOR, message=f"{parameter.key} takes spaces between numbers, not {odd[0]!r}")
    return None


def element_mistakes(parameter: Parameter, token: str) -> tuple[Mistake, ...]:
    """Return what is wrong with one number of a value."""
    if (spelling := _spelling(parameter, token)) is not None:
        return (spelling,)
    number, bounds = int(token), parameter.sensible
    # A setting that the kernel keeps in a byte refuses the sign itself, that of -0 too.
    if token.startswith("-") and bounds.min >= 0:
        message = f"{token} is negative: {parameter.key} wants {bounds}{_of(parameter)}"
        return (Mistake(rule=Rule.NEGATIVE, message=message),)
    if not bounds.min <= number <= bounds.max:
        return (Mistake(rule=Rule.RANGE, message=f"{token} is outside {bounds}{_of(parameter)}"),)
    if parameter.shape.value in {"bool", "enum"} and token not in parameter.meanings:
        known = ", ".join(parameter.meanings)
        return (Mistake(rule=Rule.MEANING, message=f"{parameter.key} has no value {token}; it takes {known}"),)
    return ()


def _spelling(parameter: Parameter, token: str) -> Mistake | None:
    key = parameter.key
    no_number = f"{key} takes whole decimal numbers without unit, {token!r} is none"
    found: tuple[Rule, str] | None = None
    if len(token) > _LONGEST_NUMBER:
        found = Rule.NOT_A_NUMBER, f"{key} takes whole decimal numbers, none of {len(token)} characters"
    elif token.lower() in _BOOLEANS:
        found = Rule.BOOLEAN, f"{key} takes 0 or 1, not {token!r}; the kernel has no booleans"
    elif _HEX.fullmatch(token):
        found = Rule.HEX, f"write {token!r} in decimal: {int(token, 16)}"
    elif _WITH_UNIT.fullmatch(token):
        found = Rule.UNIT, no_number + (f"; it counts {parameter.unit}" if parameter.unit else "")
    elif "," in token:
        found = Rule.SEPARATOR, f"{key} separates its numbers by spaces; the kernel refuses commas"
    elif not _DECIMAL.fullmatch(token):
        found = Rule.NOT_A_NUMBER, no_number
    elif re.match("-?0[0-9]", token):
        found = Rule.OCTAL, f"{token!r} has a leading zero: the kernel would read it as octal"
    return Mistake(rule=found[0], message=found[1]) if found else None


def _order(parameter: Parameter, text: str) -> tuple[Mistake, ...]:
    values = numbers(text) or ()
    if list(values) == sorted(values):
        return ()
    if len(values) == 2:
        return (Mistake(rule=Rule.ORDER, message=f"{parameter.key} wants low <= high"),)
    names = " <= ".join(parameter.elements)
    return (
        Mistake(
            rule=Rule.ORDER, message=f"{parameter.key} wants {names}; the kernel would take {text!r} and misbehave"
        ),
    )


def _wrong_count(parameter: Parameter, text: str, tokens: list[str]) -> Mistake:
    if parameter.arity > 1 and len(tokens) == 1 and "," in text:
        return Mistake(
            rule=Rule.SEPARATOR,
            message=f"{parameter.key} separates its numbers by spaces; the kernel refuses commas",
        )
    return Mistake(rule=Rule.ARITY, message=f"{parameter.key} takes {_count(parameter.arity)}, this has {len(tokens)}")


def _ports(parameter: Parameter, text: str) -> tuple[Mistake, ...]:
    if not text:
        return ()
    if len(text.split()) != 1 or text != text.strip():
        message = f"{parameter.key} takes ports and ranges with commas between and no spaces: 8080,9000-9010"
        return (Mistake(rule=Rule.SEPARATOR, message=message),)
    found: list[Mistake] = []
    for item in text.split(","):
        ends = item.split("-")
        if len(ends) > 2 or not all(end.isascii() and end.isdecimal() and len(end) < _LONGEST_NUMBER for end in ends):
            message = f"{_start(item)!r} is no port and no range such as 9000-9010"
            found.append(Mistake(rule=Rule.PORT_LIST, message=message))
        elif any(len(end) > 1 and end.startswith("0") for end in ends):
            message = f"{item!r} has a leading zero: the kernel would read it as octal"
            found.append(Mistake(rule=Rule.OCTAL, message=message))
        elif any(not 1 <= int(end) <= 65535 for end in ends):
            found.append(Mistake(rule=Rule.RANGE, message=f"{item} is outside 1..65535"))
        elif int(ends[0]) > int(ends[-1]):
            found.append(Mistake(rule=Rule.ORDER, message=f"{item}: write the lower port first"))
    return tuple(found)


def _names(parameter: Parameter, text: str) -> tuple[Mistake, ...]:
    tokens = text.split()
    if parameter.shape.value == "name" and len(tokens) != 1:
        return (Mistake(rule=Rule.ARITY, message=f"{parameter.key} takes one name, this has {len(tokens)}"),)
    if not tokens:
        return (Mistake(rule=Rule.ARITY, message=f"{parameter.key} takes at least one name"),)
    return tuple(
        Mistake(rule=Rule.NAME, message=f"{token!r} cannot be a name the kernel knows ({parameter.unit})")
        for token in tokens
        if not _NAME.fullmatch(token)
    )


def _start(item: str) -> str:
    return item if len(item) <= _LONGEST_NUMBER else f"{item[:_LONGEST_NUMBER]}..."


def _of(parameter: Parameter) -> str:
    return f" ({parameter.unit})" if parameter.unit else ""


def _count(arity: int) -> str:
    return {1: "one number", 2: "two numbers", 3: "three numbers"}[arity]
