"""What a reader of an events file knows of a rollout, beside what the journal has of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tcptune.domain.events import EVENT, Event, HostMoved, RolloutEnded, WaveBegan, WaveEnded, WaveHeld
from tcptune.reports.rollout_view import RolloutView

_TOLD = {"changing", "held", "passed", "failed", "confirmed", "rolled back", "left out"}
"""States of a wave of which an event tells; of a soak it tells once the first readings are there."""
Line = tuple[str, str]
"""A host or the number of a wave, and the state it came to."""


def read(path: Path, after: int = 0) -> list[Event]:
    """Give the events of a file behind the first `after` of them, each from a whole line."""
    text = path.read_text() if path.exists() else ""
    assert text == "" or text.endswith("\n"), "half a line"
    return [EVENT.validate_json(line) for line in text.splitlines()][after:]


def recorded(run: Mapping[str, Any], after: int = 0) -> list[Line]:
    """Give the lines of the journal's log behind the first `after`, of which events tell.

    `run` is what `tcptune runs export` writes.
    """
    found = []
    for line in run["log"][after:]:
        if line["host"] is not None and not line["note"].endswith(" begun"):
            found.append((line["host"], line["after"]))
        elif line["wave"] is not None and line["after"] in _TOLD and not line["note"].startswith("gates asked"):
            found.append((str(line["wave"]), line["after"]))
    return found


def told(events: Sequence[Event]) -> list[Line]:
    """Give the same, as the events tell it."""
    found: list[Line] = []
    for event in events:
        match event:
            case HostMoved():
                found.append((event.host, event.after.value))
            case WaveBegan():
                found.append((str(event.wave), "changing"))
            case WaveHeld():
                found.append((str(event.wave), "held"))
            case WaveEnded():
                found.append((str(event.wave), event.state.value))
    return found


def lacking(events: Sequence[Event], run: Mapping[str, Any], after: int = 0) -> list[Line]:
    """Give what the journal has and the events of the same command do not tell. They tell nothing else, in order."""
    have, say = recorded(run, after), told(events)
    assert say == have[: len(say)], f"the events tell {say}, the journal has {have}"
    return have[len(say) :]


def differences(events: Sequence[Event], run: Mapping[str, Any]) -> list[str]:
    """Name what differs between the journal and what the events of a rollout that ended tell."""
    view = RolloutView()
    for event in events:
        view.take(event)
    found = [] if isinstance(events[-1], RolloutEnded) else [f"the last event is {events[-1].event}"]
    hosts = {result["host"]: result["state"] for result in run["run"]["results"]}
    waves = {wave["number"]: wave["state"] for wave in run["waves"]}
    knows_hosts = {host: state.value for host, state in view.states.items()}
    knows_waves = {number: wave.state.value for number, wave in view.waves.items()}
    if hosts != knows_hosts:
        found.append(f"hosts: the journal has {hosts}, the events tell {knows_hosts}")
    if waves != knows_waves:
        found.append(f"waves: the journal has {waves}, the events tell {knows_waves}")
    return found


def exported(text: str) -> dict[str, Any]:
    """Give what `tcptune runs export` has written."""
    found: dict[str, Any] = json.loads(text)
    return found
