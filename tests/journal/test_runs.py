from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tcptune.adapters.journal import controllers
from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.changes import Plan
from tcptune.domain.runs import MOVES, Act, BootCheck, HostState, Run
from tcptune.errors import TcptuneError, UsageError
from tests.journal.conftest import KINDS, Place, new_place
from tests.unit.builders import NOW, SOMAXCONN, cohort, plan, result, run

PLAN = plan(cohort("web1", "web2"))
PLANNED = run(result("web1", HostState.PLANNED), result("web2", HostState.PLANNED), plan_id=PLAN.plan_id)
RUN = PLANNED.run_id


def begun(journal: SqlJournal, *runs: Run) -> SqlJournal:
    for one in runs or (PLANNED,):
        journal.begin(one, PLAN)
    return journal


def without_work(found: Run) -> Run:
    return found.model_copy(update={"at_work": None})


def named(run_id: str, minutes: int = 0) -> Run:
    return PLANNED.model_copy(update={"run_id": run_id, "started_at": NOW + timedelta(minutes=minutes)})


# Runs


def test_a_run_comes_back_as_it_was_recorded_with_its_whole_plan(journal: SqlJournal) -> None:
    found, made = begun(journal).find(RUN)

    assert (without_work(found), made) == (PLANNED, PLAN)


def test_a_run_cannot_be_recorded_twice(journal: SqlJournal) -> None:
    begun(journal)
    with pytest.raises(TcptuneError, match="cannot be used"):
        journal.begin(PLANNED, PLAN)


def test_times_are_kept_in_utc(journal: SqlJournal) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    begun(journal, PLANNED.model_copy(update={"started_at": elsewhere}))
    journal.end(RUN, at=elsewhere)
    found, _ = journal.find(RUN)

    assert (found.started_at, found.ended_at) == (NOW, NOW)
    assert found.started_at.tzinfo is UTC


def test_runs_are_listed_newest_first(journal: SqlJournal) -> None:
    begun(journal, named("b", 1), named("a", 2), named("c", 0))

    assert [r.run_id for r in journal.runs()] == ["a", "b", "c"]
    assert [r.run_id for r in journal.runs(limit=2)] == ["a", "b"]


def test_runs_that_nobody_has_ended_are_found_however_old_they_are(journal: SqlJournal) -> None:
    begun(journal, named("old", 0), named("done", 1), named("asked", 2))
    at = NOW + timedelta(minutes=3)
    for name in ("old", "done", "asked"):
        journal.start(name, Act.APPLY, ["web1"], by="ada@ops1", at=at)
        journal.move(name, result("web1", HostState.APPLYING), at=at)
        journal.move(name, result("web1", HostState.HELD), at=at)
    for name in ("done", "asked"):
        journal.move(name, result("web1", HostState.CONFIRMED), at=at)
    journal.start("asked", Act.ROLLBACK, ["web1"], by="ada@ops1", at=at)

    assert [run.run_id for run in journal.unsettled()] == ["asked", "old"]


# Finding one


def test_a_run_is_found_by_a_unique_start_of_its_id(journal: SqlJournal) -> None:
    begun(journal, named("20260314-a"), named("20260315-b"))

    assert journal.find("20260315")[0].run_id == "20260315-b"


def test_a_start_that_fits_two_runs_is_refused(journal: SqlJournal) -> None:
    begun(journal, named("20260314-a"), named("20260315-b"))
    with pytest.raises(UsageError, match="'202603' is the start of 2 runs"):
        journal.find("202603")


def test_a_whole_id_that_is_also_the_start_of_another_is_found(journal: SqlJournal) -> None:
    begun(journal, named("run"), named("run-2"))

    assert journal.find("run")[0].run_id == "run"


def test_last_is_the_run_that_began_last(journal: SqlJournal) -> None:
    begun(journal, named("z", 0), named("a", 1))

    assert journal.find("last")[0].run_id == "a"


@pytest.mark.parametrize("run_id", ["last", "20260314", "%", "_", ""])
def test_where_there_is_no_such_run_the_journal_says_so(journal: SqlJournal, place: Place, run_id: str) -> None:
    with pytest.raises(UsageError, match="there is no run") as refused:
        journal.find(run_id)
    assert place.name in str(refused.value)


@pytest.mark.parametrize("run_id", ["%", "_", "2026%", ""])
def test_a_start_is_taken_literally(journal: SqlJournal, run_id: str) -> None:
    begun(journal)
    with pytest.raises(UsageError):
        journal.find(run_id)


# Moves


