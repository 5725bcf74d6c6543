"""Events as other programs take them: lines of JSON, messages for chat tools."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tcptune.domain.events import EVENT, EVENT_NAMES, Event
from tcptune.domain.runs import HostState
from tcptune.reports import events
from tcptune.reports.rollout_sentences import Message
from tests.unit.conftest import Golden
from tests.unit.reports.rollouts import green, measured, moved, troubled

TOLD = {event.event: event for event in [*green(3, [1]), *troubled()]}


def test_the_examples_hold_every_event() -> None:
    assert set(TOLD) == set(EVENT_NAMES)


@pytest.mark.parametrize("event", TOLD.values(), ids=TOLD)
def test_a_line_is_read_back_and_meets_the_schema(event: Event) -> None:
    line = events.line(event)

    assert EVENT.validate_json(line) == event
    assert (line.count("\n"), line[-1]) == (1, "\n")
    jsonschema.Draft202012Validator(events.schema()).validate(json.loads(line))


def test_the_published_schema_is_the_generated_one(golden: Golden) -> None:
    jsonschema.Draft202012Validator.check_schema(events.schema())
    golden("../../docs/schemas/event.schema.json", json.dumps(events.schema(), indent=2) + "\n")


def test_the_schema_refuses_an_event_that_does_not_exist() -> None:
    line = json.loads(events.line(TOLD["answered"]))

    assert not jsonschema.Draft202012Validator(events.schema()).is_valid({**line, "event": "guessed"})
    assert not jsonschema.Draft202012Validator(events.schema()).is_valid({**line, "more": 1})


def test_no_control_character_of_a_host_is_in_a_line_as_it_is() -> None:
    said = "\x1b[2J\x9b2J\u202e half a character: \udcff"
    line = events.line(moved("web1", 1, HostState.APPLYING, HostState.FAILED, error=said))

    assert line[:-1].isprintable()
    assert line.isascii()
    assert json.loads(line)["error"] == said.replace("\udcff", "\ufffd")


def test_what_is_no_number_is_null() -> None:
    assert json.loads(events.line(measured(after=float("inf"))))["sample"]["after"] is None


def test_a_chat_message_calls_nobody_and_links_nowhere() -> None:
    told = events.chat("r", [Message("!", "web1: @here <!channel> <http://x|y> a&b ops@host \x1b[2J")])

    assert told == {"text": "tcptune r\n! web1: @ here &lt;!channel&gt; &lt;http://x|y&gt; a&amp;b ops@host \ufffd[2J"}
