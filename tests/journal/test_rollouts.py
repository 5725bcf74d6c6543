"""Waves, what gates said, and the log that says who did what with which tcptune."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tcptune import __version__
from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.journal import (
    OPEN_WAVES,
    WAVE_MOVES,
    PolicyRecord,
    Rollout,
    SampleRecord,
    WaveRecord,
    WaveState,
)
from tcptune.domain.runs import Act, HostState
from tcptune.errors import TcptuneError
from tests.journal.conftest import KINDS, Place, new_place
from tests.unit.builders import NOW, cohort, plan, result, run

PLAN = plan(cohort("web1", "web2", "web3"))
RUN = run(*(result(host, HostState.PLANNED) for host in ("web1", "web2", "web3")), run_id="r1", plan_id=PLAN.plan_id)
POLICY = PolicyRecord(text="waves: [1, 100%]\n", digest="d" * 64)
ROLLOUT = Rollout(
    policy=POLICY, waves=(WaveRecord(number=1, hosts=("web2",)), WaveRecord(number=2, hosts=("web1", "web3")))
)


def sample(wave: int = 1, host: str = "web2", **fields: object) -> SampleRecord:
    given = {
        "wave": wave,
        "host": host,
        "gate": "counters",
        "check": "RetransSegs/OutSegs",
        "at": NOW,
        "before": 0.25,
        "after": 1.5,
        "unit": "%",
        "threshold": 1.0,
        "verdict": "failed",
        "treat": "fail",
        "why": "1.5 % is above 1.0 %",
    }
    return SampleRecord.model_validate({**given, **fields})


@pytest.fixture
def begun(journal: SqlJournal) -> SqlJournal:
    journal.begin(RUN, PLAN, ROLLOUT)
    return journal


def test_policy_and_waves_come_back_as_they_were_recorded(begun: SqlJournal) -> None:
    assert begun.rollouts.rollout("r1") == ROLLOUT


def test_a_run_without_a_policy_is_no_rollout(journal: SqlJournal) -> None:
    journal.begin(RUN, PLAN)

    assert journal.rollouts.rollout("r1") is None
    assert (journal.rollouts.samples("r1"), journal.rollouts.rollout("nosuch")) == ([], None)


def test_a_wave_has_a_beginning_and_an_end(begun: SqlJournal) -> None:
    moves = [WaveState.CHANGING, WaveState.SOAKING, WaveState.HELD, WaveState.SOAKING, WaveState.PASSED]
    for minute, state in enumerate(moves):
        begun.rollouts.move_wave("r1", 1, state, at=NOW + timedelta(minutes=minute), why=f"why {state}")
    rollout = begun.rollouts.rollout("r1")
    assert rollout is not None
    first, second = rollout.waves

    assert (first.state, first.began, first.ended) == (WaveState.PASSED, NOW, NOW + timedelta(minutes=4))
    assert (first.why, second) == ("why passed", ROLLOUT.waves[1])


@pytest.fixture(scope="module", params=KINDS)
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SqlJournal:
    """Give one journal for all pairs of states: each pair has a run of its own."""
    return new_place(request.param, tmp_path_factory.mktemp("journal"), request).open()


@pytest.mark.parametrize("before", WaveState)
@pytest.mark.parametrize("after", WaveState)
def test_the_table_of_moves_is_the_law(tables: SqlJournal, before: WaveState, after: WaveState) -> None:
    name = f"{before}-{after}"
    wave = WaveRecord(number=1, hosts=("web1",), state=before)
    tables.begin(RUN.model_copy(update={"run_id": name}), PLAN, Rollout(policy=POLICY, waves=(wave,)))

    if after is before or after in WAVE_MOVES[before]:
        tables.rollouts.move_wave(name, 1, after, at=NOW)
        expected = after
    else:
        with pytest.raises(TcptuneError, match=f"a wave that is {before} cannot become {after}"):
            tables.rollouts.move_wave(name, 1, after, at=NOW)
        expected = before
    found = tables.rollouts.rollout(name)

    assert found is not None
    assert found.waves[0].state is expected
    assert expected is before or (found.waves[0].ended is None) is (after in OPEN_WAVES)
    assert len(tables.rollouts.log(name)) == (2 if after is before or after in WAVE_MOVES[before] else 1)


def test_a_wave_that_is_not_there_cannot_move(begun: SqlJournal) -> None:
    with pytest.raises(TcptuneError, match="run r1 has no wave 3"):
        begun.rollouts.move_wave("r1", 3, WaveState.CHANGING, at=NOW)


def test_samples_come_back_as_they_were_measured(begun: SqlJournal) -> None:
    unknown = sample(
        check="ListenDrops",
        before=None,
        after=None,
        threshold=None,
        verdict="undecided",
        cause="no traffic",
        treat="hold",
    )
    ok = sample(2, "web1", verdict="passed", treat="continue", why="fine \N{SNOWMAN}")
    begun.rollouts.record_samples("r1", [sample(), unknown], at=NOW)
    begun.rollouts.record_samples("r1", [ok], at=NOW)

    assert begun.rollouts.samples("r1") == [sample(), unknown, ok]
    assert begun.rollouts.samples("r1", 2) == [ok]
    assert [(e.wave, e.note) for e in begun.rollouts.log("r1")[1:]] == [
        (1, "gates asked: 1 failed, 1 undecided"),
        (2, "gates asked: 1 passed"),
    ]


def test_samples_are_recorded_all_or_none(begun: SqlJournal) -> None:
    with pytest.raises(TcptuneError, match="run r1 has no wave 7"):
        begun.rollouts.record_samples("r1", [sample(7)], at=NOW)
    with pytest.raises(TcptuneError, match="waves 1 and 2 cannot be recorded together"):
        begun.rollouts.record_samples("r1", [sample(1), sample(2)], at=NOW)
    begun.rollouts.record_samples("r1", [], at=NOW)

    assert begun.rollouts.samples("r1") == []
    assert len(begun.rollouts.log("r1")) == 1


def test_what_a_host_says_is_kept_whatever_it_is(begun: SqlJournal) -> None:
    begun.move("r1", result("web1", HostState.UNREACHABLE, error="a\0b\udcff'; DROP TABLE runs; --"), at=NOW)
    error = begun.find("r1")[0].result("web1").error or ""

    assert error.startswith("a")
    assert "\0" not in error
    assert error.endswith("'; DROP TABLE runs; --")


def test_the_log_says_who_when_what_and_with_which_version(begun: SqlJournal, place: Place) -> None:
    bob = place.open("bob@ctl2")
    bob.start("r1", Act.ROLLBACK, ["web1"], by="bob@ctl2", at=NOW)
    bob.rollouts.move_wave("r1", 1, WaveState.CHANGING, at=NOW + timedelta(seconds=1))
    bob.move("r1", result("web2", HostState.APPLYING), at=NOW, note="a note")
    bob.end("r1", at=NOW)
    log = begun.rollouts.log("r1")

    assert {entry.tool_version for entry in log} == {__version__}
    assert [(e.by, e.wave, e.host, e.before, e.after, e.note) for e in log] == [
        ("ada@ctl1", None, None, "", "begun", ""),
        ("bob@ctl2", None, "web1", "planned", "planned", "rollback begun"),
        ("bob@ctl2", 1, None, "planned", "changing", ""),
        ("bob@ctl2", None, "web2", "planned", "applying", "a note"),
        ("bob@ctl2", None, None, "begun", "ended", ""),
    ]
    assert log[2].at == NOW + timedelta(seconds=1)
