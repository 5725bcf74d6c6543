"""The page of concerns names every check, with the severities that its cases show."""

from __future__ import annotations

from tcptune.domain.concerns import Owner, Severity
from tcptune.planning.checks import CHECKS
from tests.docs.test_reference import REFERENCE, rows
from tests.unit.planning.checks.cases import CASES

PAGE = (REFERENCE / "concerns.md").read_text()


def test_the_page_names_every_check_and_no_other_with_its_severities() -> None:
    told = {name: cells[0] for name, cells in rows(PAGE).items() if len(cells) == 2 and name not in set(Severity)}
    shown = {
        check: ", ".join(one for one in Severity if any(case.says is one for case in cases.values()))
        for check, cases in CASES.items()
    }

    assert set(told) == set(CHECKS)
    # One host can only declare its load on the command line, which no case does.
    assert told == shown | {"connections": "harm, advice"}


def test_the_page_explains_every_severity_and_owner() -> None:
    assert all(f"`{word}`" in PAGE for word in (*Severity, *Owner))