def test_a_host_moves_and_the_log_tells_each_step(journal: SqlJournal) -> None:
    begun(journal)
    journal.move(RUN, result("web1", HostState.APPLYING), at=NOW)
    journal.move(RUN, result("web1", HostState.HELD, replaced={SOMAXCONN: "128"}), at=NOW + timedelta(seconds=1))
    journal.move(RUN, result("web2", HostState.STALE, error="moved", hint="tcptune plan"), at=NOW)
    found, _ = journal.find(RUN)

    assert found.result("web1") == result("web1", HostState.HELD, replaced={SOMAXCONN: "128"})
    assert found.result("web2") == result("web2", HostState.STALE, error="moved", hint="tcptune plan")
    assert [(m.host, m.before, m.after, m.note) for m in journal.moves(RUN)] == [
        ("web1", HostState.PLANNED, HostState.APPLYING, ""),
        ("web1", HostState.APPLYING, HostState.HELD, ""),
        ("web2", HostState.PLANNED, HostState.STALE, "moved"),
    ]
    assert journal.moves(RUN)[1].at == NOW + timedelta(seconds=1)


@pytest.mark.parametrize("before", HostState)
@pytest.mark.parametrize("after", HostState)
def test_the_table_of_moves_is_the_law(tables: SqlJournal, before: HostState, after: HostState) -> None:
    name = f"{before}-{after}"
    tables.begin(run(result("web1", before), run_id=name), PLAN)

    if after is before or after in MOVES[before]:
        tables.move(name, result("web1", after), at=NOW)
        assert tables.find(name)[0].result("web1").state is after
    else:
        with pytest.raises(TcptuneError, match=f"a host that is {before} cannot become {after}"):
            tables.move(name, result("web1", after), at=NOW)
        assert tables.find(name)[0].result("web1").state is before
        assert tables.moves(name) == []


@pytest.fixture(scope="module", params=KINDS)
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SqlJournal:
    """Give one journal for all pairs of states: each pair has a run of its own."""
    return new_place(request.param, tmp_path_factory.mktemp("journal"), request).open()


def test_a_failed_attempt_is_noted_and_moves_nobody(journal: SqlJournal) -> None:
    begun(journal, run(result("web1", HostState.HELD)))
    journal.move(RUN, result("web1", HostState.HELD, error="connection lost"), at=NOW)

    assert journal.find(RUN)[0].result("web1").error == "connection lost"
    assert [(m.before, m.after, m.note) for m in journal.moves(RUN)] == [
        (HostState.HELD, HostState.HELD, "connection lost")
    ]


def test_what_the_apply_replaced_is_never_forgotten(journal: SqlJournal) -> None:
    begun(journal, run(result("web1", HostState.APPLYING)))
    journal.move(RUN, result("web1", HostState.HELD, replaced={SOMAXCONN: "128"}), at=NOW)
    journal.move(RUN, result("web1", HostState.CONFIRMED), at=NOW)
    journal.move(RUN, result("web1", HostState.ROLLED_BACK, replaced={SOMAXCONN: "4096"}), at=NOW)

    assert journal.find(RUN)[0].result("web1").replaced == {SOMAXCONN: "128"}


def test_an_error_that_is_over_is_forgotten(journal: SqlJournal) -> None:
    begun(journal, run(result("web1", HostState.HELD, error="connection lost", hint="try again")))
    journal.move(RUN, result("web1", HostState.CONFIRMED), at=NOW)
    found = journal.find(RUN)[0].result("web1")

    assert (found.error, found.hint) == (None, None)


def test_a_host_the_run_does_not_know_cannot_move(journal: SqlJournal) -> None:
    begun(journal)
    with pytest.raises(TcptuneError, match="web9 is no host of run"):
        journal.move(RUN, result("web9", HostState.APPLYING), at=NOW)


def test_the_stored_plan_is_the_reviewed_one(journal: SqlJournal, place: Place) -> None:
    begun(journal)
    [[text]] = place.asked("SELECT plan FROM runs")

    assert Plan.model_validate_json(str(text)).plan_id == PLAN.plan_id


def test_a_moment_without_a_time_zone_is_never_stored_as_if_it_were_utc(journal: SqlJournal) -> None:
    begun(journal)
    journal.end(RUN, at=datetime(2026, 3, 14, 15, tzinfo=timezone(timedelta(hours=2))))

    assert journal.find(RUN)[0].ended_at == datetime(2026, 3, 14, 13, tzinfo=UTC)


def test_when_a_host_takes_it_back_is_remembered_while_it_is_held(journal: SqlJournal) -> None:
    journal.begin(run(result("web1", HostState.APPLYING), run_id="r1"), PLAN)

    journal.move("r1", result("web1", HostState.HELD, deadline=NOW), at=NOW)
    assert journal.find("r1")[0].result("web1").deadline == NOW

    journal.move("r1", result("web1", HostState.CONFIRMED), at=NOW)
    assert journal.find("r1")[0].result("web1").deadline is None


