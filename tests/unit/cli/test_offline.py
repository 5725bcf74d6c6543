"""Commands that need no host: results on standard output, talk on standard error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tcptune.adapters.files import facts_lines, read_plan, write_whole
from tcptune.domain.facts import Collected, HostFacts, Unread
from tests.unit.builders import ETC, NOW, SOMAXCONN, cohort, facts, plan

from .conftest import Command

PROFILE = """\
profile: queue
settings:
  net.core.somaxconn: {at_least: 4096, why: bursts, source: listen(2)}
"""

FINE, LOW = facts("fine", {SOMAXCONN: "4096"}), facts("low", {SOMAXCONN: "128"})
CLOSED = facts("closed", {SOMAXCONN: "4096"}, {f"{ETC}/x.conf": None})
DOWN = Unread(host="down", error="no SSH session", hint="ssh down true")

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write a facts file."""
    (tmp_path / "queue.yml").write_text(PROFILE)

    def written(*collected: Collected) -> Path:
        write_whole(tmp_path / "facts.jsonl", facts_lines(collected, NOW))
        return tmp_path / "facts.jsonl"

    return written


@pytest.mark.parametrize(
    ("collected", "code"),
    [
        ([FINE], 0),
        ([FINE, LOW], 10),
        ([FINE, DOWN], 4),
        ([FINE, CLOSED], 4),
        ([FINE, LOW, DOWN], 4),
        ([FINE, LOW, CLOSED], 4),
    ],
)
def test_an_audit_exits_with_what_it_found(
    tcptune: Command, put: Put, collected: list[HostFacts | Unread], code: int
) -> None:
    found = tcptune("audit", "queue.yml", "--facts", put(*collected))

    assert found.code == code
    assert found.out.endswith("Nothing has been changed.\n")
    assert found.err == ""


def test_a_report_for_a_machine_is_all_there_is_on_standard_output(tcptune: Command, put: Put) -> None:
    found = tcptune("audit", "queue.yml", "--facts", put(FINE, LOW, DOWN), "--format", "json")

    assert [h["host"] for h in json.loads(found.out)["hosts"]] == ["fine", "low"]
    assert found.err == ""


def test_a_report_can_go_to_a_file(tcptune: Command, put: Put, tmp_path: Path) -> None:
    found = tcptune("audit", "queue.yml", "--facts", put(LOW), "--format", "markdown", "-o", tmp_path / "a.md")

    assert (found.code, found.out) == (10, "")
    assert found.err == f"wrote {tmp_path}/a.md\n"
    assert (tmp_path / "a.md").read_text().startswith("# Audit against queue")


def test_an_audit_can_be_limited_to_hosts_of_an_inventory(tcptune: Command, put: Put) -> None:
    found = tcptune("audit", "queue.yml", "--facts", put(FINE, LOW), "-i", "fine,low", "--limit", "fine")

    assert found.code == 0
    assert "low" not in found.out


def test_a_host_of_the_inventory_that_the_facts_do_not_hold_is_not_fine(tcptune: Command, put: Put) -> None:
    found = tcptune("audit", "queue.yml", "--facts", put(FINE), "-i", "fine,forgotten")

    assert found.code == 4
    assert "forgotten" in found.out


def test_an_audit_of_no_host_at_all_is_no_success(tcptune: Command, put: Put) -> None:
    found = tcptune("audit", "queue.yml", "--facts", put())

    assert (found.code, found.out) == (3, "")


# Plan, show, render


def test_a_plan_is_shown_and_written(tcptune: Command, put: Put, tmp_path: Path) -> None:
    made = tcptune("plan", "queue.yml", "--facts", put(FINE, LOW), "-i", "fine,low", "-o", tmp_path / "plan.json")
    shown = tcptune("show", tmp_path / "plan.json")

    assert made.code == 10
    assert made.err == f"wrote {tmp_path}/plan.json\n"
    assert "128 -> 4096" in made.out
    assert (shown.code, shown.out, shown.err) == (0, made.out, "")
    assert read_plan(tmp_path / "plan.json").hosts.keys() == {"low"}


@pytest.mark.parametrize(
    ("collected", "code"), [([FINE], 0), ([LOW], 10), ([DOWN, LOW], 4), ([DOWN], 4), ([CLOSED], 4)]
)
def test_a_plan_exits_with_what_it_found(
    tcptune: Command, put: Put, collected: list[HostFacts | Unread], code: int
) -> None:
    names = ",".join(one.host for one in collected)

    assert tcptune("plan", "queue.yml", "--facts", put(*collected), "-i", f"{names},").code == code


def test_a_host_that_the_facts_do_not_hold_is_in_the_plan_as_unread(tcptune: Command, put: Put) -> None:
    found = tcptune("plan", "queue.yml", "--facts", put(FINE), "-i", "fine,forgotten")

    assert found.code == 4
    assert "? forgotten  could not be read: the facts file does not hold it" in found.out


@pytest.mark.parametrize("format_", ["terminal", "json", "markdown"])
def test_a_plan_can_be_shown_in_every_format(tcptune: Command, tmp_path: Path, format_: str) -> None:
    made = plan(cohort("a", "b"))
    (tmp_path / "p").write_text(made.model_dump_json())
    found = tcptune("show", "p", "--format", format_)

    assert (found.code, found.err) == (0, "")
    assert made.plan_id[:12] in found.out


def test_a_plan_is_rendered_as_a_project(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "p").write_text(plan().model_dump_json())
    found = tcptune("render", "p", "-d", "project")

    assert (found.code, found.out) == (0, "")
    assert "wrote project" in found.err
    assert (tmp_path / "project/site.yml").is_file()
    assert f"plan-{plan().plan_id[:12]}" in (tmp_path / "project/inventory/group_vars/tcptune_plan.yml").read_text()


def test_an_empty_journal_lists_no_runs(tcptune: Command) -> None:
    assert tcptune("runs").out == "No runs yet.\n"
