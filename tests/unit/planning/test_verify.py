from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH, Cohort
from tcptune.domain.facts import HostFacts
from tcptune.domain.runs import HostState
from tcptune.domain.verdicts import HostVerdict
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.verify import verify_host
from tests.unit.builders import ABSENT, LATER, SOMAXCONN, UNREADABLE, change, cohort, facts, result

COHORT = cohort(changes=(change(SOMAXCONN, "128", "8192"),))
KEPT: dict[str, str | None] = {DROPIN_PATH: f"{SOMAXCONN} = 8192\n"}


def verdict(host: HostFacts, state: HostState, changed: Cohort = COHORT, **fields: Any) -> HostVerdict:
    return verify_host(host, changed, result(state=state, **fields), catalogue())


def host(actual: str, files: dict[str, str | None] | None = None) -> HostFacts:
    return facts(sysctl={SOMAXCONN: actual}, files=files)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (HostState.HELD, "8192"),
        (HostState.CONFIRMED, "8192"),
        (HostState.ROLLED_BACK, "128"),
        (HostState.FAILED, "128"),
        (HostState.BROKEN, "128"),
    ],
)
def test_what_is_expected_depends_on_where_the_run_left_the_host(state: HostState, expected: str) -> None:
    [check] = verdict(host("8192"), state).checks

    assert (check.expected, check.actual) == (expected, "8192")


def test_a_held_host_need_not_boot_into_the_change() -> None:
    assert verdict(host("8192"), HostState.HELD).ok
    assert not verdict(host("128"), HostState.HELD).ok


def test_a_confirmed_host_must_boot_into_the_change() -> None:
    assert verdict(host("8192", KEPT), HostState.CONFIRMED).ok
    assert not verdict(host("8192"), HostState.CONFIRMED).ok
    assert not verdict(host("128", KEPT), HostState.CONFIRMED).ok


def test_a_confirmed_host_that_another_file_overrules_since_is_not_as_left() -> None:
    files = {**KEPT, LATER: f"{SOMAXCONN} = 128\n"}
    [check] = verdict(host("8192", files), HostState.CONFIRMED).checks

    assert not check.ok
    assert check.at_boot.by == f"{LATER}:1"


def test_a_file_that_won_when_the_plan_was_made_is_no_news() -> None:
    known = cohort(changes=(change(SOMAXCONN, "128", "8192", shadowed_by=f"{LATER}:1"),))

    assert verdict(host("8192", {**KEPT, LATER: f"{SOMAXCONN} = 128\n"}), HostState.CONFIRMED, known).ok


def test_a_host_that_was_taken_back_must_have_what_it_really_had_before() -> None:
    assert verdict(host("256"), HostState.ROLLED_BACK, replaced={SOMAXCONN: "256"}).ok
    assert not verdict(host("128"), HostState.ROLLED_BACK, replaced={SOMAXCONN: "256"}).ok


@pytest.mark.parametrize("reading", [ABSENT, UNREADABLE])
def test_a_setting_that_cannot_be_read_any_more_is_not_as_left(reading: object) -> None:
    [check] = verdict(facts(sysctl={SOMAXCONN: reading}), HostState.HELD).checks  # type: ignore[dict-item]

    assert check.actual is None
    assert not check.ok


def test_a_file_that_cannot_be_read_is_not_taken_for_a_kept_change() -> None:
    assert not verdict(host("8192", {**KEPT, LATER: None}), HostState.CONFIRMED).ok
