"""What a formula may say, what it gives, and how little a hostile one can cost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain import formulas
from tcptune.domain.formulas import KernelRelease, evaluate, in_words, is_formula, mistake, names

HOST = {
    "memory_bytes": 16 * 1024**3,
    "cpus": 4,
    "kernel": KernelRelease("6.9.1-amd64"),
    "actual": (4096, 131072, 6291456),
    "rate": 40000,
    "stall_s": 0.2,
    "link_speed_mbps": None,
}


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("{{ (rate * stall_s) | round_up_pow2 }}", "8192"),
        ("{{ rate * stall_s + 0.5 }}", "8001"),
        ("{{ 10 // 3 }}", "3"),
        ("{{ memory_bytes / GiB }}", "16"),
        ("{{ max(actual[2], 7 * MiB) }}", str(7 * 1024**2)),
        ("{{ actual[1] * 2 }}", "262144"),
        ("{{ clamp(rate, 1, 100) }}", "100"),
        ("{{ rate | round_down(3000) }}", "39000"),
        ("{{ 1 if kernel >= '6.10' else 2 }}", "2"),
        ("{{ 1 if kernel >= '6.9' and cpus > 2 else 2 }}", "1"),
        ("{{ link_speed_mbps | default(1000) }}", "1000"),
        ("4096 {{ cpus }} 8", "4096 4 8"),
        ("{{ -cpus }}", "-4"),
    ],
)
def test_a_formula_gives_one_whole_number(formula: str, value: str) -> None:
    assert mistake(formula, HOST) is None
    assert evaluate(formula, HOST) == value


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("{{ ''.__class__.__mro__ }}", "getattr has no place"),
        ("{{ rate.real }}", "getattr has no place"),
        ("{{ rate['real'] }}", "only actual has parts"),
        ("{{ actual[9] }}", "only actual has parts"),
        ("{{ 9 ** 9 ** 9 }}", "pow has no place"),
        ("{{ [0] * 999999999 }}", "has no place"),
        ("{{ 'a' * 999999999 }}", "text has no place"),
        ("{% for x in range(10**9) %}{{ x }}{% endfor %}", "statements"),
        ("{# note #}", "statements"),
        ("{{ range(9) }}", "range is no function"),
        ("{{ lipsum() }}", "lipsum is no function"),
        ("{{ rate | attr('real') }}", "attr is no function"),
        ("{{ max }}", "neither a fact nor a load variable"),
        ("{{ ratte }}", "ratte is neither a fact nor a load variable"),
        ("{{ kernel }}", "kernel can only be compared"),
        ("{{ kernel > 6 }}", "kernel can only be compared"),
        ("{{ kernel > 'six' }}", "no kernel release"),
        ("{{ rate ~ 1 }}", "concat has no place"),
        ("{{ 1 < rate < 3 }}", "two sides"),
        ("{{ rate if cpus > 3 }}", "needs an 'else'"),
        ("{{ clamp(1, 2) }}", "clamp takes 3 numbers, not 2"),
        ("{{ clamp(1, 2, high=3) }}", "plain arguments"),
        ("{{ true }}", "no true, false or none"),
        ("{{ rate", "do not match"),
        ("{{ }}", "no formula between"),
        ("{{ rate + }}", "is no formula"),
        ("{{rate-}}", "is no formula"),
        ("{{ 1e999 }}", "too large"),
        ("{{ " + "(" * 190 + "1" + ")" * 190 + " }}", "nested too deep"),
        ("{{ " + "1+" * 300 + "1 }}", "longer than 400"),
        ("{{ " + "1+" * 100 + "1 }}", "more than 120 parts"),
    ],
)
def test_what_is_no_plain_arithmetic_is_refused_with_a_reason(formula: str, said: str) -> None:
    assert said in (mistake(formula, HOST) or "no mistake")


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("{{ rate / 0 }}", "division by zero"),
        ("{{ rate > 3 }}", "gives no number"),
        ("{{ link_speed_mbps * 2 }}", "link_speed_mbps is not known here"),
        ("{{ 1e308 * 10 }}", "cannot be computed"),
        ("{{ 99999999999999999999 * 9 }}", "beyond any the kernel holds"),
    ],
)
def test_a_formula_without_a_value_here_says_so(formula: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate(formula, HOST)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("{{ (rate * stall_s) | round_up_pow2 }}", "round_up_pow2(40000 * 0.2)"),
        ("{{ rate - (cpus - 1) }}", "40000 - (4 - 1)"),
        ("{{ (rate + cpus) * 2 }}", "(40000 + 4) * 2"),
        ("{{ actual[2] + 128 * KiB }}", "6291456 + 128 * KiB"),
        ("{{ link_speed_mbps | default(1000) }}", "default(link_speed_mbps, 1000)"),
        ("{{ 1 if kernel < '6.10' else 2 }}", "1 if 6.9.1-amd64 < 6.10 else 2"),
    ],
)
def test_a_formula_is_shown_with_the_numbers_it_was_computed_from(formula: str, words: str) -> None:
    assert in_words(formula, HOST) == [words]


def test_a_value_without_braces_is_no_formula() -> None:
    assert not is_formula("4096 131072 6291456")
    assert is_formula("4096 {{ cpus }} 6291456")
    assert names("{{ rate }}") == {"rate"}
    assert names("{{ max(rate, cpus) * KiB }}") == {"rate", "cpus"}


def test_releases_are_ordered_as_versions_not_as_numbers() -> None:
    assert KernelRelease("6.10.2-cloud") > "6.9"
    assert KernelRelease("6.9.0") <= "6.9"


@given(st.text("()+-*/%0123456789.,|[]{} \"'acx_", max_size=60))
def test_any_text_is_judged_quickly_and_never_crashes(text: str) -> None:
    began = time.perf_counter()
    value = "{{" + text + "}}"
    if mistake(value, HOST) is None:
        try:
            evaluate(value, HOST)
        except ValueError as problem:
            assert str(problem)  # noqa: PT017  # a reason is all that is asked of it
    assert time.perf_counter() - began < 2


@given(st.integers(1, 2**40))
def test_the_next_power_of_two_is_the_smallest_that_is_enough(number: int) -> None:
    found = formulas.round_up_pow2(number)

    assert found >= number > found / 2
    assert found & (found - 1) == 0
