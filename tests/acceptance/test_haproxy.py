"""HAProxy itself: what it logs is counted as what was done to it."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.haproxy import haproxy, let, log, running
from tests.acceptance.haproxy_scenes import BASE, CLIENTS, FIRST_PORT, SCENES

pytestmark = pytest.mark.lab

PORTS = {scene.name: port for port, scene in enumerate(SCENES, start=FIRST_PORT)}


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

    # Lines of one phrase together: nothing else may be counted, and none left out.
    for phrase, own in written.items():
        found = tcptune.file(f"{phrase}.log", "".join(f"{line}\n" for line in own))
        said = json.loads(tcptune("logs", found, "--format", "json", expect=10 if phrase else 0).stdout)
        counted = {one["id"]: one["lines"] for error in said["errors"] for one in error["phrases"]}
        assert counted == ({f"haproxy.{phrase}": len(own)} if phrase else {}), own
        peers = {one["peer"].partition("/")[0] for one in said["peers"]}
        assert peers <= {*PORTS, "127.0.0.1"}, own
        assert said["no_peer"] == 0
