from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.runs import CHANGED_STATES, Act, HostResult, HostState, Run
from tcptune.errors import HostUnreachable, PlanStale, TcptuneError, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.ports import HostOutcome
from tcptune.workflows.change import Changer, new_run
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, answer, change, cohort, host, plan, result, run
from tests.unit.fakes import FakeApplier, MemoryJournal, Said, clock, collector

PLAN = plan(
    cohort("web1", "web2", changes=(change(SOMAXCONN, "128", "4096"),)),
    cohort("db1", changes=(change(SYNCOOKIES, "0", "1"),), name="cohort2"),
)
NAMES = ("web1", "web2", "db1")
UNMOVED: Said = {name: answer({SOMAXCONN: "128", SYNCOOKIES: "0"}) for name in NAMES}
MOVED = answer({SOMAXCONN: "512", SYNCOOKIES: "1"})
LOST = HostUnreachable("web1: no SSH session", hint="ssh web1 true")


class Story:
    """A changer with fakes, and what it did."""

    def __init__(self, found: Run | None = None, **outcomes: list[HostOutcome]) -> None:
        self.run = found or new_run(PLAN, run_id="r1", operator="ada@c", tool_version="0.1.0", started_at=NOW)
        self.journal = MemoryJournal(*([(found, PLAN)] if found else []))
        self.applier = FakeApplier(**outcomes)
        self.told: list[HostResult] = []
        self.pauses: list[float] = []
        self.changer = Changer(
            self.applier, self.journal, clock, self.told.append, catalogue(), "ada@c", self.pauses.append
        )

    def apply(self, says: Said = UNMOVED, **options: Any) -> dict[str, HostState]:
        given = {"skip_stale": False, "confirm": False}
        hosts = [host(name) for name in NAMES]
        return states(self.changer.apply(collector(says), PLAN, hosts, self.run, **{**given, **options}))

    def confirm(self, says: Said = UNMOVED) -> dict[str, HostState]:
        return states(self.changer.confirm(collector(says), self.run, PLAN, [host(r.host) for r in self.run.results]))

    def roll_back(self, *force_keys: str, says: Said = UNMOVED) -> dict[str, HostState]:
        hosts = [host(r.host) for r in self.run.results]
        return states(self.changer.roll_back(collector(says), self.run, PLAN, hosts, force_keys))

    def recorded(self, name: str) -> HostResult:
        return self.journal.find("last")[0].result(name)

    def acts(self) -> list[tuple[str, list[str]]]:
        return [(act, hosts) for act, hosts, _ in self.applier.calls]


def states(found: Run) -> dict[str, HostState]:
    return {r.host: r.state for r in found.results}


def everybody(state: HostState) -> dict[str, HostState]:
    return dict.fromkeys(NAMES, state)


# Apply


def test_a_plan_is_applied_and_every_host_is_held() -> None:
    story = Story()

    assert story.apply() == everybody(HostState.HELD)
    assert story.acts() == [("apply", list(NAMES))]


def test_every_step_is_recorded_before_the_next_is_taken() -> None:
    story = Story()
    story.apply()

    assert story.journal.log[:3] == [(name, HostState.APPLYING) for name in NAMES]
    assert story.journal.log[3:] == [(name, HostState.HELD) for name in NAMES]
    assert [(r.host, r.state) for r in story.told] == story.journal.log


def test_a_run_that_is_over_has_an_end() -> None:
    story = Story()
    story.apply()

    assert story.journal.find("r1")[0].ended_at == NOW


def test_what_a_host_really_had_before_is_recorded() -> None:
    story = Story(apply=[HostOutcome("web1", HostState.HELD, {SOMAXCONN: "128"})])
    story.apply()

    assert story.recorded("web1").replaced == {SOMAXCONN: "128"}


