"""Events of a rollout: told apart, in UTC, read back as they were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from pydantic import ValidationError

from tcptune.domain.events import EVENT, EVENT_MODELS, EVENT_NAMES, HostMoved, RolloutBegan, WaveEnded, counted
from tcptune.domain.notifications import EventName
from tcptune.domain.runs import HostState

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_every_event_has_a_word_of_its_own_and_says_when_and_of_which_run() -> None:
    assert len(set(EVENT_NAMES)) == len(EVENT_MODELS) == 14
    assert all({"event", "at", "run"} <= set(model.model_fields) for model in EVENT_MODELS)


def test_a_policy_can_ask_for_every_event() -> None:
    assert get_args(EventName) == EVENT_NAMES


def test_only_the_beginning_of_a_stream_carries_the_format_version() -> None:
    assert [model for model in EVENT_MODELS if "format_version" in model.model_fields] == [RolloutBegan]


def test_a_moment_is_kept_in_utc_and_has_to_have_a_zone() -> None:
    there = AT.astimezone(timezone(timedelta(hours=9)))
    states = {"before": HostState.PLANNED, "after": HostState.APPLYING}

    moved = HostMoved(at=there, run="r", wave=1, host="web1", **states)

    assert '"at":"2026-03-02T09:30:00Z"' in moved.model_dump_json()
    with pytest.raises(ValidationError, match="timezone"):
        HostMoved(at=AT.replace(tzinfo=None), run="r", wave=1, host="web1", **states)


def test_a_line_is_read_back_as_it_was_written() -> None:
    counts = counted([HostState.ROLLED_BACK, HostState.FAILED, HostState.ROLLED_BACK])
    event = WaveEnded(at=AT, run="r", wave=2, state="failed", why="too many", counts=counts)

    assert EVENT.validate_json(event.model_dump_json()) == event
    assert '"counts":{"rolled back":2,"failed":1}' in event.model_dump_json()


def test_a_wave_does_not_end_in_a_state_that_is_no_end() -> None:
    with pytest.raises(ValidationError, match="passed"):
        WaveEnded(at=AT, run="r", wave=2, state="soaking", counts={})


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValidationError, match="rollout_paused"):
        EVENT.validate_python({"event": "rollout_paused", "at": AT, "run": "r"})
