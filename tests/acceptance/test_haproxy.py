"""HAProxy itself: what it logs is counted as what was done to it."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime

import pytest

from tcptune.knowledge.wording import wording
from tcptune.planning.logs.tally import Tally
from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.haproxy import haproxy, let, log, running
from tests.acceptance.haproxy_scenes import BASE, CLIENTS, FIRST_PORT, SCENES

pytestmark = pytest.mark.lab

PORTS = {scene.name: port for port, scene in enumerate(SCENES, start=FIRST_PORT)}


def counted(line: str) -> str | None:
    """Give the id of the phrase that a line is counted as."""
    tally = Tally(wording())
    tally.begin(written=datetime.now(UTC))
    tally.add(line.encode())
    return next((one.id for error in tally.report([]).errors for one in error.phrases), None)


def test_each_termination_state_is_made_and_counted_as_what_was_done(machines: Machines, tcptune: Tcptune) -> None:
    haproxy()
    [machine] = machines(1)
    configuration = BASE + "".join(scene.section(PORTS[scene.name]) for scene in SCENES)
    told = {scene.name: (PORTS[scene.name], *scene.does) for scene in SCENES}
    with running(machine, configuration, [PORTS["t-ended"]]):
        let(machine, CLIENTS, told)
    lines = log(machine)

    missing = []
    written: dict[str | None, list[str]] = defaultdict(list)
    for scene in SCENES:
        own = [line for line in lines if f" {scene.name}/" in line]
        fitting = [line for line in own if f" {scene.state} " in line]
        written[scene.phrase] += fitting[-1:]
        if not fitting:
            missing.append((scene.name, scene.state, own))
    assert missing == []

    for phrase, own in written.items():
        assert [counted(line) for line in own] == [f"haproxy.{phrase}" if phrase else None] * len(own), own
    whole = tcptune.file("haproxy.log", "".join(f"{line}\n" for own in written.values() for line in own))
    said = json.loads(tcptune("logs", whole, "--format", "json", expect=10).stdout)
    found = {one["id"]: one["lines"] for error in said["errors"] for one in error["phrases"]}
    assert found == {f"haproxy.{phrase}": len(own) for phrase, own in written.items() if phrase}
    assert {one["peer"].partition("/")[0] for one in said["peers"]} <= {*PORTS, "127.0.0.1"}
    assert said["no_peer"] == 0
