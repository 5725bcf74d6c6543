"""Operators of a profile's entry: from YAML to a demand. What is wrong is noted in the document, never raised."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from tcptune.adapters.yaml_source import Document, Path
from tcptune.domain import formulas
from tcptune.domain.demands import AtLeast, AtMost, Between, Demand, Elements, Exactly, Leave, Single, operands
from tcptune.domain.parameters import Parameter, Shape
from tcptune.domain.ports import ports
from tcptune.domain.values import kernel_text, numbers

OPERATORS = ("exactly", "at_least", "at_most", "between", "one_of", "includes", "absent", "leave", "elements")
ELEMENT_OPERATORS = ("exactly", "at_least", "at_most", "between", "one_of")
_DEMAND: TypeAdapter[Demand] = TypeAdapter(Demand)

TRIAL = {
    "memory_bytes": 16 * 1024**3,
    "cpus": 4,
    "page_size_bytes": 4096,
    "link_speed_mbps": 10_000,
    "kernel": formulas.KernelRelease("6.12"),
    "actual": (4096, 131072, 6291456),
}
"""The host that a formula is tried on when a profile is read: 16 GiB, 4 processors, 10 Gbit/s."""


class Sheet(NamedTuple):
    """The document being read, and what its entries may refer to."""

    document: Document
    parameters: Mapping[str, Parameter]
    load: Mapping[str, float]
    """Load variables in reach, with their defaults."""


def read_demand(sheet: Sheet, here: Path, parameter: Parameter, body: Mapping[str, Any]) -> Demand | None:
    """Return what one entry demands, or None where that could not be understood."""
    given = [operator for operator in OPERATORS if operator in body]
    if len(given) != 1:
        said = "has no operator" if not given else f"has {len(given)} operators ({', '.join(given)})"
        sheet.document.add(here, f"{parameter.key} {said}", hint=f"exactly one of {', '.join(OPERATORS)}")
        return None
    [operator] = given
    path = (*here, operator)
    if operator == "elements":
        return _elements(sheet, path, parameter, body[operator])
    if operator == "includes":
        return _includes(sheet, path, parameter, body[operator])
    demand: Demand | None = _single(sheet.document, path, operator, body[operator])
    if demand is not None:
        for value in operands(demand):
            _check_value(sheet, path, parameter, value, element=False)
    return demand


def _elements(sheet: Sheet, path: Path, parameter: Parameter, operand: Any) -> Demand | None:
    arity = parameter.arity
    if arity == 1:
        sheet.document.add(path, f"{parameter.key} is no vector", hint="write the operator without 'elements'")
        return None
    if not isinstance(operand, list) or len(operand) != arity:
        leave = ", ".join(["leave"] * (arity - 1))
        sheet.document.add(
            path,
            f"{parameter.key} has {arity} numbers, so 'elements' is a list of {arity} operators",
            hint=f"[{leave}, {{at_least: {_example(parameter).split()[-1]}}}]",
        )
        return None
    each: list[Any] = []
    for index, item in enumerate(operand):
        here = (*path, index)
        if item == "leave":
            each.append(Leave())
            continue
        if not isinstance(item, dict) or len(item) != 1:
            sheet.document.add(here, "an element is one operator, or leave", hint="{at_least: 4096}")
            continue
        [(operator, value)] = item.items()
        if operator not in ELEMENT_OPERATORS:
            near = closest(operator, ELEMENT_OPERATORS) or f"one of {', '.join(ELEMENT_OPERATORS)}, or leave"
            sheet.document.add(here, f"unknown operator {operator!r} for an element", hint=near)
            continue
        demand = _single(sheet.document, (*here, operator), operator, value)
        if demand is None:
            continue
        for text in operands(demand):
            _check_value(sheet, (*here, operator), parameter, text, element=True)
        each.append(demand)
    if len(each) != arity:
        return None
    _check_climb(sheet.document, path, each)
    return Elements(each=tuple(each))


def _check_climb(document: Document, path: Path, each: Iterable[Single]) -> None:
    """Refuse a vector whose earlier number would have to be higher than a later one may be."""
    floor = 0
    for number, demand in enumerate(each, start=1):
        low, high = _reach(demand)
        floor = max(floor, low)
        if high is not None and floor > high:
            said = f"number {number} may be at most {high}, and one before it is at least {floor}"
            document.add(path, said, hint="the numbers of a vector never fall")


def _reach(demand: Single) -> tuple[int, int | None]:
    """Return the least and the most one number may be; None for no limit. What a host decides is not known here."""
    found = [(numbers(value) or (None,))[0] for value in operands(demand)]
    low, high = (found[0], found[-1]) if found else (None, None)
    match demand:
        case Exactly():
            return low or 0, high
        case AtLeast():
            return low or 0, None
        case AtMost():
            return 0, high
        case Between() if low is None or high is None or low <= high:
            return low or 0, high
        case _:
            # The wrong way round is a mistake of its own.
            return 0, None


def _includes(sheet: Sheet, path: Path, parameter: Parameter, operand: Any) -> Demand | None:
    if parameter.shape.value != "ports":
        sheet.document.add(path, f"{parameter.key} holds no list of ports", hint="at_least, or exactly")
        return None
    demand: Demand | None = _single(sheet.document, path, "includes", operand)
    for value in operands(demand) if demand else ():
        try:
            ports(value)
        except ValueError as problem:
            sheet.document.add(path, f"{parameter.key}: {problem}", hint="8080,9000-9010")
    return demand


def _single(document: Document, path: Path, operator: str, operand: Any) -> Any:
    fields: dict[str, Any]
    match operator:
        case "between":
            if not isinstance(operand, list) or len(operand) != 2:
                document.add(path, "'between' takes a list of two", hint="[low, high]")
                return None
            fields = {"low": operand[0], "high": operand[1]}
        case "one_of":
            if not isinstance(operand, list) or not operand:
                document.add(path, "'one_of' takes a list of values", hint="the preferred one first: [fq, fq_codel]")
                return None
            fields = {"values": operand}
        case "leave" | "absent":
            if operand is not True:
                document.add(path, f"{operator!r} takes no value", hint=f"{operator}: true")
                return None
            fields = {}
        case _:
            fields = {"value": operand}
    try:
        demand = _DEMAND.validate_python({"operator": operator, **fields})
    except ValidationError as problem:
        for error in problem.errors():
            # Only kernel_text can refuse here; its own words are what helps.
            document.add(path, str(error.get("ctx", {}).get("error", error["msg"])), hint=f"{operator}: VALUE")
        return None
    if operator == "between":
        _check_order(document, path, operands(demand))
    return demand


def _check_order(document: Document, path: Path, bounds: tuple[str, ...]) -> None:
    try:
        low, high = ([int(token) for token in bound.split()] for bound in bounds)
    except ValueError:
        return
    if any(a > b for a, b in zip(low, high, strict=False)):
        document.add(path, f"no value is between {bounds[0]} and {bounds[1]}", hint=f"[{bounds[1]}, {bounds[0]}]")


def _check_value(sheet: Sheet, path: Path, parameter: Parameter, text: str, *, element: bool) -> None:
    check = parameter.element_mistake if element else parameter.mistake
    if not formulas.is_formula(text):
        if problem := check(text):
            sheet.document.add(path, problem, hint=f"tcptune explain {parameter.key}")
        return
    if problem := formulas.mistake(text, [*formulas.FACTS, *sheet.load]):
        known = sorted([*formulas.FACTS, *sheet.load])
        word = problem.split()[0]
        near = closest(word, known) if "neither" in problem else None
        sheet.document.add(path, problem, hint=near or f"names: {', '.join(known)}; {', '.join(formulas.FUNCTIONS)}")
        return
    try:
        value = formulas.evaluate(text, {**TRIAL, **sheet.load})
    except ValueError as failed:
        sheet.document.add(path, str(failed), hint="the defaults of its load variables must give a number")
        return
    if problem := check(value):
        sheet.document.add(
            path,
            f"with its defaults, on a host with 16 GiB, this formula gives {value}: {problem}",
            hint="limit it: | clamp(LOW, HIGH)",
        )


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return 'did you mean X?' where something known is near."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else None


def _example(parameter: Parameter) -> str:
    if known := next((d.value for d in parameter.defaults if d.value and not parameter.mistake(d.value)), None):
        return known
    if parameter.shape is Shape.PORTS:
        return "8080"
    return " ".join([kernel_text(parameter.sensible.min)] * parameter.arity)


def example(parameter: Parameter) -> str:
    """Return an entry's body as a hint."""
    return f"{{exactly: {_example(parameter)}, why: ..., source: ...}}"
