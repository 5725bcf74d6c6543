"""Values that depend on the host: `{{ (peak_connections_per_s * accept_stall_s) | round_up_pow2 }}`.

Jinja2's expression syntax and sandbox, and a small part of them: numbers, names, arithmetic, comparisons, `a if c else
b`, and the functions below, written `f(x)` or `x | f`. No attributes, loops, powers, strings (but in `kernel >= "6.6"`)
or statements, so that what a profile from elsewhere costs is bounded. A formula gives one whole number; a fraction is
rounded up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, total_ordering
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tcptune.domain.facts import kernel_version

MOST_CHARACTERS = 400
MOST_NODES = 120
LARGEST = 2**64 - 1
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
FACTS = {
    "memory_bytes": "RAM",
    "cpus": "processors",
    "page_size_bytes": "size of a memory page",
    "link_speed_mbps": "speed of the fastest link that tells one",
    "kernel": 'release of the kernel, for comparisons only: kernel >= "6.6"',
    "actual": "the setting's own numbers now: actual[0], actual[2]",
}
"""Names every formula may use, with what they stand for. Load variables come from the profile."""

_FORMULA = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_BINARY: dict[type[nodes.Expr], tuple[str, int]] = {
    nodes.Add: ("+", 4),
    nodes.Sub: ("-", 4),
    nodes.Mul: ("*", 5),
    nodes.Div: ("/", 5),
    nodes.FloorDiv: ("//", 5),
    nodes.Mod: ("%", 5),
    nodes.And: ("and", 2),
    nodes.Or: ("or", 1),
}
_COMPARISONS = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<="}


def round_up_pow2(number: float) -> int:
    """Return the next power of two that is not smaller.

    >>> round_up_pow2(1000), round_up_pow2(1024), round_up_pow2(0)
    (1024, 1024, 1)
    """
    return 1 if number <= 1 else 1 << (math.ceil(number) - 1).bit_length()


def _round_up(number: float, step: float) -> int:
    return math.ceil(math.ceil(number / step) * step)


def _round_down(number: float, step: float) -> int:
    return math.floor(math.floor(number / step) * step)


def _clamp(number: float, low: float, high: float) -> float:
    return max(low, min(number, high))


def _default(value: object, otherwise: float) -> object:
    return otherwise if isinstance(value, Undefined) else value


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "round_up_pow2": (round_up_pow2, 1, 1),
    "round_up": (_round_up, 2, 2),
    "round_down": (_round_down, 2, 2),
    "clamp": (_clamp, 3, 3),
    "min": (min, 2, 8),
    "max": (max, 2, 8),
    "default": (_default, 2, 2),
}
"""Name -> the function, and how few and how many arguments it takes (the piped one included)."""


@total_ordering
class KernelRelease:
    """A kernel's release that knows its order: 6.10 comes after 6.9."""

    def __init__(self, release: str) -> None:
        self._release = release
        self._version = kernel_version(release)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._version == kernel_version(other)

    def __lt__(self, other: str) -> bool:
        return self._version < kernel_version(other)

    def __hash__(self) -> int:
        return hash(self._version)

    def __str__(self) -> str:
        return self._release


def is_formula(text: str) -> bool:
    """Say whether a value has to be computed on the host.

    >>> is_formula("{{ cpus * 2 }}"), is_formula("4096")
    (True, False)
    """
    return "{{" in text or "{%" in text or "{#" in text


def mistake(text: str, known: Iterable[str]) -> str | None:
    """Say what is wrong with a value's formulas, or None where nothing is. `known` are the names they may use."""
    if "{%" in text or "{#" in text:
        return "a formula is one expression between {{ and }}; statements and comments have no place in it"
    rest = _FORMULA.sub("", text)
    if "{{" in rest or "}}" in rest:
        return "{{ and }} do not match"
    try:
        for source in _FORMULA.findall(text):
            _check(_parsed(source), {*known, *UNITS})
    except ValueError as problem:
        return str(problem)
    return None


def names(text: str) -> frozenset[str]:
    """Return the names a value's formulas use. Raises ValueError for what is no formula."""
    return frozenset(
        node.name
        for source in _FORMULA.findall(text)
        for node in _below(_parsed(source))
        if isinstance(node, nodes.Name) and node.name not in FUNCTIONS and node.name not in UNITS
    )


def evaluate(text: str, values: Mapping[str, Any]) -> str:
    """Return a value with each formula replaced by its whole number.

    >>> evaluate("4096 {{ cpus * 1000.1 }}", {"cpus": 2})
    '4096 2001'

    Raises ValueError where a name is not known here, or no number comes out.
    """
    return _FORMULA.sub(lambda found: str(_number(found[1], values)), text)


