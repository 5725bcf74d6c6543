from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH, MODULES_PATH, Cohort
from tcptune.domain.facts import HostFacts
from tcptune.domain.runs import HostState
from tcptune.domain.verdicts import FileCheck, FileOutcome, HostVerdict
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.own_files import unit_text, with_files
from tcptune.planning.plan import plan_host
from tcptune.planning.verify import verify_host
from tests.unit.builders import ABSENT, LATER, SOMAXCONN, UNREADABLE, change, cohort, facts, result
from tests.unit.planning.test_late_modules_planned import CONNTRACK
from tests.unit.planning.test_late_modules_planned import host as tracking
from tests.unit.planning.test_limit_changes import with_ours
from tests.unit.planning.test_limits import host as listening
from tests.unit.planning.test_limits import limit, of, process

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


def test_a_file_that_cannot_be_read_is_neither_a_kept_change_nor_a_moved_one() -> None:
    found = verdict(host("8192", {**KEPT, LATER: None}), HostState.CONFIRMED)

    assert (found.ok, found.moved) == (False, False)
    assert [check.at_boot.known for check in found.checks if check in found.unknown] == [False]


def test_a_value_that_has_moved_is_certain_whatever_the_files_say() -> None:
    found = verdict(host("128", {**KEPT, LATER: None}), HostState.CONFIRMED)

    assert (found.moved, found.unknown) == (True, ())


# Limits and files


def limited(said: HostFacts) -> Cohort:
    made, _ = plan_host(said, audit_host(said, of(limit()), catalogue()), catalogue())
    return cohort(changes=(), files=made.files, limits=made.limits)


def looked_at(now: HostFacts, state: HostState = HostState.CONFIRMED, left: Cohort | None = None) -> FileCheck:
    [found] = verdict(now, state, left or limited(listening(process()))).files
    return found


def written(said: HostFacts) -> HostFacts:
    return with_files(said, limited(listening(process())).files)


def test_a_service_that_was_started_again_has_its_limit() -> None:
    restarted = written(listening(process(65536, 524288)))

    assert looked_at(restarted).outcome is FileOutcome.AS_LEFT
    assert verdict(restarted, HostState.CONFIRMED, limited(listening(process()))).ok


def test_a_service_that_was_not_waits_for_a_restart_and_is_neither_fine_nor_moved() -> None:
    found = verdict(written(listening(process())), HostState.CONFIRMED, limited(listening(process())))
    [waits] = found.files

    assert (found.ok, found.in_place, found.moved) == (False, True, False)
    assert (waits.outcome, waits.what) == (FileOutcome.WAITS, "nginx (nginx.service)")
    assert waits.said.startswith(
        "wanted 65536, 65536 at the next start (/etc/systemd/system/nginx.service.d/99-tcptune"
    )
    assert waits.said.endswith(", 1024 now")


def test_a_limit_that_the_next_start_does_not_give_any_more_is_not_as_left() -> None:
    assert looked_at(listening(process(65536, 65536))).outcome is FileOutcome.MOVED


def test_a_service_that_does_not_listen_is_judged_by_its_files() -> None:
    other = listening(process(name="sshd", unit="ssh.service"))

    assert looked_at(written(other)).outcome is FileOutcome.AS_LEFT
    # Of a unit that does not listen the probe does not tell the file.
    assert looked_at(written(listening(process(), files={}))).outcome is FileOutcome.UNKNOWN


@pytest.mark.parametrize(
    "lost",
    [
        {"listeners": None},
        {"unit_files": None},
        {"config_files": None},
    ],
    ids=lambda lost: next(iter(lost)),
)
def test_what_was_not_read_is_not_known(lost: dict[str, None]) -> None:
    now = written(listening(process(65536, 524288))).model_copy(update=lost)

    assert looked_at(now).outcome is FileOutcome.UNKNOWN
    assert not verdict(now, HostState.CONFIRMED, limited(listening(process()))).ok


def test_a_process_whose_limits_cannot_be_read_is_not_known() -> None:
    assert looked_at(written(listening(process(None, None)))).outcome is FileOutcome.UNKNOWN


@pytest.mark.parametrize("state", [HostState.HELD, HostState.ROLLED_BACK, HostState.REVERTED])
def test_the_files_of_a_run_that_is_not_kept_must_be_as_they_were(state: HostState) -> None:
    assert looked_at(listening(process()), state).outcome is FileOutcome.AS_LEFT
    left = with_ours(listening(process()), "[Service]\nLimitNOFILE=65536\n", len(unit_text("65536")))
    assert looked_at(left, state).outcome is FileOutcome.MOVED
    unread = listening(process()).model_copy(update={"unit_files": None})
    assert looked_at(unread, state).outcome is FileOutcome.UNKNOWN


def test_a_module_that_comes_first_lets_the_value_last() -> None:
    kept = cohort(changes=(change(CONNTRACK, "65536", "262144", module="nf_conntrack"),))
    lines: dict[str, str | None] = {DROPIN_PATH: f"{CONNTRACK} = 262144\n"}
    lists: dict[str, str | None] = {MODULES_PATH: "nf_conntrack\n"}

    assert verdict(tracking("262144", lines, lists), HostState.CONFIRMED, kept).ok
    found = verdict(tracking("262144", lines), HostState.CONFIRMED, kept)
    assert found.moved
    assert "nf_conntrack is loaded after" in found.checks[0].at_boot.by
