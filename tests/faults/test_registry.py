"""The list of faults agrees with itself, with the catalogue and with the manual."""

from __future__ import annotations

import re
from pathlib import Path

from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.causes import causes
from tests.faults import FAULTS, HEALTHY, STORIES
from tests.faults.prove import page

PAGE = Path(__file__).parents[2] / "docs/explanation/faults.md"
PROOF = PAGE.with_name("proof.md")
REMEDIES = {"app", "limit", "network", "proxy", "sysctl"}


def test_each_fault_has_a_name_of_its_own_and_a_remedy_that_fits() -> None:
    names = [fault.name for fault in (*FAULTS, *HEALTHY)]

    assert len(set(names)) == len(names)
    assert {fault.remedy for fault in FAULTS} <= REMEDIES
    assert [fault.name for fault in FAULTS if (fault.key is not None) != (fault.remedy == "sysctl")] == []
    assert all(fault.cause not in fault.also for fault in FAULTS)


def test_causes_and_their_remedies_are_those_that_a_diagnosis_knows() -> None:
    for fault in FAULTS:
        assert {fault.cause, *fault.also} - set(causes()) == set(), fault.name
        assert fault.cause is not None
        assert fault.remedy in {one.kind.value for one in causes()[fault.cause].remedies}, fault.name


def test_a_host_that_is_well_has_neither_cause_nor_remedy() -> None:
    assert {(fault.cause, fault.remedy, fault.key) for fault in HEALTHY} == {(None, None, None)}


def test_a_key_that_cures_is_in_the_catalogue() -> None:
    assert {fault.key for fault in FAULTS if fault.key} - {str(key) for key in catalogue()} == set()


def test_the_page_of_the_proof_is_of_these_faults_and_all_right() -> None:
    told = PROOF.read_text()
    release = re.search(r"on Linux (.+)\.$", told, re.M)
    rows = [line for line in told.splitlines() if line.count("|") == 8][2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]

    assert release
    assert told == page(rows, release[1])
    assert [row[:3] for row in cells] == [
        [fault.name, *([f"`{fault.cause}`"] * 2 if fault.cause else ["none", "nothing"])]
        for fault in (*FAULTS, *HEALTHY)
    ]


def test_the_manual_has_a_row_for_each() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines() if "|" in line]
    told = {
        row[0]: (row[1], row[2].partition(":")[0], row[2].partition("`")[2].rstrip("`"))
        for row in rows
        if len(row) == 6
    }

    wanted = {fault.name: (fault.cause or "none", fault.remedy or "", fault.key or "") for fault in (*FAULTS, *HEALTHY)}
    assert {name: told.get(name) for name in wanted} == wanted
    assert len(told) == len(wanted) + 2, "the heading and the line below it"
    assert set(STORIES) <= {row[0] for row in rows if len(row) == 4}
