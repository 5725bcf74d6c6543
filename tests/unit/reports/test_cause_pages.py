"""What is told of causes stays within the page, whatever the data says of them."""

from __future__ import annotations

import pytest

from tcptune.domain.explanation import CauseList
from tcptune.knowledge.causes import causes, errors
from tcptune.planning.explain_cause import find_cause
from tcptune.reports.cause_pages import terminal, terminal_list
from tcptune.reports.layout import WIDTH


@pytest.mark.parametrize("word", [*(error.name for error in errors()), *causes()])
def test_no_line_is_wider_than_the_page(word: str) -> None:
    found = find_cause(word)
    assert found is not None

    said = terminal_list(found) if isinstance(found, CauseList) else terminal(found)

    assert [line for line in said.splitlines() if len(line) > WIDTH] == []