def evaluate_vector(expression: str, values: Mapping[str, Any]) -> str:
    """Return the whole numbers of an expression of our own data, one or a list of them, with spaces between.

    >>> evaluate_vector("[4096, cpus * 2]", {"cpus": 4})
    '4096 8'

    Raises ValueError where a name is not known here, or no number comes out.
    """
    return " ".join(map(str, _numbers(expression, values)))


def in_words(text: str, values: Mapping[str, Any]) -> list[str]:
    """Return each formula of a value with its names replaced by what they are here.

    >>> in_words("{{ (rate * stall_s) | round_up_pow2 }}", {"rate": 40000, "stall_s": 0.2})
    ['round_up_pow2(40000 * 0.2)']
    """
    return [_words(_parsed(source), values) for source in _FORMULA.findall(text)]


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    # Folded constants may become what has no spelling in Python, such as infinity.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=True, optimized=False)
    environment.tests.clear()
    environment.globals.clear()
    environment.filters.clear()
    for name, (function, _, _) in FUNCTIONS.items():
        environment.filters[name] = environment.globals[name] = function
    return environment


@cache
def _parsed(source: str) -> nodes.Expr:
    if len(source) > MOST_CHARACTERS:
        raise ValueError(f"this formula is longer than {MOST_CHARACTERS} characters")
    if not source.strip():
        raise ValueError("there is no formula between {{ and }}")
    try:
        # The spaces matter: `-}}` would be a bracket of its own.
        body = _environment().parse("{{ " + source + " }}").body
    except (TemplateSyntaxError, RecursionError, OverflowError, ValueError) as problem:
        reason = getattr(problem, "message", None) or "it is nested too deep"
        raise ValueError(f"{source.strip()!r} is no formula: {reason}") from None
    output = body[0] if len(body) == 1 else None
    if not isinstance(output, nodes.Output) or len(output.nodes) != 1:
        raise ValueError(f"{source.strip()!r} is not one expression")
    return output.nodes[0]


def _check(root: nodes.Expr, known: set[str]) -> None:
    if sum(1 for _ in _below(root)) > MOST_NODES:
        raise ValueError(f"this formula has more than {MOST_NODES} parts")
    in_comparison: set[int] = set()
    called: set[int] = set()
    for node in _below(root):
        if isinstance(node, nodes.Compare) and _compares_kernel(node):
            in_comparison |= {id(node.expr), id(node.ops[0].expr)}
        if isinstance(node, nodes.Call):
            called.add(id(node.node))
    for node in _below(root):
        if id(node) not in called:
            _check_node(node, known, allowed_text=id(node) in in_comparison)


def _below(root: nodes.Node) -> Iterator[nodes.Node]:
    yield root
    for child in root.iter_child_nodes():
        yield from _below(child)


def _compares_kernel(node: nodes.Compare) -> bool:
    if not isinstance(node.expr, nodes.Name) or node.expr.name != "kernel" or len(node.ops) != 1:
        return False
    other = node.ops[0].expr
    if isinstance(other, nodes.Const) and isinstance(other.value, str):
        kernel_version(other.value)
        return True
    return False


def _check_node(node: nodes.Node, known: set[str], *, allowed_text: bool) -> None:
    match node:
        case nodes.Const():
            _check_constant(node.value, allowed_text=allowed_text)
        case nodes.Name(name="kernel") if not allowed_text:
            raise ValueError('kernel can only be compared with a version in quotes: kernel >= "6.6"')
        case nodes.Name(name=name) if name not in known:
            raise ValueError(f"{name} is neither a fact nor a load variable of this profile")
        case nodes.Getitem():
            if not (isinstance(node.node, nodes.Name) and node.node.name == "actual" and _is_index(node.arg)):
                raise ValueError("only actual has parts: actual[0], actual[1], actual[2]")
        case nodes.Filter() | nodes.Call():
            _check_call(node)
        case nodes.CondExpr(expr2=None):
            raise ValueError("'if' needs an 'else' here")
        case nodes.Compare() if len(node.ops) != 1 or node.ops[0].op not in _COMPARISONS:
            raise ValueError("a comparison has two sides, and one of ==, !=, <, <=, >, >=")
        case (
            nodes.Name()
            | nodes.Compare()
            | nodes.Operand()
            | nodes.CondExpr()
            | nodes.Not()
            | nodes.Neg()
            | nodes.Pos()
        ):
            pass
        case _ if type(node) in _BINARY:
            pass
        case _:
            raise ValueError(f"{type(node).__name__.lower()} has no place in a formula")


