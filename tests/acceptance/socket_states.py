"""Sockets in known states on a host, and what its facts have to say of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tcptune.domain.facts import HostFacts
from tcptune.domain.sockets import Sockets, SocketState
from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine

SCENE = Path(__file__).with_name("socket_scene.py")


@contextmanager
def scene(machine: Machine) -> Iterator[tuple[int, int]]:
    """Give the processes that hold the scene's sockets: the client's, the server's."""
    machine.write("/run/scene.py", SCENE.read_text())
    machine.run("sh", "-c", "python3 /run/scene.py >/run/scene.said 2>/run/scene.wrong &")
    said: list[str] = []
    try:
        deadline = time.monotonic() + 30
        while "ready" not in said:
            assert time.monotonic() < deadline, machine.read("/run/scene.wrong")
            time.sleep(0.1)
            said = machine.read("/run/scene.said").split()
        yield int(said[0]), int(said[1])
    finally:
        machine.run("kill", *[word for word in said if word.isdigit()])


def read(tcptune: Tcptune, *options: str) -> HostFacts:
    """Give the facts of the one host, as the command wrote them."""
    _, line = tcptune("facts", *options, "--evidence").stdout.splitlines()
    return HostFacts.model_validate_json(line)


def judged(found: Sockets | None) -> Sockets:
    """Compare with the scene what both sources tell."""
    assert found is not None
    assert (found.unowned(SocketState.FIN_WAIT2), found.count(SocketState.FIN_WAIT2)) == (2, 3)
    assert (found.count(SocketState.CLOSE_WAIT), found.count(SocketState.SYN_SENT)) == (3, 1)
    ports = {port.port: port for port in found.ports}
    assert (ports[8080].waiting_s is None) is (found.source == "proc")
    assert (ports[8080].unaccepted, ports[8080].unread, ports[8081].unaccepted) == (2, 2, 1)
    assert ports[8080].states == {SocketState.ESTABLISHED: 6, SocketState.CLOSE_WAIT: 3}
    peers = {(peer.local, peer.address, peer.port): peer for peer in found.peers}
    to_server = peers["127.0.0.1", "127.0.0.1", 8080]
    assert to_server.states == {SocketState.ESTABLISHED: 5, SocketState.FIN_WAIT2: 3}
    assert to_server.in_range == 8
    assert peers["::1", "::1", 8080].sockets == 1
    full = peers["127.0.0.1", "127.0.0.1", 8081]
    assert (full.states[SocketState.SYN_SENT], full.retransmitting) == (1, 1)
    assert full.most_retransmissions >= 1
    assert found.zero_window == 1
    # sshd and tcptune talk as well: SSH asks for keepalive itself.
    assert found.keepalive.on >= 1
    # 300 s when the scene began; a machine that is emulated takes its time.
    assert 200 <= (found.keepalive.soonest_s or 0) <= 300
    return found
