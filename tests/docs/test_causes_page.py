"""The page of causes says what the code does: causes, confidence, groups, bounds."""

from __future__ import annotations

from tcptune.detectors import DETECTORS
from tcptune.domain.causes import Confidence
from tcptune.domain.quantities import spelled
from tcptune.knowledge.causes import causes, thresholds
from tests.docs.test_reference import REFERENCE, rows, sections

PAGE = sections(REFERENCE / "causes.md")


def test_the_page_lists_every_cause_and_what_shows_it() -> None:
    assert rows(PAGE["The causes"]) == {
        one.id: [one.summary, ", ".join(one.shown_by), "yes" if one.kernel_change_helps else "no"]
        for one in causes().values()
    }


def test_the_page_lists_every_bound_with_its_reason() -> None:
    assert rows(PAGE["From where on a number counts"]) == {
        one.name: [f"{spelled(one.value)} {one.unit}", one.why] for one in thresholds().values()
    }


def test_the_page_lists_every_group() -> None:
    found = rows(PAGE["What is judged"])

    assert set(found) - {"tcp_tw_recycle"} == {*DETECTORS, "kernel-log", "resets"}


def test_the_page_explains_how_sure_a_cause_is() -> None:
    assert set(rows(PAGE["How sure a cause is"])) == set(Confidence)