def test_what_a_host_warns_of_is_told_with_its_result_and_noted_in_the_journal() -> None:
    story = Story(apply=[HostOutcome("web1", HostState.FAILED, {}, "no space left", warnings=("a folder stays",))])
    done = story.changer.apply(collector(UNMOVED), PLAN, [host(name) for name in NAMES], story.run)

    assert [(r.host, r.warnings) for r in done.results if r.warnings] == [("web1", ("a folder stays",))]
    assert [r.warnings for r in story.told if r.warnings] == [("a folder stays",)]
    assert "no space left; a folder stays" in story.journal.notes


def test_a_run_that_is_kept_at_once_tells_the_warnings_of_both_acts_once() -> None:
    held = HostOutcome("web1", HostState.HELD, {}, warnings=("one",))
    kept = HostOutcome("web1", HostState.CONFIRMED, {}, warnings=("one", "two"))
    story = Story(apply=[held], confirm=[kept])
    done = story.changer.apply(collector(UNMOVED), PLAN, [host(name) for name in NAMES], story.run, confirm=True)

    assert done.result("web1").warnings == ("one", "two")
    assert story.journal.notes == ["one", "one; two"]


def test_one_host_that_moved_stops_everything_before_anything_is_recorded_or_changed() -> None:
    story = Story()
    with pytest.raises(PlanStale) as stale:
        story.apply({**UNMOVED, "web2": MOVED})

    assert "web2: net.core.somaxconn is 512, the plan was made for 128" in str(stale.value)
    assert "1 of 3 hosts moved" in str(stale.value)
    assert "--skip-stale" in (stale.value.hint or "")
    assert (story.journal.known, story.applier.calls, story.told) == ({}, [], [])


def test_hosts_that_moved_can_be_left_out() -> None:
    story = Story()

    assert story.apply({**UNMOVED, "web2": MOVED}, skip_stale=True) == {
        **everybody(HostState.HELD),
        "web2": HostState.STALE,
    }
    assert story.acts() == [("apply", ["web1", "db1"])]
    assert story.recorded("web2").hint == "tcptune plan"


def test_a_file_that_moved_is_a_move_too() -> None:
    says = {**UNMOVED, "db1": answer({SYNCOOKIES: "0"}, {DROPIN_PATH: "a = 1\n"})}
    with pytest.raises(PlanStale, match="db1: /etc/sysctl"):
        Story().apply(says)


def test_a_host_that_cannot_be_read_is_left_out_and_the_others_go_on() -> None:
    story = Story()

    assert story.apply({**UNMOVED, "web1": LOST}) == {**everybody(HostState.HELD), "web1": HostState.UNREACHABLE}
    assert story.acts() == [("apply", ["web2", "db1"])]
    assert story.recorded("web1").error == "no SSH session"
    assert story.recorded("web1").hint == "ssh web1 true"


def test_a_change_that_failed_is_recorded_with_its_error() -> None:
    story = Story(apply=[HostOutcome("web2", HostState.FAILED, {}, "no space left", "df /var")])

    assert story.apply() == {**everybody(HostState.HELD), "web2": HostState.FAILED}
    assert (story.recorded("web2").error, story.recorded("web2").hint) == ("no space left", "df /var")


@pytest.mark.parametrize("state", [HostState.BROKEN, HostState.STALE, HostState.FAILED])
def test_an_apply_takes_over_the_state_that_the_host_reports(state: HostState) -> None:
    assert Story(apply=[HostOutcome("web1", state, {}, "why")]).apply()["web1"] is state


def test_where_the_controller_dies_half_way_the_record_says_who_may_have_been_changed() -> None:
    class Dies(FakeApplier):
        def _act(self, *args: Any) -> Iterator[HostOutcome]:
            yield next(super()._act(*args))
            raise TcptuneError("ansible-playbook is not installed beside tcptune")

    story = Story()
    story.applier = Dies()
    story.changer = Changer(story.applier, story.journal, clock, story.told.append, catalogue(), "ada@c")
    with pytest.raises(TcptuneError, match="not installed"):
        story.apply()

    assert states(story.journal.find("r1")[0]) == {**everybody(HostState.APPLYING), "web1": HostState.HELD}
    assert HostState.APPLYING in CHANGED_STATES


