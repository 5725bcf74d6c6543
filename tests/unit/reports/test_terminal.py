from __future__ import annotations

import pytest

from tcptune.domain.facts import HostFacts, Unread
from tcptune.domain.findings import FleetAudit
from tcptune.domain.journal import RunList
from tcptune.domain.runs import HostState
from tcptune.domain.verdicts import HostVerdict, RunVerdict
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports.terminal import render
from tcptune.workflows.audit import audit
from tests.unit.builders import ETC, SOMAXCONN, SYNCOOKIES, change, cohort, facts, plan, profile, result, rule, run
from tests.unit.reports.results import RUNS, check


def audited(*collected: HostFacts | Unread) -> FleetAudit:
    return audit(collected, profile(rule(SOMAXCONN, "4096")), catalogue())


def last_line(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[2]


FINE, LOW = facts("a", {SOMAXCONN: "4096"}), facts("b", {SOMAXCONN: "128"})
CLOSED = facts("c", {SOMAXCONN: "4096"}, {f"{ETC}/x.conf": None})
DOWN = Unread(host="d", error="no SSH session")


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ([FINE], "Audit: 0 of 1 host deviates from test. Nothing has been changed."),
        ([FINE, LOW], "Audit: 1 of 2 hosts deviate from test. Nothing has been changed."),
        (
            [FINE, LOW, CLOSED, DOWN],
            "Audit: 1 of 4 hosts deviate from test, 1 could not be judged in full, 1 could not be read."
            " Nothing has been changed.",
        ),
    ],
)
def test_an_audit_ends_with_the_count(hosts: list[HostFacts | Unread], said: str) -> None:
    assert last_line(render(audited(*hosts))) == said


def test_hosts_that_deviate_in_the_same_way_are_shown_once() -> None:
    text = render(audited(*(facts(f"web{n}", {SOMAXCONN: "128"}) for n in range(1, 40))))

    assert text.count(SOMAXCONN) == len([SOMAXCONN]) + 1  # the row, and the reason that names it
    assert "web1, web10, web11, web12, web13, web14 and 33 more  (1 deviate, 0 met)" in text


def test_a_plan_says_why_a_setting_is_written_before_another() -> None:
    why = f"written before {SYNCOOKIES}: it has to be"
    text = render(plan(cohort(changes=(change(SOMAXCONN, order=why), change(SYNCOOKIES, "0", "1")))))

    assert f"      {why}\n" in text
    assert text.count("written before") == 1


def test_a_plan_marks_what_only_the_next_boot_needs() -> None:
    both = cohort(changes=(change(SOMAXCONN, "128", "4096"), change(SYNCOOKIES, "1", "1")))
    text = render(plan(both))

    assert f"~  {SOMAXCONN}" in text
    assert "128 -> 4096" in text
    assert f"b  {SYNCOOKIES}" in text
    assert "1 (stays)" in text


def test_a_plan_shows_every_line_that_the_file_of_ours_will_hold_beyond_what_it_had() -> None:
    before = f"# theirs\n{SYNCOOKIES} = 1\n"
    text = render(plan(cohort(files=(cohort().files[0].model_copy(update={"before": before}),))))

    assert f"+ {SOMAXCONN} = 4096" in text
    assert f"- {SYNCOOKIES} = 1" in text
    assert "- # theirs" in text


def test_a_plan_ends_with_the_count() -> None:
    made = plan(cohort("a", "b"), fine=("c",))

    assert last_line(render(made)) == (
        f"Plan {made.plan_id[:12]}: 2 changes on 2 of 3 hosts, 1 needs none. Nothing has been changed."
    )


def test_a_run_with_held_hosts_says_how_to_keep_and_how_to_undo_it() -> None:
    held = render(run(result(state=HostState.HELD), run_id="r1"))

    assert "tcptune confirm r1" in held
    assert "tcptune rollback r1" in held
    assert "tcptune confirm" not in render(run(result(state=HostState.CONFIRMED)))


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ([("a", True, None)], "1 host looked at and as the run left them"),
        ([("a", True, None), ("b", False, None)], "1 of 2 hosts are not as the run left them"),
        ([("a", True, None), ("b", True, "down")], "2 hosts looked at, 1 could not be read"),
    ],
)
def test_a_verdict_ends_with_the_count(hosts: list[tuple[str, bool, str | None]], said: str) -> None:
    verdicts = tuple(
        HostVerdict(host=name, state=HostState.HELD, checks=(check(actual="4096" if ok else "1"),), error=error)
        for name, ok, error in hosts
    )
    text = render(RunVerdict(run_id="r1", hosts=verdicts))

    assert last_line(text) == f"Verify r1: {said}. Nothing has been changed."


def test_the_list_of_runs_has_a_line_a_run() -> None:
    text = render(RUNS)

    assert [line.split()[0] for line in text.splitlines()] == ["run", "r3", "r2", "r1"]
    assert "1 held, 2 failed" in text
    assert "2026-03-14 15:09" in text
    assert render(RunList(runs=())) == "No runs yet.\n"


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(TypeError, match="no terminal report of System"):
        render(FINE.system)


def test_a_host_cannot_steer_the_terminal_of_whoever_reads_the_report() -> None:
    text = render(audited(Unread(host="evil", error="\x1b]0;owned\x07\x1b[2Jall fine")))

    assert not any(ord(char) < 32 for char in text.replace("\n", ""))
