from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tcptune.domain.gates import CountersGate, SshGate
from tcptune.domain.hosts import Declared
from tcptune.domain.rollout import (
    FAILURES,
    Confirmation,
    FailureDomain,
    FailureLimits,
    OnFailure,
    Order,
    Policy,
    Selector,
    duration_s,
    share,
)
from tcptune.domain.runs import HostState
from tests.unit.builders import NOW, policy

HOST = Declared(labels={"rack": "r1", "stage": "canary"}, groups=("front", "rack_a"))


@pytest.mark.parametrize(
    ("amount", "total", "hosts"),
    [
        ("3", 40, 3),
        ("5%", 40, 2),
        ("5%", 39, 1),
        ("5%", 19, 0),
        ("100%", 7, 7),
        ("0.5%", 1000, 5),
        # In binary fractions, 29 % of 100 is less than 29.
        ("29%", 100, 29),
        ("33.3%", 1000, 333),
    ],
)
def test_a_share_is_counted_in_whole_hosts(amount: str, total: int, hosts: int) -> None:
    assert share(amount, total) == hosts


@pytest.mark.parametrize(
    ("given", "kept"), [(5, "5"), ("05", "5"), ("5 %", "5%"), ("5.0%", "5%"), ("0.25%", "0.25%"), ("100%", "100%")]
)
def test_an_amount_has_one_spelling(given: object, kept: str) -> None:
    assert policy(waves=[given]).waves == (kept,)


@pytest.mark.parametrize("given", [0, "0%", -1, "-5%", "101%", "5 hosts", "", True, 1.5, "1.5", None, [1], "1e3", "٥"])
def test_what_is_no_size_of_a_wave_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        policy(waves=[given])


@pytest.mark.parametrize("waves", [["100%", 1], ["50%", "50%", "10%"], [1, "60%", "60%", "100%"]])
def test_a_wave_for_which_no_host_can_be_left_is_a_mistake(waves: list[object]) -> None:
    with pytest.raises(ValidationError, match="no host is left for wave"):
        policy(waves=waves)


@pytest.mark.parametrize(("text", "time_s"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("0s", 0)])
def test_a_time_has_a_unit(text: str, time_s: int) -> None:
    assert duration_s(text) == time_s
    assert policy(soak=text).soak_s == time_s


@pytest.mark.parametrize("text", ["", "m", "1d", "-1s", "1.5h", "25h", "soon", True])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="no time of at most a day"):
        policy(soak=text)


def test_without_a_word_a_policy_is_careful() -> None:
    found = policy()

    assert [type(gate) for gate in found.gates] == [SshGate, CountersGate]
    assert found.failures == FailureLimits(per_wave="0", total="0")
    assert (found.on_failure, found.confirm) == (OnFailure.ROLL_BACK_WAVE, Confirmation.AFTER_GATES)
    assert found.allowed(NOW)
    assert found.opens_next(NOW) is None


def test_a_policy_without_a_gate_is_refused_as_nothing_would_ever_be_known() -> None:
    with pytest.raises(ValidationError):
        policy(gates=[])


def test_a_policy_survives_its_journey_through_json() -> None:
    window = {"days": "sat", "opens": "10:00", "closes": "11:00", "zone": "UTC"}
    found = policy(
        failure_domain={"groups": "rack_*"}, order={"by": "shuffled", "seed": 3}, window=window, soak="5m", summary=""
    )

    assert Policy.model_validate_json(found.model_dump_json()) == found
    assert not found.allowed(NOW.replace(hour=9))
    assert found.opens_next(NOW) is not None


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ({"labels": {"stage": "canary"}}, True),
        ({"labels": {"stage": "canary", "rack": "r2"}}, False),
        ({"labels": {"zone": "eu"}}, False),
        ({"group": "front"}, True),
        ({"group": "rack_*"}, True),
        ({"group": "rack"}, False),
        ({"group": "front", "labels": {"rack": "r1"}}, True),
        ({"group": "back", "labels": {"rack": "r1"}}, False),
    ],
)
def test_all_that_a_selector_says_has_to_hold(selector: dict[str, Any], matches: bool) -> None:
    assert Selector.model_validate(selector).matches(HOST) is matches


@pytest.mark.parametrize("said", [{}, {"labels": {}}])
def test_a_selector_selects(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="name `labels` or a `group`"):
        Selector.model_validate(said)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("rack", ("r1",)),
        ("zone", ()),
        ({"label": "rack"}, ("r1",)),
        ({"groups": "rack_*"}, ("rack_a",)),
        ({"groups": ["rack_a", "front"]}, ("front", "rack_a")),
    ],
)
def test_the_failure_domains_of_a_host(said: object, found: tuple[str, ...]) -> None:
    assert FailureDomain.model_validate(said).of(HOST) == found


@pytest.mark.parametrize("said", [{}, {"label": "rack", "groups": "r*"}, {"label": ""}, {"groups": []}])
def test_a_failure_domain_is_one_thing(said: object) -> None:
    with pytest.raises(ValidationError, match="a failure domain is a label, or groups"):
        FailureDomain.model_validate(said)


def test_a_seed_needs_something_to_shuffle() -> None:
    with pytest.raises(ValidationError, match="a seed has no meaning where the order is by name"):
        Order.model_validate({"by": "name", "seed": 1})


@pytest.mark.parametrize(
    ("per_wave", "total", "failed", "said"),
    [
        ("0", "0", (0, 0), None),
        ("0", "100%", (1, 1), "1 of 10 hosts of the wave failed, and at most 0 may"),
        ("1", "100%", (1, 1), None),
        ("19%", "100%", (2, 2), "2 of 10 hosts of the wave failed, and at most 1 (19%) may"),
        ("20%", "100%", (2, 2), None),
        # A wave in which nobody fails does not make up for the waves before.
        ("100%", "2", (0, 3), "3 of 40 hosts failed, and at most 2 may"),
        ("100%", "5%", (1, 3), "3 of 40 hosts failed, and at most 2 (5%) may"),
        ("100%", "5%", (1, 2), None),
    ],
)
def test_failures_are_too_many_in_the_wave_or_in_total(
    per_wave: str, total: str, failed: tuple[int, int], said: str | None
) -> None:
    limits = FailureLimits(per_wave=per_wave, total=total)

    assert limits.exceeded(wave=failed[0], of_wave=10, total=failed[1], of_total=40) == said


def test_a_host_that_cannot_be_reached_counts_as_failed_and_a_stale_one_does_not() -> None:
    assert {HostState.UNREACHABLE, HostState.FAILED, HostState.BROKEN, HostState.REVERTED, HostState.LOST} <= FAILURES
    assert {HostState.STALE, HostState.HELD, HostState.CONFIRMED}.isdisjoint(FAILURES)