# Confirm at once


def test_what_was_applied_can_be_confirmed_at_once() -> None:
    story = Story()

    assert story.apply(confirm=True) == everybody(HostState.CONFIRMED)
    assert [act for act, _ in story.acts()] == ["apply", "confirm"]


def test_only_hosts_that_are_held_are_confirmed_at_once() -> None:
    story = Story(apply=[HostOutcome("web2", HostState.FAILED, {}, "no")])
    found = story.apply({**UNMOVED, "web1": LOST}, confirm=True)

    assert found == {"web1": HostState.UNREACHABLE, "web2": HostState.FAILED, "db1": HostState.CONFIRMED}
    assert story.acts() == [("apply", ["web2", "db1"]), ("confirm", ["db1"])]


# Confirm


def test_only_hosts_that_are_held_are_confirmed() -> None:
    story = Story(run(*(result(state.value, state) for state in HostState)))
    found = story.confirm({"held": LOST})

    assert story.acts() == [("confirm", ["held"])]
    assert found == {state.value: state for state in HostState} | {"held": HostState.CONFIRMED}


def test_a_run_without_a_held_host_cannot_be_confirmed() -> None:
    story = Story(run(result("web1", HostState.CONFIRMED)))
    with pytest.raises(UsageError, match="no host of these is held"):
        story.confirm()
    assert story.applier.calls == []


def test_a_confirm_that_did_not_get_through_leaves_the_host_held_with_a_note() -> None:
    broken = HostOutcome("web1", HostState.BROKEN, {}, "connection lost", "tcptune rollback RUN asks the host")
    story = Story(run(result("web1", replaced={SOMAXCONN: "128"}), run_id="r7"), confirm=[broken])

    assert story.confirm() == {"web1": HostState.HELD}
    assert story.recorded("web1").error == "connection lost"
    assert story.recorded("web1").hint == "tcptune rollback r7 asks the host"
    assert story.recorded("web1").replaced == {SOMAXCONN: "128"}


def test_only_a_word_of_its_own_in_a_hint_stands_for_the_run() -> None:
    odd = HostOutcome("web1", HostState.FAILED, {}, "no", "ssh -l RUNDECK web1 true")
    story = Story(apply=[odd])
    story.apply()

    assert story.recorded("web1").hint == "ssh -l RUNDECK web1 true"


# Roll back


def test_every_host_that_may_hold_a_change_is_rolled_back_and_no_other() -> None:
    story = Story(run(*(result(state.value, state) for state in HostState)))
    story.roll_back()

    assert [sorted(hosts) for _, hosts in story.acts()] == [sorted(state.value for state in CHANGED_STATES)]


def test_a_run_that_left_nothing_cannot_be_rolled_back() -> None:
    story = Story(run(result("web1", HostState.ROLLED_BACK), result("web2", HostState.FAILED)))
    with pytest.raises(UsageError, match="holds a change of it"):
        story.roll_back()


@pytest.mark.parametrize("state", [HostState.HELD, HostState.CONFIRMED, HostState.PARTLY_BACK])
def test_a_rollback_that_did_not_get_through_leaves_the_host_where_it_was_with_a_note(state: HostState) -> None:
    broken = HostOutcome("web1", HostState.BROKEN, {}, "connection lost")
    story = Story(run(result("web1", state)), roll_back=[broken])

    assert story.roll_back() == {"web1": state}
    assert story.recorded("web1").error == "connection lost"


