"""Take a run out as a document; forget old ones, and none that is not over."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tcptune.adapters.journal.forms import HEAD
from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.journal import Kept, Rollout, RunRecord, WaveRecord, WaveState
from tcptune.domain.runs import Act, HostState, Run
from tcptune.errors import UsageError
from tests.journal.conftest import Place
from tests.journal.test_rollouts import PLAN, POLICY, ROLLOUT, RUN, sample
from tests.unit.builders import NOW, result

CUT = NOW + timedelta(days=1)


def ended(journal: SqlJournal, run_id: str = "r1", **fields: object) -> Run:
    """Record a run that is over."""
    given = {"run_id": run_id, "results": tuple(result(r.host, HostState.CONFIRMED) for r in RUN.results)}
    one = RUN.model_copy(update={**given, **fields})
    journal.begin(one, PLAN)
    journal.end(run_id, at=NOW)
    return one


def left(place: Place) -> dict[str, int]:
    names = ("runs", "host_results", "log", "waves", "gate_samples", "claims", "host_locks")
    return {name: int(str(place.asked(f"SELECT count(*) FROM {name}")[0][0])) for name in names}  # noqa: S608


def test_all_that_is_known_of_a_run_is_one_document(journal: SqlJournal) -> None:
    journal.begin(RUN, PLAN, ROLLOUT)
    lease = journal.locks.claim(["web1", "web2"], "r1", by="ada@ctl1", lease_s=60)
    journal.rollouts.move_wave("r1", 1, WaveState.CHANGING, at=NOW)
    journal.rollouts.record_samples("r1", [sample()], at=NOW)
    journal.locks.release(lease)
    journal.begin(RUN.model_copy(update={"run_id": "r2"}), PLAN)

    record = journal.keeping.record("r1")

    assert (record.journal_form, record.plan, record.policy) == (HEAD, PLAN, POLICY)
    assert record.run == journal.find("r1")[0]
    assert [wave.state for wave in record.waves] == [WaveState.CHANGING, WaveState.PLANNED]
    assert record.samples == (sample(),)
    assert record.log == tuple(journal.rollouts.log("r1"))
    [claim] = record.claims
    assert (claim.token, claim.hosts, claim.ended is not None, claim.taken_by) == (lease.token, lease.hosts, True, None)
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_a_plan_that_this_tcptune_does_not_understand_is_exported_as_it_is(journal: SqlJournal, place: Place) -> None:
    ended(journal)
    place.changed("""UPDATE runs SET plan = '{"format_version": 9, "later": [1]}'""")

    assert json.loads(journal.keeping.record("r1").model_dump_json())["plan"] == {"format_version": 9, "later": [1]}


@pytest.mark.parametrize("run_id", ["nosuch", ""])
def test_what_is_not_there_is_not_exported(journal: SqlJournal, run_id: str) -> None:
    with pytest.raises(UsageError, match="there is no run"):
        journal.keeping.record(run_id)


def test_runs_are_listed_with_the_states_of_their_hosts(journal: SqlJournal) -> None:
    ended(journal, "r1")
    states = (HostState.HELD, HostState.HELD, HostState.STALE)
    ended(
        journal,
        "r2",
        started_at=CUT,
        results=tuple(result(f"web{n}", state) for n, state in enumerate(states)),
    )
    journal.begin(RUN.model_copy(update={"run_id": "r3", "started_at": CUT + timedelta(1), "results": ()}), PLAN)
    found = journal.keeping.listed(50).runs

    assert [(one.run_id, one.states) for one in found] == [
        ("r3", {}),
        ("r2", {"held": 2, "stale": 1}),
        ("r1", {"confirmed": 3}),
    ]
    assert [one.at_work is not None for one in found] == [True, False, False]
    assert [one.run_id for one in journal.keeping.listed(1).runs] == ["r3"]


def test_a_forgotten_run_leaves_nothing_behind(journal: SqlJournal, place: Place) -> None:
    ended(journal, "young", started_at=CUT + timedelta(seconds=1))
    kept = left(place)
    done = Rollout(
        policy=POLICY, waves=tuple(w.model_copy(update={"state": WaveState.CONFIRMED}) for w in ROLLOUT.waves)
    )
    results = tuple(result(r.host, HostState.CONFIRMED) for r in RUN.results)
    journal.begin(RUN.model_copy(update={"results": results}), PLAN, done)
    journal.rollouts.record_samples("r1", [sample()], at=NOW)
    journal.locks.release(journal.locks.claim(["web1"], "r1", by="ada@ctl1", lease_s=60))
    journal.end("r1", at=NOW)

    looked = journal.keeping.prune(CUT, dry_run=True)
    assert (looked.forgotten, looked.kept, looked.dry_run) == (("r1",), (), True)
    assert journal.find("r1")
    pruned = journal.keeping.prune(CUT)

    assert (pruned.forgotten, pruned.kept, pruned.dry_run) == (("r1",), (), False)
    assert left(place) == kept
    assert [run.run_id for run in journal.runs()] == ["young"]
    assert journal.keeping.prune(CUT).forgotten == ()


def test_a_token_is_never_given_again_even_where_the_newest_claims_were_forgotten(journal: SqlJournal) -> None:
    ended(journal)
    lease = journal.locks.claim(["web1"], "r1", by="ada@ctl1", lease_s=60)
    journal.locks.release(lease)
    assert journal.keeping.prune(CUT).forgotten == ("r1",)

    assert journal.locks.claim(["web1"], "r2", by="ada@ctl1", lease_s=60).token > lease.token


@pytest.mark.parametrize(
    ("state", "stays"),
    [
        (HostState.APPLYING, True),
        (HostState.HELD, True),
        (HostState.PARTLY_BACK, True),
        (HostState.BROKEN, True),
        (HostState.PLANNED, False),
        (HostState.CONFIRMED, False),
        (HostState.ROLLED_BACK, False),
        (HostState.FAILED, False),
    ],
)
def test_a_run_with_a_host_that_is_not_settled_stays(journal: SqlJournal, state: HostState, stays: bool) -> None:
    ended(journal, results=(result("web1", state), result("web2", HostState.CONFIRMED)))

    pruned = journal.keeping.prune(CUT)

    assert pruned.kept == ((Kept(run_id="r1", why=f"1 of its hosts is not settled: {state}"),) if stays else ())
    assert pruned.forgotten == (() if stays else ("r1",))


def test_a_run_that_is_worked_on_stays(journal: SqlJournal) -> None:
    ended(journal)
    journal.start("r1", Act.ROLLBACK, [], by="bob@ctl2", at=NOW)

    assert journal.keeping.prune(CUT).kept == (Kept(run_id="r1", why="rollback by bob@ctl2 is at work"),)


def test_a_run_at_which_a_controller_died_stays(journal: SqlJournal, place: Place) -> None:
    ended(journal)
    journal.start("r1", Act.ROLLBACK, ["web1"], by="bob@ctl2", at=NOW)
    work = {"act": "rollback", "by": "bob@ctl2", "since": "2026-03-14T12:00:00Z", "process": "a b c 7 1", "pid": "7"}
    place.changed(f"UPDATE runs SET at_work = '{json.dumps(work)}'")  # noqa: S608  # the text is this test's own

    assert journal.keeping.prune(CUT).kept == (Kept(run_id="r1", why="rollback by bob@ctl2 has not ended"),)


def test_a_run_of_which_a_wave_is_open_stays(journal: SqlJournal) -> None:
    waves = (WaveRecord(number=1, hosts=("web1",), state=WaveState.CONFIRMED), WaveRecord(number=2, hosts=("web2",)))
    results = (result("web1", HostState.CONFIRMED), result("web2", HostState.PLANNED))
    journal.begin(RUN.model_copy(update={"results": results}), PLAN, Rollout(policy=POLICY, waves=waves))
    journal.end("r1", at=NOW)
    assert journal.keeping.prune(CUT).kept == (Kept(run_id="r1", why="1 of its waves is open"),)

    journal.rollouts.move_wave("r1", 2, WaveState.LEFT_OUT, at=NOW)
    assert journal.keeping.prune(CUT).forgotten == ("r1",)


def test_a_run_for_which_hosts_are_claimed_stays(journal: SqlJournal, place: Place) -> None:
    ended(journal)
    journal.locks.claim(["web1", "web2"], "r1", by="ada@ctl1", lease_s=60)
    assert journal.keeping.prune(CUT).kept == (Kept(run_id="r1", why="2 hosts are claimed for it"),)

    place.changed("UPDATE claims SET until = '2020-01-01 00:00:00+00'")
    assert journal.keeping.prune(CUT).forgotten == ("r1",)
    assert journal.locks.locks() == []
