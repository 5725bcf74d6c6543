from __future__ import annotations

from datetime import timedelta

import pytest

from tcptune.domain.host_runs import HostRun, HostRuns, Leftover
from tcptune.domain.runs import Act, HostState, Run, Work
from tcptune.planning.doctor import leftovers, settlements
from tests.unit.builders import NOW, facts, result, run

THIS_BOOT = facts().system.boot_id
LATER, EARLIER = NOW + timedelta(minutes=5), NOW - timedelta(minutes=5)


def record(state: str = "held", name: str = "r1", **fields: object) -> HostRun:
    return HostRun.model_validate({"run": name, "state": state, "since": EARLIER, "boot_id": THIS_BOOT, **fields})


def known(state: HostState, name: str = "r1") -> dict[str, Run]:
    return {name: run(result("web1", state), run_id=name)}


def left(*records: HostRun, journal: dict[str, Run] | None = None, busy: str | None = None) -> list[Leftover]:
    host = facts("web1").model_copy(update={"runs": HostRuns(runs=records, busy=busy)})
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


@pytest.mark.parametrize("state", [HostState.APPLYING, HostState.BROKEN])
def test_a_run_that_the_host_has_no_record_of_has_not_begun_there(state: HostState) -> None:
    [found] = left(journal=known(state))

    assert (found.on_host, found.command) == (None, "tcptune rollback r1 --limit web1")
    assert "it has not begun there" in found.what


def test_a_held_run_that_the_host_has_forgotten_is_looked_at_by_a_rollback() -> None:
    [found] = left(journal=known(HostState.HELD))

    assert found.what.endswith("a rollback looks whether all is as before, and says what is not")
    assert found.command == "tcptune rollback r1 --limit web1"


@pytest.mark.parametrize("state", [s for s in HostState if s not in {"applying", "held", "broken"}])
def test_a_finished_run_that_the_host_has_forgotten_is_none(state: HostState) -> None:
    assert left(journal=known(state)) == []


def test_runs_of_other_hosts_are_not_this_ones() -> None:
    assert left(journal={"r1": run(result("web2", HostState.HELD), run_id="r1")}) == []


# What a controller began and did not end


def begun(act: Act, state: HostState, *, alive: bool | None = False) -> dict[str, Run]:
    work = Work(act=act, by="ada@c", since=EARLIER, process="c b n 7 1", pid="7", alive=alive)
    host = result("web1", state).model_copy(update={"doing": act})
    return {"r1": run(host, run_id="r1").model_copy(update={"at_work": work})}


WAITING = {"deadline": LATER, "timer_alive": True}


@pytest.mark.parametrize(
    ("act", "state", "on_host", "verb"),
    [
        (Act.APPLY, HostState.APPLYING, record(**WAITING), "rollback"),
        (Act.APPLY, HostState.APPLYING, record("running"), "rollback"),
        (Act.CONFIRM, HostState.HELD, record(**WAITING), "confirm"),
        (Act.CONFIRM, HostState.HELD, record("confirming"), "confirm"),
        (Act.CONFIRM, HostState.HELD, record("confirmed"), "confirm"),
        (Act.CONFIRM, HostState.HELD, record("confirming", boot_id="another"), "rollback"),
        (Act.CONFIRM, HostState.HELD, record("reverted"), "rollback"),
        (Act.ROLLBACK, HostState.HELD, record(**WAITING), "rollback"),
        (Act.ROLLBACK, HostState.HELD, record("rolling_back"), "rollback"),
        (Act.ROLLBACK, HostState.HELD, record("rolled_back"), "rollback"),
        (Act.ROLLBACK, HostState.HELD, record("confirmed"), "rollback"),
        (Act.ROLLBACK, HostState.CONFIRMED, record("confirmed"), "rollback"),
    ],
)
def test_what_a_dead_controller_began_is_finished_by_the_command_it_ran_or_undone(
    act: Act, state: HostState, on_host: HostRun, verb: str
) -> None:
    [found] = left(on_host, journal=begun(act, state))

    assert (found.verb, found.command) == (verb, f"tcptune {verb} r1 --limit web1")


@pytest.mark.parametrize("records", [(), (record("running"),), (record(**WAITING),)])
def test_what_a_living_controller_is_at_is_left_to_it(records: tuple[HostRun, ...]) -> None:
    [found] = left(*records, journal=begun(Act.APPLY, HostState.APPLYING, alive=True))

    assert "apply by ada@c is at work on it" in found.what
    assert (found.verb, found.command) == (None, "tcptune doctor web1, once that has ended")


def test_a_controller_that_cannot_be_seen_from_here_is_waited_for_by_nobody() -> None:
    [found] = left(record("running"), journal=begun(Act.APPLY, HostState.APPLYING, alive=None))

    assert found.verb == "rollback"


@pytest.mark.parametrize(("busy", "said"), [("r1", "is at it right now"), ("r2", "it died there"), (None, "it died")])
def test_who_holds_the_lock_tells_a_run_under_way_from_one_that_died(busy: str | None, said: str) -> None:
    [found] = left(record("running"), journal=known(HostState.APPLYING), busy=busy)

    assert said in found.what


def some(host: str, verb: str | None, name: str = "r1", state: HostState | None = HostState.HELD) -> Leftover:
    return Leftover.model_validate(
        {"host": host, "run": name, "on_host": "held", "in_journal": state, "what": "w", "verb": verb, "command": "c"}
    )


@pytest.mark.parametrize(
    ("verbs", "command"),
    [
        (("confirm", "confirm"), "tcptune confirm r1"),
        (("rollback", "rollback"), "tcptune rollback r1"),
        (("confirm", "rollback"), "tcptune rollback r1"),
    ],
)
def test_one_command_ends_a_run_on_all_hosts_on_which_it_is_left_over(verbs: tuple[str, str], command: str) -> None:
    [found] = settlements([some("b", verbs[0]), some("a", verbs[1])])

    assert (found.run, found.hosts, found.command) == ("r1", ("a", "b"), command)


def test_there_is_none_for_one_host_for_another_journals_run_or_while_somebody_is_at_work() -> None:
    assert settlements([some("a", "confirm")]) == ()
    assert settlements([some("a", "confirm", state=None), some("b", "confirm", state=None)]) == ()
    assert settlements([some("a", "rollback"), some("b", None)]) == ()
