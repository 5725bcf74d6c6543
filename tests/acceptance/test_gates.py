"""Gates on real hosts: their sshd, their ports, and what their kernel counts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from tcptune.cli import wiring
from tcptune.domain.gates import (
    Cause,
    Counted,
    CounterReading,
    CountersGate,
    CountersUnread,
    GateTable,
    SshGate,
    TcpGate,
    Treat,
    Verdict,
    Watched,
    Window,
)
from tcptune.domain.hosts import Host
from tcptune.reports import FORMATS
from tcptune.workflows.gates import Watch, compared
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

Look = dict[str, CounterReading | CountersUnread]

WINDOW_S = 5
PORT = 8099
# A service and its clients on one host: a hundred connections a second. A word on standard input, and it accepts none.
SERVICE = f"""
import collections, select, socket, sys, threading, time
listener = socket.create_server(("", {PORT}), backlog=128)
accepting = threading.Event()
accepting.set()
def serve():
    while accepting.wait():
        if select.select([listener], [], [], 0.1)[0] and accepting.is_set():
            listener.accept()[0].close()
def call():
    calls = collections.deque()
    while True:
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", {PORT}))
        calls.append(one)
        if len(calls) > 50:
            calls.popleft().close()
        time.sleep(0.01)
threading.Thread(target=serve, daemon=True).start()
threading.Thread(target=call, daemon=True).start()
print("up", flush=True)
if sys.stdin.readline():
    accepting.clear()
    print("stuck", flush=True)
    sys.stdin.read()
"""


# One that is sent 200 kB at a time, by three clients.
UPLOADS = f"""
import socket, sys, threading, time
listener = socket.create_server(("", {PORT}), backlog=64)
def take(connection):
    while connection.recv(65536):
        pass
    connection.close()
def serve():
    while True:
        threading.Thread(target=take, args=(listener.accept()[0],), daemon=True).start()
def call():
    while True:
        one = socket.create_connection(("127.0.0.1", {PORT}))
        one.sendall(b"x" * 200_000)
        one.shutdown(socket.SHUT_WR)
        one.recv(1)
        one.close()
        time.sleep(0.03)
for work in (serve, call, call, call):
    threading.Thread(target=work, daemon=True).start()