def test_a_rollback_that_had_to_leave_something_says_so() -> None:
    partly = HostOutcome("web1", HostState.PARTLY_BACK, {}, "left: a", None, (SOMAXCONN,))
    story = Story(run(result("web1")), roll_back=[partly])

    assert story.roll_back() == {"web1": HostState.PARTLY_BACK}
    assert story.recorded("web1").error == "left: a"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HostState.APPLYING, HostState.BROKEN),
        (HostState.BROKEN, HostState.BROKEN),
        (HostState.HELD, HostState.HELD),
        (HostState.CONFIRMED, HostState.CONFIRMED),
    ],
)
def test_a_host_without_a_record_that_is_not_as_before_is_not_called_rolled_back(
    before: HostState, after: HostState
) -> None:
    nothing = HostOutcome("web1", HostState.BROKEN, {}, "no record of the run", no_record=True)

    assert Story(run(result("web1", before)), roll_back=[nothing]).roll_back(says={"web1": MOVED}) == {"web1": after}


@pytest.mark.parametrize(
    "state", [HostState.APPLYING, HostState.BROKEN, HostState.HELD, HostState.CONFIRMED, HostState.PARTLY_BACK]
)
def test_a_host_without_a_record_that_is_as_before_is_rolled_back(state: HostState) -> None:
    nothing = HostOutcome("web1", HostState.BROKEN, {}, "no record of the run", no_record=True)
    story = Story(run(result("web1", state)), roll_back=[nothing])

    assert story.roll_back() == {"web1": HostState.ROLLED_BACK}
    assert (story.recorded("web1").error, story.recorded("web1").hint) == (None, None)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (MOVED, "no record of the run, and it is not as before: net.core.somaxconn is 512, the plan was made for 128"),
        (LOST, "no record of the run, and it could not be read: no SSH session"),
    ],
)
def test_a_host_that_lost_its_record_and_may_hold_the_change_stays_and_says_why(says: Any, why: str) -> None:
    nothing = HostOutcome("web1", HostState.BROKEN, {}, "no record of the run", no_record=True)
    story = Story(run(result("web1")), roll_back=[nothing])

    assert story.roll_back(says={"web1": says}) == {"web1": HostState.HELD}
    assert story.recorded("web1").error == why
    assert story.recorded("web1").hint


def test_what_a_rollback_replaces_does_not_hide_what_the_apply_replaced() -> None:
    back = HostOutcome("web1", HostState.ROLLED_BACK, {SOMAXCONN: "4096"})
    story = Story(run(result("web1", replaced={SOMAXCONN: "128"})), roll_back=[back])
    story.roll_back()

    assert story.recorded("web1").replaced == {SOMAXCONN: "128"}


def test_a_key_that_somebody_changed_since_can_be_forced() -> None:
    story = Story(run(result("web1")))
    story.roll_back(SOMAXCONN, DROPIN_PATH)

    assert story.applier.calls == [("roll_back", ["web1"], [SOMAXCONN, DROPIN_PATH])]


def test_a_key_the_plan_does_not_change_cannot_be_forced() -> None:
    story = Story(run(result("web1")))
    with pytest.raises(UsageError, match=r"does not change net\.a\.b") as refused:
        story.roll_back("net.a.b", SOMAXCONN)

    assert SYNCOOKIES in (refused.value.hint or "")
    assert story.applier.calls == []


# A new run


def test_a_new_run_has_every_host_of_the_plan_still_to_do() -> None:
    found = new_run(PLAN, run_id="r1", operator="ada@c", tool_version="9", started_at=NOW)

    assert {(r.host, r.cohort, r.state) for r in found.results} == {
        ("web1", "cohort1", HostState.PLANNED),
        ("web2", "cohort1", HostState.PLANNED),
        ("db1", "cohort2", HostState.PLANNED),
    }
    assert (found.plan_id, found.profile, found.ended_at) == (PLAN.plan_id, PLAN.profile, None)


# Dangers

RISKY = change(SOMAXCONN, "128", "4096").model_copy(update={"danger": "the table is full."})
DANGEROUS = plan(
    cohort("web1", "web2", changes=(RISKY,)),
    cohort("db1", changes=(change(SYNCOOKIES, "0", "1"),), name="cohort2"),
)


