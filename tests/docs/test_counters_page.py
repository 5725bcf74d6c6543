"""The page of counters lists every counter as the data has it."""

from __future__ import annotations

from tcptune.knowledge.counters import counters
from tests.docs.test_reference import REFERENCE, rows, sections

PAGE = sections(REFERENCE / "counters.md")


def _cell(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def test_the_page_lists_every_counter() -> None:
    assert rows(PAGE["All of them"]) == {
        one.name: [_cell(one.meaning), _cell(one.healthy), _cell(one.since), one.verified]
        for one in counters().values()
    }