def test_what_wins_over_a_confirmed_host_is_remembered_with_it(journal: SqlJournal) -> None:
    journal.begin(run(result("web1", HostState.HELD), run_id="r1"), PLAN)
    seen = BootCheck(wins=("a file wins",), unknown=("another cannot be read",))

    journal.move("r1", result("web1", HostState.CONFIRMED, at_boot=seen), at=NOW)
    assert journal.find("r1")[0].result("web1").at_boot == seen

    journal.move("r1", result("web1", HostState.ROLLED_BACK), at=NOW)
    assert journal.find("r1")[0].result("web1").at_boot is None


# Who works on a run


def at_work_elsewhere(place: Place, process: str) -> None:
    """Let another process have begun to confirm the run."""
    work = {"act": "confirm", "by": "bob@c", "since": "2026-03-14T12:00:00Z", "process": process, "pid": "7"}
    place.changed(f"UPDATE runs SET at_work = '{json.dumps(work)}'")  # noqa: S608  # the text is this test's own


def another(**words: str) -> str:
    """Give this process, but for some words."""
    names = ("machine", "boot", "namespace", "pid", "began")
    return " ".join({**dict(zip(names, controllers.me().split(" "), strict=True)), **words}.values())


def start(journal: SqlJournal, act: Act = Act.ROLLBACK, *hosts: str) -> None:
    journal.start(RUN, act, hosts or ("web1",), by="ada@c", at=NOW)


def test_a_run_is_worked_on_from_its_begin_to_its_end(journal: SqlJournal) -> None:
    work = begun(journal).find(RUN)[0].at_work
    assert work is not None
    assert (work.act, work.by, work.since, work.alive) == (Act.APPLY, PLANNED.operator, NOW, True)

    journal.end(RUN, at=NOW)

    assert journal.find(RUN)[0].at_work is None


def test_what_was_begun_on_a_host_is_known_until_the_host_is_heard_of(journal: SqlJournal) -> None:
    begun(journal)
    start(journal, Act.CONFIRM, "web1")
    assert [r.doing for r in journal.find(RUN)[0].results] == [Act.CONFIRM, None]
    assert [(move.host, move.note) for move in journal.moves(RUN)] == [("web1", "confirm begun")]

    journal.move(RUN, result("web1", HostState.APPLYING), at=NOW)

    assert [r.doing for r in journal.find(RUN)[0].results] == [None, None]


def test_a_run_that_is_begun_again_has_no_end(journal: SqlJournal) -> None:
    begun(journal).end(RUN, at=NOW)
    start(journal)

    found = journal.find(RUN)[0]
    assert found.ended_at is None
    assert found.at_work is not None
    assert found.at_work.act is Act.ROLLBACK


def test_while_another_process_of_this_machine_is_at_work_nobody_else_begins(journal: SqlJournal, place: Place) -> None:
    begun(journal)
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            at_work_elsewhere(place, another(pid=str(process.pid), began=controllers._began(process.pid)))
            with pytest.raises(TcptuneError, match=r"confirm by bob@c is at work on it since .* \(pid 7\)"):
                start(journal)
            assert [r.doing for r in journal.find(RUN)[0].results] == [None, None]
        finally:
            process.kill()
        # A process that has ended, and that nobody has asked how, is still in the table of processes.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        start(journal)


@pytest.mark.parametrize(
    ("words", "alive"),
    [
        ({}, True),
        ({"began": "1"}, False),
        ({"pid": "4194305"}, False),
        ({"boot": "another"}, False),
        ({"machine": "another"}, None),
        ({"machine": "another", "boot": "another"}, None),
        ({"namespace": "pid:[1]"}, None),
    ],
)
def test_a_process_is_alive_or_gone_or_cannot_be_seen_from_here(words: dict[str, str], alive: bool | None) -> None:
    assert controllers.alive(another(**words)) is alive


@pytest.mark.parametrize("words", [{"began": "1"}, {"machine": "another"}])
def test_who_is_dead_or_cannot_be_seen_is_followed(journal: SqlJournal, place: Place, words: dict[str, str]) -> None:
    begun(journal)
    at_work_elsewhere(place, another(**words))

    start(journal)

    work = journal.find(RUN)[0].at_work
    assert work is not None
    assert work.by == "ada@c"


def test_who_was_followed_does_not_end_the_work_of_the_other(journal: SqlJournal, place: Place) -> None:
    begun(journal)
    at_work_elsewhere(place, another(machine="another"))

    journal.end(RUN, at=NOW)

    found = journal.find(RUN)[0]
    assert found.ended_at is None
    assert found.at_work is not None


def test_nothing_is_begun_on_a_host_that_the_run_does_not_know(journal: SqlJournal) -> None:
    begun(journal)

    with pytest.raises(TcptuneError, match="web9 is no host of run"):
        start(journal, Act.ROLLBACK, "web9")