def apply_danger(*allowed: str, to: Sequence[str] = NAMES) -> Story:
    story = Story()
    hosts = [host(name) for name in to]
    story.changer.apply(collector(UNMOVED), DANGEROUS, hosts, story.run, allow_risk=allowed)
    return story


def test_a_danger_that_nobody_allowed_stops_everything_before_any_host_is_touched() -> None:
    with pytest.raises(UsageError, match=f"(?s)nothing was changed.*{SOMAXCONN}: the table is full") as refused:
        apply_danger()

    assert refused.value.hint == f"--allow-risk {SOMAXCONN}"
    with pytest.raises(UsageError, match="the table is full"):
        apply_danger(SYNCOOKIES)


def test_a_danger_that_is_allowed_by_name_is_applied() -> None:
    assert apply_danger(SOMAXCONN).acts() == [("apply", list(NAMES))]


def test_a_danger_of_other_hosts_need_not_be_allowed() -> None:
    assert apply_danger(to=["db1"]).acts() == [("apply", ["db1"])]


def test_allowing_more_than_the_plan_has_does_no_harm() -> None:
    # What is allowed in a runbook meets plans of many kinds; a key in another spelling leaves its danger refused.
    assert apply_danger(SOMAXCONN, "net.ipv4.tcp_mem").acts() == [("apply", list(NAMES))]


# Time to confirm


def test_the_time_to_confirm_reaches_the_hosts_and_their_deadline_the_record() -> None:
    held = [HostOutcome(name, HostState.HELD, {}, deadline=NOW) for name in NAMES]
    story = Story(apply=held)

    story.apply(revert_after_s=600)

    assert story.applier.seconds == [600]
    assert {story.recorded(name).deadline for name in NAMES} == {NOW}


def test_a_host_that_waits_no_longer_has_no_deadline() -> None:
    story = Story(run(*(result(name, HostState.HELD, deadline=NOW) for name in NAMES)))

    story.confirm()

    assert {story.recorded(name).deadline for name in NAMES} == {None}


def test_held_hosts_are_given_more_time() -> None:
    later = NOW + timedelta(minutes=30)
    before = run(result("web1", HostState.HELD, deadline=NOW), result("web2", HostState.CONFIRMED))
    story = Story(before, extend=[HostOutcome("web1", HostState.HELD, {}, deadline=later)])

    story.changer.extend(before, PLAN, [host("web1"), host("web2")], 1800)

    assert story.acts() == [("extend", ["web1"])]
    assert (story.applier.seconds, story.recorded("web1").deadline) == ([1800], later)


def test_where_nobody_is_held_there_is_no_time_to_give() -> None:
    before = run(result("web1", HostState.CONFIRMED))

    with pytest.raises(UsageError, match="no host of these is held"):
        Story(before).changer.extend(before, PLAN, [host("web1")], 60)


def test_a_host_that_could_not_be_given_more_time_keeps_its_deadline() -> None:
    before = run(result("web1", HostState.HELD, deadline=NOW))
    story = Story(before, extend=[HostOutcome("web1", HostState.BROKEN, {}, error="connection lost")])

    story.changer.extend(before, PLAN, [host("web1")], 60)

    assert (story.recorded("web1").state, story.recorded("web1").deadline) == (HostState.HELD, NOW)


def test_a_confirm_that_came_too_late_records_that_the_host_took_it_back() -> None:
    before = run(result("web1", HostState.HELD, deadline=NOW))
    story = Story(before, confirm=[HostOutcome("web1", HostState.REVERTED, {}, error="its time was over")])

    assert story.confirm() == {"web1": HostState.REVERTED}
    assert (story.recorded("web1").error, story.recorded("web1").deadline) == ("its time was over", None)


# Controllers that die, and hosts that are busy


