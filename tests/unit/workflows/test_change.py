"""Applying and confirming: what is recorded, and what stops it before a host is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tcptune.domain.changes import DROPIN_PATH
from tcptune.domain.runs import CHANGED_STATES, HostState
from tcptune.errors import PlanStale, TcptuneError, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.ports import HostOutcome
from tcptune.workflows.change import Changer, new_run
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, answer, change, cohort, host, plan, result, run
from tests.unit.fakes import FakeApplier, clock, collector
from tests.unit.workflows.changing import LOST, MOVED, NAMES, PLAN, UNMOVED, Story, everybody, states

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
