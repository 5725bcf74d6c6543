"""What a profile may ask of one setting: a family of operators.

Each answers the same three questions: does this value meet you, which value would, and how are you written.
Values are kernel text. Vectors are compared number by number. Until it meets a host, a value may be a formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from tcptune.domain.ports import folded, ports
from tcptune.domain.values import Frozen, KernelText, numbers


class Exactly(Frozen):
    """This value and no other."""

    operator: Literal["exactly"] = "exactly"
    value: KernelText

    def settle(self, actual: str) -> str:  # noqa: ARG002  # one signature for the family
        """Return the wanted value."""
        return self.value

    def __str__(self) -> str:
        return self.value


class AtLeast(Frozen):
    """Each number at least this. What is already higher stays."""

    operator: Literal["at_least"] = "at_least"
    value: KernelText

    def settle(self, actual: str) -> str:
        """Return `actual` with each number raised to the bound where it is lower."""
        return _pairwise(max, actual, self.value)

    def __str__(self) -> str:
        return f"at least {self.value}"


class AtMost(Frozen):
    """Each number at most this. What is already lower stays."""

    operator: Literal["at_most"] = "at_most"
    value: KernelText

    def settle(self, actual: str) -> str:
        """Return `actual` with each number lowered to the bound where it is higher."""
        return _pairwise(min, actual, self.value)

    def __str__(self) -> str:
        return f"at most {self.value}"


class Between(Frozen):
    """Each number within these bounds, both included."""

    operator: Literal["between"] = "between"
    low: KernelText
    high: KernelText

    def settle(self, actual: str) -> str:
        """Return `actual` with each number moved to the nearer bound where it is outside."""
        return _pairwise(min, _pairwise(max, actual, self.low), self.high)

    def __str__(self) -> str:
        return f"between {self.low} and {self.high}"


class OneOf(Frozen):
    """One of these values. The first is what a host that has none of them gets."""

    operator: Literal["one_of"] = "one_of"
    values: tuple[KernelText, ...] = Field(min_length=1)

    def settle(self, actual: str) -> str:
        """Return `actual` where it is listed, else the first of the list."""
        return actual if actual in self.values else self.values[0]

    def __str__(self) -> str:
        return "one of " + ", ".join(self.values)


class Includes(Frozen):
    """All of these ports, in a setting that holds a list of ports. Others that are there stay."""

    operator: Literal["includes"] = "includes"
    value: KernelText

    def settle(self, actual: str) -> str:
        """Return `actual` with the ports added that it lacks."""
        missing = ports(self.value) - ports(actual)
        return folded(ports(actual) | missing) if missing else actual

    def __str__(self) -> str:
        return f"including {self.value}"


class Unset(Frozen):
    """No file sets it. The kernel no longer has the setting, or ignores it, or only harm comes of it."""

    operator: Literal["absent"] = "absent"

    def settle(self, actual: str) -> str:
        """Return `actual`: what files may say is not a matter of the value."""
        return actual

    def __str__(self) -> str:
        return "set by no file"


class Leave(Frozen):
    """Any value. The entry says why nothing should be changed, so that nobody adds it."""

    operator: Literal["leave"] = "leave"

    def settle(self, actual: str) -> str:
        """Return `actual`."""
        return actual

    def __str__(self) -> str:
        return "left as it is"


Single = Annotated[Exactly | AtLeast | AtMost | Between | OneOf | Leave, Field(discriminator="operator")]


class Elements(Frozen):
    """A demand for each number of a vector."""

    operator: Literal["elements"] = "elements"
    each: tuple[Single, ...] = Field(min_length=2)

    def settle(self, actual: str) -> str:
        """Return `actual` with each number settled by its own demand.

        Raises ValueError where the host's vector has another length.
        """
        return " ".join(d.settle(token) for d, token in zip(self.each, actual.split(), strict=True))

    def __str__(self) -> str:
        return " ".join(_short(d) for d in self.each)


Demand = Annotated[
    Exactly | AtLeast | AtMost | Between | OneOf | Includes | Unset | Leave | Elements,
    Field(discriminator="operator"),
]


def operands(demand: Demand) -> tuple[str, ...]:
    """Return every value that a demand names, those of its elements included."""
    match demand:
        case Between():
            return (demand.low, demand.high)
        case OneOf():
            return demand.values
        case Leave() | Unset():
            return ()
        case Elements():
            return tuple(value for each in demand.each for value in operands(each))
        case _:
            return (demand.value,)


def replaced(demand: Demand, value: Callable[[str], str]) -> Demand:
    """Return the demand with each of its values put through `value`."""
    match demand:
        case Between():
            return Between(low=value(demand.low), high=value(demand.high))
        case OneOf():
            return OneOf(values=tuple(value(each) for each in demand.values))
        case Leave() | Unset():
            return demand
        case Elements():
            return Elements.model_validate({"each": [replaced(each, value) for each in demand.each]})
        case _:
            return demand.model_copy(update={"value": value(demand.value)})


def meets(demand: Demand, actual: str) -> bool:
    """Return whether a value needs no change: exactly when settling it gives it back."""
    return bool(demand.settle(actual) == actual)


def _short(demand: Single) -> str:
    """Return a demand of one number in a form that leaves room for two more."""
    match demand:
        case Exactly():
            return demand.value
        case AtLeast():
            return f">={demand.value}"
        case AtMost():
            return f"<={demand.value}"
        case Between():
            return f"{demand.low}..{demand.high}"
        case OneOf():
            return "|".join(demand.values)
        case Leave():
            return "any"


def _pairwise(choose: object, actual: str, bound: str) -> str:
    have, want = numbers(actual), numbers(bound)
    if have is None or want is None or len(have) != len(want):
        raise ValueError(f"{actual!r} cannot be compared with {bound!r}")
    assert callable(choose)  # noqa: S101  # for mypy: min and max have too many overloads to name
    return " ".join(str(choose(h, w)) for h, w in zip(have, want, strict=True))