def held(doing: Act | None = None, state: HostState = HostState.HELD) -> Run:
    return run(*(result(name, state).model_copy(update={"doing": doing}) for name in NAMES))


class Watching(FakeApplier):
    """Notes what the journal says was begun while it is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[set[Act | None]] = []
        self.journal: MemoryJournal | None = None

    def _act(self, *args: Any) -> Iterator[HostOutcome]:
        assert self.journal is not None
        self.seen.append({r.doing for r in self.journal.find("last")[0].results})
        return super()._act(*args)


def watched(found: Run | None = None) -> tuple[Story, Watching]:
    story, applier = Story(found), Watching()
    applier.journal = story.journal
    story.changer = Changer(applier, story.journal, clock, story.told.append, catalogue(), "ada@c", story.pauses.append)
    return story, applier


def test_what_is_begun_is_in_the_record_until_it_is_heard_of() -> None:
    story, applier = watched()
    story.apply(confirm=True)
    assert applier.seen == [{Act.APPLY}, {Act.CONFIRM}]

    story, applier = watched(held())
    story.roll_back()
    assert applier.seen == [{Act.ROLLBACK}]
    assert {r.doing for r in story.journal.find("last")[0].results} == {None}


def test_a_host_on_which_a_rollback_was_begun_is_not_confirmed_nor_given_more_time() -> None:
    story = Story(held(Act.ROLLBACK))

    with pytest.raises(UsageError, match="a rollback was begun on web1, web2, db1") as caught:
        story.confirm()
    assert "tcptune rollback" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="a rollback was begun"):
        story.changer.extend(story.run, PLAN, [host("web1")], 60)
    assert story.applier.calls == []


@pytest.mark.parametrize("doing", [None, Act.CONFIRM, Act.EXTEND, Act.ROLLBACK])
def test_whatever_was_begun_can_be_rolled_back(doing: Act | None) -> None:
    assert Story(held(doing)).roll_back() == everybody(HostState.ROLLED_BACK)


def test_a_confirm_that_died_is_confirmed_again() -> None:
    assert Story(held(Act.CONFIRM)).confirm() == everybody(HostState.CONFIRMED)


@pytest.mark.parametrize(
    ("state", "fenced"),
    [(HostState.APPLYING, True), (HostState.BROKEN, True), (HostState.HELD, False), (HostState.CONFIRMED, False)],
)
def test_only_where_the_run_may_not_have_begun_is_it_kept_from_coming_late(state: HostState, fenced: bool) -> None:
    story = Story(held(state=state))
    story.roll_back()

    assert story.applier.fenced == (list(NAMES) if fenced else [])


BUSY = HostOutcome("web1", HostState.BROKEN, {}, "being changed by pid 7, run r1", "wait for it to end", busy=True)


@pytest.mark.parametrize("state", [HostState.HELD, HostState.APPLYING])
def test_a_host_that_is_busy_is_asked_again_alone_and_stays_where_it_was(state: HostState) -> None:
    story = Story(held(state=state), roll_back=[BUSY])

    assert story.roll_back()["web1"] is state

    assert story.acts() == [("roll_back", list(NAMES)), *[("roll_back", ["web1"])] * 4]
    assert story.pauses == [1.0, 2.0, 4.0, 8.0]
    assert "being changed by pid 7" in (story.recorded("web1").error or "")


def test_a_host_that_is_busy_no_more_is_done_like_the_others() -> None:
    class Once(FakeApplier):
        def _act(self, *args: Any) -> Iterator[HostOutcome]:
            done = list(super()._act(*args))
            self.outcomes = {}
            return iter(done)

    story = Story(held())
    story.changer = Changer(
        Once(roll_back=[BUSY]), story.journal, clock, story.told.append, catalogue(), "ada@c", story.pauses.append
    )

    assert story.roll_back() == everybody(HostState.ROLLED_BACK)
    assert story.pauses == [1.0]
    assert story.recorded("web1").error is None
