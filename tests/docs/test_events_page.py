"""The page on events says what the code does: every event, field and default, and the bounds of notifications."""

from __future__ import annotations

import re
from typing import get_args

from pydantic import BaseModel

from tcptune.adapters.events import file, stream
from tcptune.adapters.events.webhook import AGAIN, Patience
from tcptune.domain.events import EVENT, EVENT_MODELS, EventWave, RolloutEnded, Waiting, WaveEnded
from tcptune.domain.journal import SampleRecord
from tcptune.domain.notifications import Receiver
from tcptune.domain.runs import HostState
from tcptune.reports.live import SIGNS
from tests.docs.examples import blocks
from tests.docs.test_reference import REFERENCE, rows, sections

PAGE = REFERENCE / "events.md"
SECTIONS = sections(PAGE)
COMMON = {"event", "at", "run"}


def fields(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields) - COMMON


def words(text: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def test_every_event_is_in_the_table_with_every_field() -> None:
    table = rows(SECTIONS["Events"])
    within = {
        "rollout_began": {"number", "hosts", "state", "events", "1"},
        "gate_measured": set(SampleRecord.model_fields),
    }

    assert list(table) == [model.model_fields["event"].default for model in EVENT_MODELS]
    for model in EVENT_MODELS:
        name = model.model_fields["event"].default
        values = {str(one) for field in model.model_fields.values() for one in get_args(field.annotation)}
        said = words(table[name][-1])
        assert fields(model) <= said, name
        assert said - values <= fields(model) | within.get(name, set()), name
    assert set(EventWave.model_fields) <= words(table["rollout_began"][-1])
    assert set(SampleRecord.model_fields) <= words(table["gate_measured"][-1])


def test_every_word_that_a_field_takes_is_in_the_table() -> None:
    table = rows(SECTIONS["Events"])

    for model, name in ((Waiting, "waits_for"), (WaveEnded, "state")):
        taken = {str(one) for one in get_args(model.model_fields[name].annotation)}
        assert taken <= words(table[model.model_fields["event"].default][-1])
    assert "next" in RolloutEnded.model_fields


def test_the_example_is_an_event() -> None:
    [example] = [block for block in blocks(PAGE.read_text()) if block.language == "json"]

    event = EVENT.validate_json(example.text)
    assert set(event.model_dump()) == set(re.findall(r'"(\w+)":', example.text))


def test_the_signs_of_a_bar_are_those_that_are_drawn() -> None:
    told = " ".join(SECTIONS["The live view"].split())

    assert words(told) == set(SIGNS.values())
    for state in (HostState.CONFIRMED, HostState.HELD, HostState.APPLYING, HostState.ROLLED_BACK, HostState.STALE):
        assert re.search(rf"`{SIGNS[state]}`(?: is)? {state}", told)


def test_the_bounds_of_notifications_are_those_of_the_code() -> None:
    told = " ".join(SECTIONS["Notifications"].split())
    default = Patience()

    assert re.findall(r"[0-9]{3}", told.partition("After ")[2].partition(" or no answer")[0]) == [
        str(status) for status in sorted(AGAIN)
    ]
    assert f"no answer within {default.try_s:g} seconds" in told
    assert f"after {default.first_pause_s:g}, 2, 4 seconds and so on up to {default.longest_pause_s:g}" in told
    assert f"for {default.event_s:g} seconds in all" in told
    assert f"At most {default.most} wait" in told
    assert f"what is left has {default.drain_s:g} seconds" in told
    assert set(rows(SECTIONS["Notifications"])) >= set(get_args(Receiver.model_fields["format"].annotation))


def test_what_is_said_of_files_is_so() -> None:
    told = " ".join(SECTIONS["Events"].split())

    assert f"`{file.STDOUT}` is standard output" in told
    assert stream.DRAIN_S == 2
    assert "two seconds after the end" in told