print("up", flush=True)
sys.stdin.read()
"""


@contextmanager
def serving(lab: Lab, machine: Machine, program: str = SERVICE) -> Iterator[Callable[[], None]]:
    """Run a service, and give what makes it stop accepting."""
    argv = lab.command(machine.name, ["python3", "-c", program])
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        stdin, stdout = process.stdin, process.stdout

        def stick() -> None:
            stdin.write("now\n")
            stdin.flush()
            assert stdout.readline() == "stuck\n"

        try:
            yield stick
        finally:
            process.terminate()


@pytest.fixture
def watch() -> Watch:
    return wiring.watch(8, 10)


def known(lab: Lab, machines: Sequence[Machine]) -> list[Host]:
    return wiring.inventory([str(lab.inventory)], ",".join(machine.name for machine in machines))


def looked(watch: Watch, hosts: Sequence[Host]) -> dict[str, Window]:
    """Look twice, a window apart."""
    first: Look = watch.counters(hosts)
    time.sleep(WINDOW_S + 1)
    last = watch.counters(hosts)
    return {name: Window(first=first[name], last=last[name]) for name in first}


def judged(before: dict[str, Window], after: dict[str, Window], changed: str) -> tuple[Counted, ...]:
    """Compare one host with the others."""
    gate = CountersGate.model_validate({"window_s": WINDOW_S})
    hosts = [Watched(host=name, before=before[name], after=after[name]) for name in before]
    return compared(gate, [h for h in hosts if h.host == changed], [h for h in hosts if h.host != changed])


def test_a_service_that_no_longer_accepts_is_seen_in_the_kernels_counters(
    lab: Lab, machines: Machines, watch: Watch
) -> None:
    fleet = machines(4)
    hosts, changed = known(lab, fleet), fleet[0]
    with serving(lab, changed) as stick, serving(lab, fleet[1]), serving(lab, fleet[2]), serving(lab, fleet[3]):
        before = looked(watch, hosts)
        quiet = judged(before, looked(watch, hosts), changed.name)
        stick()
        harmed = judged(before, looked(watch, hosts), changed.name)

    assert not [row for row in quiet if row.treat is Treat.FAIL], FORMATS["terminal"](_table(quiet))
    [fine] = [row.sample for row in quiet if row.sample.check == "listen-overflows"]
    assert (fine.verdict, fine.after) == (Verdict.PASSED, 0)
    [worse] = [row.sample for row in harmed if row.sample.check == "listen-overflows"]
    assert worse.verdict is Verdict.FAILED, FORMATS["terminal"](_table(harmed))
    assert worse.after is not None
    assert worse.after > 10
    assert "1 times on the 3 hosts not yet changed" in worse.why


def test_a_setting_that_harms_is_seen_in_the_kernels_counters(lab: Lab, machines: Machines, watch: Watch) -> None:
    fleet = machines(4)
    hosts, changed = known(lab, fleet), fleet[0]
    with ExitStack() as stack:
        for machine in fleet:
            # As on a real network: a segment over loopback is larger than the buffers that this is about.
            machine.run("ip", "link", "set", "lo", "mtu", "1500")
            if machine is not changed:
                stack.enter_context(serving(lab, machine, UPLOADS))
        with serving(lab, changed, UPLOADS):
            before = looked(watch, hosts)
        changed.set({"net.ipv4.tcp_rmem": "4096 4096 4096"})
        # What a service has accepted inherits the buffer of its listener: a new size takes a restart.
        with serving(lab, changed, UPLOADS):
            harmed = judged(before, looked(watch, hosts), changed.name)

    table = FORMATS["terminal"](_table(harmed))
    failed = {row.sample.check for row in harmed if row.sample.verdict is Verdict.FAILED}
    assert "overfull-windows" in failed, table
    assert {row.sample.check for row in harmed if row.sample.cause is Cause.IDLE} == set(), table


def test_a_host_that_was_booted_meanwhile_is_no_rate(lab: Lab, machines: Machines, watch: Watch) -> None:
    [machine] = machines(1)
    hosts = known(lab, [machine])
    with serving(lab, machine):
        before = looked(watch, hosts)
    machine.reboot()

    rows = judged(before, looked(watch, hosts), machine.name)

    assert {row.sample.cause for row in rows} == {Cause.REBOOTED}
    assert {row.treat for row in rows} == {Treat.FAIL}


def test_a_fresh_connection_works_or_says_why_not(lab: Lab, machines: Machines, watch: Watch) -> None:
    well, down, deaf = machines(3)
    hosts, gate = known(lab, [well, down, deaf]), SshGate(within_s=4)
    before = watch.answers(gate, hosts)
    lab.stop_sshd(down.name)
    deaf.answer_nobody_here()
    start = time.monotonic()

    found = {row.sample.host: row.sample for row in watch.tried(gate, hosts, before)}

    assert time.monotonic() - start < 20
    assert {name: one.verdict.value for name, one in found.items()} == {
        well.name: "passed",
        down.name: "failed",
        deaf.name: "failed",
    }
    assert found[well.name].before is not None
    assert "refused" in found[down.name].why
    assert "in time" in found[deaf.name].why


def test_a_port_of_a_host_is_open_or_not(lab: Lab, machines: Machines, watch: Watch) -> None:
    fleet = machines(2)
    hosts, gate = known(lab, fleet), TcpGate(ports=(PORT,), within_s=2)
    with serving(lab, fleet[0]):
        rows = watch.tried(gate, hosts, ())

    assert {row.sample.host: row.sample.verdict for row in rows} == {
        fleet[0].name: Verdict.PASSED,
        fleet[1].name: Verdict.FAILED,
    }


def _table(rows: Sequence[Counted]) -> GateTable:
    return GateTable(title="the lab", rows=tuple(rows))
