from __future__ import annotations

import re

import pytest

from tcptune.domain.changes import Skipped
from tcptune.domain.facts import Unread
from tcptune.domain.findings import FleetAudit
from tcptune.domain.runs import HostState
from tcptune.reports.markdown import render
from tests.unit.builders import SOMAXCONN, change, cohort, facts, plan, result, run
from tests.unit.reports.results import RESULTS

NASTY = "a | b\nc <script> \r\n\td"
CELL = "a \\| b c &lt;script> d"


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row, as a renderer cuts them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_what_would_break_a_table_is_escaped_in_an_audit() -> None:
    lost = Unread(host="web1", error=NASTY, hint=NASTY)

    assert ["web1", CELL, CELL] in rows(render(FleetAudit(profile="p", hosts=(), unread=(lost,))))


def test_what_would_break_a_table_is_escaped_in_a_plan() -> None:
    made = plan(
        cohort(changes=(change(why=NASTY, shadowed_by="/etc/x.conf:1"),)),
        skipped=(Skipped(host="web2", key=SOMAXCONN, why=NASTY),),
    )
    cells = rows(render(made))

    assert ["web2", SOMAXCONN, CELL] in [row[:3] for row in cells]
    assert f"{CELL} **/etc/x.conf:1 wins at the next boot.**" in [row[-1] for row in cells]


def test_a_plan_says_why_a_setting_is_written_before_another() -> None:
    made = plan(cohort(changes=(change(why="bursts", order="written before b: it has to be"),)))

    assert "bursts; written before b: it has to be" in [row[-1] for row in rows(render(made))]


def test_what_would_break_a_table_is_escaped_in_a_run() -> None:
    cells = rows(render(run(result("web1", HostState.FAILED, error=NASTY))))

    assert ["web1", "cohort1", "failed", CELL] in cells


@pytest.mark.parametrize("name", RESULTS)
def test_every_table_has_as_many_cells_in_each_row(name: str) -> None:
    block: list[int] = []
    for line in [*render(RESULTS[name]).splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.split(r"(?<!\\)\|", line)))
        else:
            assert len(set(block)) <= 1
            block = []


@pytest.mark.parametrize("name", RESULTS)
def test_every_table_stands_apart_from_the_text_around_it(name: str) -> None:
    lines = ["", *render(RESULTS[name]).splitlines(), ""]
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("|"):
            assert before == "" or before.startswith("|")
            assert after == "" or after.startswith("|")


def test_an_audit_counts_the_hosts_that_could_not_be_judged() -> None:
    last = render(RESULTS["audit"]).rstrip("\n").rpartition("\n")[2]

    assert "2 could not be judged in full" in last


def test_a_host_about_which_nothing_is_known_is_not_said_to_be_fine() -> None:
    section = render(RESULTS["audit"]).partition("## closed\n")[2].partition("\n## ")[0]

    assert "Nothing deviates." not in section


@pytest.mark.parametrize("remark", ["/etc/sysctl.conf:1", "read-only"])
def test_an_audit_shows_every_remark_that_the_terminal_shows(remark: str) -> None:
    assert remark in render(RESULTS["audit"])


def test_a_plan_gives_the_hint_for_each_host_that_could_not_be_read() -> None:
    assert "ssh -l root -p 22 down1.example true" in render(RESULTS["plan"])


def test_a_boot_that_nobody_sets_is_said_in_words() -> None:
    assert "its own (kernel default)" in render(RESULTS["verdict"])


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(TypeError, match="no markdown report of System"):
        render(facts().system)
