"""A change that ends otherwise: taken back, out of time, or left by a controller that died."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.runs import CHANGED_STATES, Act, HostState, Run
from tcptune.errors import UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.ports import HostOutcome
from tcptune.workflows.change import Changer
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, host, result, run
from tests.unit.fakes import FakeApplier, MemoryJournal, clock
from tests.unit.workflows.changing import LOST, MOVED, NAMES, PLAN, Story, everybody

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
