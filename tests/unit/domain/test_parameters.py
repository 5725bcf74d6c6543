from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.parameters import Bounds, Default, Shape
from tests.unit.builders import parameter

INT = parameter(sensible=Bounds(min=1, max=1000))
SIGNED = parameter(sensible=Bounds(min=-5, max=5))
BOOL = parameter(shape=Shape.BOOL, sensible=Bounds(min=0, max=1))
ENUM = parameter(shape=Shape.ENUM, sensible=Bounds(min=0, max=3), meanings={"0": "never", "1": "maybe", "3": "always"})
PAIR = parameter(shape=Shape.PAIR)
TRIPLE = parameter(shape=Shape.TRIPLE)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (INT, "1"),
        (INT, "1000"),
        (SIGNED, "-5"),
        (SIGNED, "0"),
        (BOOL, "0"),
        (BOOL, "1"),
        (ENUM, "3"),
        (PAIR, "1 2"),
        (PAIR, "2 2"),
        (TRIPLE, "1 2 3"),
        (TRIPLE, "2 2 2"),
    ],
)
def test_a_sensible_value_has_no_mistake(setting: object, text: str) -> None:
    assert setting.mistake(text) is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setting", "text", "said"),
    [
        (INT, "", "takes one number, this has 0"),
        (INT, "1 2", "takes one number, this has 2"),
        (PAIR, "1", "takes two numbers, this has 1"),
        (TRIPLE, "1 2", "takes three numbers, this has 2"),
        (TRIPLE, "1 2 3 4", "takes three numbers, this has 4"),
        (INT, "4k", "without unit, '4k' is none"),
        (INT, "1.5", "without unit"),
        (INT, "0x10", "without unit"),
        (INT, "+5", "without unit"),
        (INT, "1e3", "without unit"),
        (INT, "1_000", "without unit"),
        (BOOL, "true", "without unit"),
        (BOOL, "on", "without unit"),
        (INT, "010", "leading zero: the kernel would read it as octal"),
        (SIGNED, "-010", "leading zero"),
        (INT, "00", "leading zero"),
        (TRIPLE, "1 02 3", "leading zero"),
        (INT, "0", "outside 1..1000 (things)"),
        (INT, "1001", "outside 1..1000"),
        (INT, "-1", "outside 1..1000"),
        (BOOL, "2", "outside 0..1"),
        (ENUM, "2", "has no value 2; it takes 0, 1, 3"),
        (PAIR, "2 1", "wants low <= high"),
        (TRIPLE, "2 1 3", "wants min <= default <= max"),
        (TRIPLE, "1 3 2", "wants min <= default <= max"),
        (SIGNED, "--5", "without unit"),
        (INT, "-", "without unit"),
        (INT, "5-", "without unit"),
        (BOOL, "-0", "'-0'"),
        (INT, "٤", "without unit"),
        (INT, "４", "without unit"),
    ],
)
def test_a_wrong_value_is_named(setting: object, text: str, said: str) -> None:
    assert said in (setting.mistake(text) or "nothing")  # type: ignore[attr-defined]


@given(st.text(st.characters(categories=["Nd", "Zs"], include_characters="-+.xk"), max_size=12))
def test_any_text_is_judged_and_only_what_the_kernel_reads_the_same_way_passes(text: str) -> None:
    if INT.mistake(text) is None:
        assert text.strip() == str(int(text))
        assert text.isascii()


def test_a_number_of_any_length_is_judged() -> None:
    assert INT.mistake("9" * 5000) is not None


VERSIONED = parameter(
    defaults=(Default(since="5.4", value="4096"), Default(since="4.19", value="512"), Default(value="128")),
)


@pytest.mark.parametrize(
    ("release", "value"),
    [
        ("6.12.43+deb13-amd64", "4096"),
        ("5.10.0-28-amd64", "4096"),
        ("5.4.0", "4096"),
        ("5.3.18-lp152", "512"),
        ("4.19.0", "512"),
        ("4.9.0", "128"),
        ("2.6.32-754.el6.x86_64", "128"),
    ],
)
def test_a_default_belongs_to_a_kernel_version(release: str, value: str) -> None:
    assert VERSIONED.default(release) == value


def test_a_default_that_depends_on_the_machine_is_not_known() -> None:
    assert parameter(defaults=(Default(formula="1/128 of memory"),)).default("6.12.0") is None


def test_a_kernel_older_than_every_default_has_none() -> None:
    assert parameter(defaults=(Default(since="5.4", value="1"),)).default("4.19.0") is None


def test_a_parameter_without_a_source_is_no_parameter() -> None:
    with pytest.raises(ValueError, match="sources"):
        parameter(sources=())


def test_a_version_may_be_given_as_numbers() -> None:
    assert Default(since=(5, 4)).since == Default(since="5.4").since == (5, 4)


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no kernel release"):
        parameter(removed_in="soon")
