"""A whole rollout over racks of hosts that serve: wave after wave, and a journal that tells all of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.request import urlopen

import pytest

from tests.acceptance import agreement
from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, Machine
from tests.acceptance.test_rollout import kept

pytestmark = [pytest.mark.lab, pytest.mark.timeout(3600)]

PORT = 8099
FOLDER = "/run/page"
RACK = 4
POLICY = f"""\
policy: racks
waves: {{waves}}
failure_domain: rack
soak: 5s
gates:
  - gate: ssh
    within_s: 60
  - gate: tcp
    ports: [{PORT}]
    within_s: 30
  - gate: counters
    window_s: 5
"""


@contextmanager
def served(fleet: list[Machine]) -> Iterator[None]:
    """Let every host serve a page, and ask for it about twice a second."""
    for machine in fleet:
        machine.run("mkdir", "-p", FOLDER)
        machine.write(f"{FOLDER}/index.html", "well\n")
        machine.run("busybox", "httpd", "-p", str(PORT), "-h", FOLDER)
    over = threading.Event()

    def ask(some: list[Machine]) -> None:
        while not over.wait(0.5):
            for machine in some:
                with suppress(OSError), urlopen(f"http://{machine.address}:{PORT}/", timeout=10) as answer:
                    answer.read()

    threads = [threading.Thread(target=ask, args=(fleet[at::4],), daemon=True) for at in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def racks(fleet: list[Machine]) -> dict[str, str]:
    """Put four hosts, one beside the other, into each rack."""
    return {machine.name: f"rack{at // RACK + 1}" for at, machine in enumerate(fleet)}


@pytest.mark.parametrize(
    ("count", "waves", "sizes"),
    [
        (8, "[1, 25%, 100%]", [1, 2, 5]),
        pytest.param(40, "[1, 5%, 25%, 100%]", [1, 2, 10, 27], marks=pytest.mark.slow),
    ],
)
def test_racks_of_serving_hosts_are_changed_wave_by_wave_and_the_journal_tells_all_of_it(
    tcptune: Tcptune, machines: Machines, on: On, count: int, waves: str, sizes: list[int]
) -> None:
    tcptune.timeout_s = 1800
    fleet = machines(count)
    rack_of, plan, events = racks(fleet), tcptune.file("plan.json"), tcptune.file("events.jsonl")
    labels = {name: {"tcptune_labels": {"rack": rack}} for name, rack in rack_of.items()}
    labelled = tcptune.file("racks.yml", json.dumps({"all": {"hosts": labels}}))
    chosen = tcptune.file("racks-policy.yml", POLICY.format(waves=waves))
    tcptune("plan", PROFILE, *on(*fleet), "-i", labelled, "-o", plan, expect=10)
    before = agreement.look(fleet)

    with served(fleet):
        time.sleep(1)
        start = time.monotonic()
        tcptune("apply", plan, *on(*fleet)[:2], "-i", labelled, "--policy", chosen, *ALLOWED, "--events", events)
        print(f"{count} hosts: {time.monotonic() - start:.0f} s")

    tcptune("verify", "last")
    shown = tcptune("runs", "show", "last").stdout
    print(shown)
    assert len(shown.splitlines()) <= 24
    assert max(map(len, shown.splitlines())) <= 100
    record = json.loads(tcptune("runs", "export", "last").stdout)
    assert agreement.disagreements(record["run"], before, agreement.look(fleet)) == []
    assert all(kept(machine) for machine in (fleet[0], fleet[-1]))
    assert "nothing is left over" in tcptune("doctor").stdout
    told = [json.loads(line) for line in events.read_text().splitlines()]
    assert (told[0]["event"], told[-1]["event"]) == ("rollout_began", "rollout_ended")
    assert [one["wave"] for one in told if one["event"] == "wave_began"] == list(range(1, len(sizes) + 1))
    waves_of = [wave["hosts"] for wave in record["waves"]]
    assert [len(hosts) for hosts in waves_of] == sizes
    whole = [rack for hosts in waves_of for rack in set(rack_of.values()) if _all_of(rack, rack_of) <= set(hosts)]
    assert whole == [], "a wave that goes wrong would take a whole rack with it"
    _tells_all(record, waves_of)


def _all_of(rack: str, rack_of: dict[str, str]) -> set[str]:
    return {host for host, where in rack_of.items() if where == rack}


def _tells_all(record: dict[str, Any], waves_of: list[list[str]]) -> None:
    """Check that the journal has each step of each wave and host in its order, and each check of each host between."""
    log, at = record["log"], 0
    for number, hosts in enumerate(waves_of, start=1):
        steps: list[tuple[object, str, set[object]]] = [
            ("wave", "changing", {number}),
            ("host", "applying", set(hosts)),
            ("host", "held", set(hosts)),
            ("wave", "soaking", {number}),
            ("wave", "passed", {number}),
            ("host", "confirmed", set(hosts)),
            ("wave", "confirmed", {number}),
        ]
        for what, state, wanted in steps:
            lines = [one if what == "host" or one["host"] is None else {} for one in log]
            places = {one[what]: place for place, one in enumerate(lines) if one.get("after") == state and one[what]}
            assert wanted <= set(places), f"wave {number}: {state} is not told of all"
            assert min(places[one] for one in wanted) >= at, f"wave {number}: {state} came too early"
            if what == "wave":
                at = places[number]
    last = {(one["host"], one["gate"], one["check"]): one for one in record["samples"]}
    for host in [host for hosts in waves_of for host in hosts]:
        said = {(gate, check): one["verdict"] for (name, gate, check), one in last.items() if name == host}
        passed = {gate for (gate, check), verdict in said.items() if verdict == "passed" and gate != "counters"}
        assert passed == {"ssh", "tcp"}, said
        assert said["counters", "listen-overflows"] == "passed", said
        assert set(said.values()) <= {"passed", "undecided"}
