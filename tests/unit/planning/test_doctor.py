from __future__ import annotations

from datetime import timedelta

import pytest

from tcptune.domain.host_runs import HostRun, HostRuns, Leftover
from tcptune.domain.runs import HostState, Run
from tcptune.planning.doctor import leftovers
from tests.unit.builders import NOW, facts, result, run

THIS_BOOT = facts().system.boot_id
LATER, EARLIER = NOW + timedelta(minutes=5), NOW - timedelta(minutes=5)


def record(state: str = "held", name: str = "r1", **fields: object) -> HostRun:
    return HostRun.model_validate({"run": name, "state": state, "since": EARLIER, "boot_id": THIS_BOOT, **fields})


def known(state: HostState, name: str = "r1") -> dict[str, Run]:
    return {name: run(result("web1", state), run_id=name)}


def left(*records: HostRun, journal: dict[str, Run] | None = None) -> list[Leftover]:
    host = facts("web1").model_copy(update={"runs": HostRuns(runs=records)})
    return list(leftovers(host, journal or {}, NOW))


@pytest.mark.parametrize(
    ("on_host", "in_journal"),
    [
        ("confirmed", HostState.CONFIRMED),
        ("rolled_back", HostState.ROLLED_BACK),
        ("rolled_back", HostState.PARTLY_BACK),
        ("rolled_back", HostState.FAILED),
        ("reverted", HostState.REVERTED),
        ("lost", HostState.LOST),
    ],
)
def test_where_host_and_journal_agree_on_the_end_nothing_is_left(on_host: str, in_journal: HostState) -> None:
    assert left(record(on_host), journal=known(in_journal)) == []


@pytest.mark.parametrize("on_host", ["confirmed", "rolled_back", "reverted", "lost"])
def test_what_another_journal_knows_and_is_at_its_end_is_nobodys_business(on_host: str) -> None:
    assert left(record(on_host)) == []


@pytest.mark.parametrize(
    ("fields", "said", "verb"),
    [
        ({"deadline": LATER, "timer_alive": True}, "takes it back by itself at", "confirm"),
        ({"deadline": LATER, "timer_alive": False}, "what should take it back then is gone", "rollback"),
        ({"deadline": NOW, "timer_alive": True}, "its time was over", "rollback"),
        ({"deadline": EARLIER}, "its time was over", "rollback"),
        ({}, "nothing but a reboot takes it back", "confirm"),
        ({"boot_id": "another", "deadline": LATER}, "its values are gone, no file was touched", "rollback"),
    ],
)
def test_a_held_run_is_told_by_its_timer_and_its_boot(fields: dict[str, object], said: str, verb: str) -> None:
    [found] = left(record(**fields), journal=known(HostState.HELD))

    assert said in found.what
    assert found.command == f"tcptune {verb} r1 --limit web1"


@pytest.mark.parametrize("state", ["prepared", "running", "confirming", "rolling_back"])
def test_a_run_in_the_middle_of_something_may_have_died_there(state: str) -> None:
    [found] = left(record(state), journal=known(HostState.APPLYING))

    assert f"it is {state.replace('_', ' ')} since" in found.what
    assert (found.on_host, found.in_journal) == (state, HostState.APPLYING)
    assert found.command == "tcptune rollback r1 --limit web1"


def test_what_could_not_be_taken_back_is_left_over_whoever_knows_it() -> None:
    [found] = left(record("failed_restored"))

    assert "could not be taken back in full" in found.what
    assert (found.in_journal, found.command) == (
        None,
        "ansible-playbook tcptune.linux.rollback -i INVENTORY -l web1 -e tcp_settings_run=r1",
    )


@pytest.mark.parametrize(
    ("on_host", "in_journal", "verb"),
    [
        ("reverted", HostState.HELD, "rollback"),
        ("lost", HostState.HELD, "rollback"),
        ("rolled_back", HostState.APPLYING, "rollback"),
        ("confirmed", HostState.HELD, "confirm"),
        ("confirmed", HostState.BROKEN, "rollback"),
    ],
)
def test_a_journal_that_is_behind_is_told_by_one_command(on_host: str, in_journal: HostState, verb: str) -> None:
    [found] = left(record(on_host), journal=known(in_journal))

    assert f"the journal still says {in_journal}" in found.what
    assert found.command == f"tcptune {verb} r1 --limit web1"


@pytest.mark.parametrize("state", [HostState.APPLYING, HostState.HELD, HostState.BROKEN])
def test_a_run_that_the_host_has_no_record_of_never_began_there(state: HostState) -> None:
    [found] = left(journal=known(state))

    assert (found.on_host, found.command) == (None, "tcptune rollback r1 --limit web1")
    assert "it never began there" in found.what


@pytest.mark.parametrize("state", [s for s in HostState if s not in {"applying", "held", "broken"}])
def test_a_finished_run_that_the_host_has_forgotten_is_none(state: HostState) -> None:
    assert left(journal=known(state)) == []


def test_runs_of_other_hosts_are_not_this_ones() -> None:
    assert left(journal={"r1": run(result("web2", HostState.HELD), run_id="r1")}) == []