def _check_constant(value: object, *, allowed_text: bool) -> None:
    if isinstance(value, str):
        if not allowed_text:
            raise ValueError('text has no place in a formula, except to compare: kernel >= "6.6"')
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a formula has numbers, no true, false or none")
    elif not math.isfinite(value):
        raise ValueError("this number is too large for a formula")


def _is_index(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, int) and 0 <= node.value <= 2


def _check_call(node: nodes.Filter | nodes.Call) -> None:
    name = node.name if isinstance(node, nodes.Filter) else getattr(node.node, "name", None)
    if name not in FUNCTIONS:
        raise ValueError(f"{name or 'this'} is no function of formulas; there are {', '.join(FUNCTIONS)}")
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise ValueError(f"{name} takes plain arguments only")
    _, fewest, most = FUNCTIONS[name]
    given = len(_arguments(node))
    if not fewest <= given <= most:
        raise ValueError(f"{name} takes {fewest if fewest == most else f'{fewest} to {most}'} numbers, not {given}")


def _arguments(node: nodes.Filter | nodes.Call) -> list[nodes.Expr]:
    piped = [node.node] if isinstance(node, nodes.Filter) and node.node is not None else []
    return [*piped, *node.args]


def _number(source: str, values: Mapping[str, Any]) -> int:
    return _numbers(source, values)[0]


def _numbers(source: str, values: Mapping[str, Any]) -> list[int]:
    compiled = _environment().compile_expression(source.strip(), undefined_to_none=False)
    try:
        result = compiled(**UNITS, **{name: value for name, value in values.items() if value is not None})
        found = [_whole(one) for one in (result if isinstance(result, list) else [result])]
    except UndefinedError as problem:
        name = str(problem.message).split("'")[1] if "'" in str(problem.message) else "a value"
        raise ValueError(f"{name} is not known here, so {source.strip()!r} has no value") from None
    except (ArithmeticError, TypeError, ValueError, IndexError) as problem:
        raise ValueError(f"{source.strip()!r} cannot be computed: {problem}") from None
    if not all(-LARGEST <= number <= LARGEST for number in found):
        raise ValueError(f"{source.strip()!r} gives a number beyond any the kernel holds")
    return found


def _whole(result: object) -> int:
    if isinstance(result, Undefined):
        str(result)  # raises, with the name
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise ValueError("it gives no number")
    return math.ceil(result)


def _words(node: nodes.Node, values: Mapping[str, Any], level: int = 0) -> str:
    """Return a formula with values for names, in brackets where it binds weaker than `level`."""
    match node:
        case nodes.Const():
            text = str(node.value)
        case nodes.Name():
            found = values.get(node.name)
            text = node.name if found is None else str(found)
        case nodes.Getitem(node=nodes.Name(name=name), arg=nodes.Const(value=index)):
            parts = values.get(name)
            text = str(parts[index]) if parts and index < len(parts) else f"{name}[{index}]"
        case nodes.Filter() | nodes.Call():
            name = node.name if isinstance(node, nodes.Filter) else getattr(node.node, "name", "")
            arguments = [_words(argument, values) for argument in _arguments(node)]
            known = name == "default" and _known(node, values)
            text = arguments[0] if known else f"{name}({', '.join(arguments)})"
        case nodes.Compare():
            [operand] = node.ops
            text = f"{_words(node.expr, values, 4)} {_COMPARISONS[operand.op]} {_words(operand.expr, values, 4)}"
            text = f"({text})" if level > 3 else text
        case nodes.CondExpr(test=test, expr1=yes, expr2=nodes.Expr() as no):
            text = f"{_words(yes, values, 1)} if {_words(test, values, 1)} else {_words(no, values)}"
            text = f"({text})" if level else text
        case nodes.UnaryExpr():
            sign = {"not": "not ", "sub": "-", "add": "+"}[node.operator]
            text = f"{sign}{_words(node.node, values, 6)}"
        case nodes.BinExpr():
            sign, own = _BINARY[type(node)]
            text = f"{_words(node.left, values, own)} {sign} {_words(node.right, values, own + 1)}"
            text = f"({text})" if own < level else text
        case _:
            raise ValueError(f"{type(node).__name__} has no place in a formula")
    return text


def _known(node: nodes.Filter | nodes.Call, values: Mapping[str, Any]) -> bool:
    first = _arguments(node)[0]
    return isinstance(first, nodes.Name) and values.get(first.name) is not None
