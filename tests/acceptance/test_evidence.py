"""What a host tells for a diagnosis: real sockets, a real ss and a real kernel, over real SSH."""

from __future__ import annotations

import json
import time

import pytest

from tcptune.adapters.transport import FleetTransport
from tcptune.adapters.workers import ThreadWorkers
from tcptune.cli import wiring
from tcptune.domain.facts import HostFacts, Unread
from tcptune.domain.rates import Rates, rates
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import SocketState
from tcptune.workflows.collect import Collector
from tcptune.workflows.evidence import Sampler
from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.socket_states import judged, read, scene

pytestmark = pytest.mark.lab


def test_sockets_are_told_with_their_owners(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    with scene(machine) as (client, server):
        facts = read(tcptune, *on(machine))

    found = judged(facts.sockets)
    assert (found.source, found.owners_known, found.notes) == ("ss", True, ())
    held = {(owner.state, owner.pid): owner for owner in found.owners}
    leaked = held[SocketState.CLOSE_WAIT, server]
    assert (leaked.sockets, leaked.unread, leaked.name) == (3, 2, "python3")
    assert leaked.quiet_s is not None
    assert 1 < leaked.quiet_s < 30
    slow = held[SocketState.ESTABLISHED, server]
    assert slow.unread == 2
    assert slow.unread_s is not None
    assert 1 < slow.unread_s < 30
    assert held[SocketState.FIN_WAIT2, None].owned is False
    assert held[SocketState.FIN_WAIT2, client].sockets == 1
    assert held[SocketState.SYN_SENT, client].quiet_s is None
    assert found.peer_window_limited == 1
    processes = {process.pid: process for process in found.processes}
    assert processes[server].listens
    assert processes[server].open_files
    assert processes[server].nofile_soft
    assert 1 < (processes[server].age_s or 0) < 60
    assert processes[client].open_files


def test_without_ss_the_same_is_told_but_for_the_owners(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    ss = machine.run("sh", "-c", "command -v ss").strip()
    with scene(machine):
        # The host has a mount namespace of its own.
        machine.run("mount", "--bind", "/dev/null", ss)
        try:
            facts = read(tcptune, *on(machine))
        finally:
            machine.run("umount", ss)

    found = judged(facts.sockets)
    assert (found.source, found.owners_known, found.processes) == ("proc", False, ())
    assert "ss is not installed or refuses" in found.notes[0]


def test_facts_without_the_option_hold_no_evidence_and_nobody_is_asked(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    _, line = tcptune("facts", *on(machine)).stdout.splitlines()
    facts = json.loads(line)

    assert [facts[name] for name in ("sockets", "pressure", "drops", "kernel_log")] == [None] * 4
    assert facts["gaps"] == {}


def test_a_file_with_evidence_can_be_read_again(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    stored = tcptune.file("before.jsonl")
    tcptune("facts", *on(machine), "--evidence", "-o", stored)
    page = tcptune("facts", "--facts", stored, "--format", "summary").stdout

    assert "sockets, as ss tells" in page
    assert "memory of TCP" in page


@pytest.mark.parametrize("other", [("--facts", "x.jsonl"), ("--via", "ansible")])
def test_evidence_that_cannot_be_read_is_refused(tcptune: Tcptune, other: tuple[str, str]) -> None:
    said = tcptune("facts", "-i", "web1,", "--evidence", *other, expect=2).stderr

    assert said.startswith("error: --evidence ")


def test_two_samples_over_ssh_tell_what_grew(machines: Machines, on: On) -> None:
    first, second = machines(2)
    hosts = wiring.inventory([on(first)[1]], f"{first.name},{second.name}")
    # Nothing listens there: each is one RST that is sent.
    refused = "import socket\nfor _ in range(40): socket.socket().connect_ex(('127.0.0.1', 9))\n"

    def work(one: HostFacts | Unread) -> None:
        if one.host == first.name:
            first.run("python3", "-c", refused)

    found = {one.host: one for one in wiring.sampler(4, 30).stream(hosts, [], 2.0, work)}

    assert set(found) == {first.name, second.name}
    numbers = {}
    for name, sampled in found.items():
        assert isinstance(sampled, Sampled)
        assert not sampled.rebooted
        # The kernel's log is the machine's own: somebody may just have cleared it.
        assert sampled.second.gaps.keys() - {"kernel_log"} == {"config_files", "unit_files", "rivals"}
        told = rates(sampled)
        assert isinstance(told, Rates)
        assert 2 <= told.seconds < 15
        numbers[name] = told
    assert numbers[first.name].grew("Tcp.AttemptFails") == 40
    assert numbers[second.name].grew("Tcp.AttemptFails") == 0
    assert (numbers[first.name].grew("Tcp.OutRsts") or 0) >= 40
    # One connection served both looks.
    assert [one.grew("Tcp.PassiveOpens") for one in numbers.values()] == [0, 0]


@pytest.mark.parametrize("keeping", [True, False])
def test_a_host_that_is_gone_at_the_second_look_is_unread(machines: Machines, on: On, keeping: bool) -> None:
    [machine] = machines(1)
    hosts = wiring.inventory([on(machine)[1]], machine.name)
    transport = FleetTransport(keeping=keeping)
    sampler = Sampler(Collector(transport, ThreadWorkers(1), wiring.now), wiring.elapsed, time.sleep, transport.close)

    def cut(_: HostFacts | Unread) -> None:
        machine.run("nft", "add", "table", "inet", "gone")
        machine.run("nft", "add", "chain", "inet", "gone", "in", "{ type filter hook input priority 0; }")
        machine.run("nft", "add", "rule", "inet", "gone", "in", "tcp", "dport", "22", "reject", "with", "tcp", "reset")

    try:
        [one] = sampler.stream(hosts, [], 1.0, cut)
    finally:
        machine.run("nft", "delete", "table", "inet", "gone")

    assert isinstance(one, Unread)
    assert one.error.startswith("it was read once, and not again 1 s later: ")


def test_a_kept_connection_that_died_meanwhile_is_made_anew(machines: Machines, on: On) -> None:
    [machine] = machines(1)
    hosts = wiring.inventory([on(machine)[1]], machine.name)

    def end(_: HostFacts | Unread) -> None:
        # Ours alone: it is a host of its own, with nobody else on it.
        machine.run("ss", "-K", "state", "established", "( sport = :22 )")
        if machine.run("ss", "-Htn", "state", "established", "( sport = :22 )"):
            pytest.skip("this kernel closes no socket from outside (CONFIG_INET_DIAG_DESTROY)")

    [one] = wiring.sampler(1, 30).stream(hosts, [], 1.0, end)

    assert isinstance(one, Sampled)
    told = rates(one)
    assert isinstance(told, Rates)
    assert told.grew("Tcp.PassiveOpens") == 1


def test_a_kept_connection_on_which_nobody_answers_leaves_time_for_a_new_one(machines: Machines, on: On) -> None:
    [machine] = machines(1)
    hosts = wiring.inventory([on(machine)[1]], machine.name)

    def silence(_: HostFacts | Unread) -> None:
        [line] = machine.run("ss", "-Htn", "state", "established", "( sport = :22 )").splitlines()
        port = line.split()[3].rpartition(":")[2]
        machine.run("nft", "add", "table", "inet", "mute")
        machine.run("nft", "add", "chain", "inet", "mute", "in", "{ type filter hook input priority 0; }")
        machine.run("nft", "add", "rule", "inet", "mute", "in", "tcp", "sport", port, "drop")

    try:
        [one] = wiring.sampler(1, 20).stream(hosts, [], 1.0, silence)
    finally:
        machine.run("nft", "delete", "table", "inet", "mute")

    assert isinstance(one, Sampled)
