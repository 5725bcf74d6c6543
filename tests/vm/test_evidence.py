"""What each release's own ss, awk and kernel tell for a diagnosis."""

from __future__ import annotations

import pytest

from tcptune.domain.sockets import SocketState
from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.acceptance.socket_states import judged, read, scene
from tests.vm.conftest import On

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]


def test_every_release_tells_its_sockets_and_its_log(tcptune: Tcptune, machine: Machine, on: On) -> None:
    machine.run(
        "sh", "-c", "echo 'TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.' >/dev/kmsg"
    )
    with scene(machine) as (client, server):
        facts = read(tcptune, *on())
        open_files = int(machine.run("sh", "-c", f"ls /proc/{server}/fd | wc -l"))

    assert facts.gaps == {}
    found = judged(facts.sockets)
    assert (found.source, found.owners_known, found.notes) == ("ss", True, ())
    held = {(owner.state, owner.pid): owner for owner in found.owners}
    assert held[SocketState.CLOSE_WAIT, server].sockets == 3
    assert held[SocketState.CLOSE_WAIT, server].quiet_s is not None
    processes = {process.pid: process for process in found.processes}
    # Linux 5.10 and 6.1 do not tell the number themselves: names are counted.
    assert processes[server].open_files == open_files
    assert processes[client].age_s is not None
    assert facts.kernel_log is not None
    assert [(one.message, one.lines) for one in facts.kernel_log.counts] == [("possible_syn_flooding", 1)]
    assert facts.pressure is not None
    assert facts.pressure.tcp_mem_pages is not None
    assert facts.drops is not None
    assert facts.drops.softnet
    assert facts.drops.links
