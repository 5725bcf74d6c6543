"""A profile that harms what real clients ask of real servers: the canary pays for it, alone, and not for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.acceptance.command import Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import Machine
from tests.acceptance.test_gates import serving
from tests.acceptance.test_rollout import SSH, policy, story, waves
from tests.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

PORT = 8099
BUFFERS = "net.ipv4.tcp_rmem"
HARM = f"""\
profile: tiny-buffers
summary: One page for each receive buffer. It saves memory, and nothing else.
settings:
  {BUFFERS}:
    exactly: 4096 4096 4096
    why: memory is dear
    source: hearsay
"""

# It takes uploads over HTTP, and listens anew every second: what a service accepts has the buffers of its listener.
SERVER = f"""
import http.server, socket, threading, time
class Upload(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64
    def server_bind(self):
        # The new one listens before the old one ends.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()
    def handle_error(self, *_):
        pass
earlier = None
while True:
    server = Server(("", {PORT}), Upload)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    if earlier:
        earlier.shutdown()
        earlier.socket.close()
    else:
        print("up", flush=True)
    earlier = server
    time.sleep(1)
"""
# Two clients, each with at most ten uploads of 200 kB a second. As many send it: head and body at once.
CLIENTS = f"""
import socket, sys, threading, time
HEAD = b"POST / HTTP/1.1\\r\\nHost: lab\\r\\nConnection: close\\r\\nContent-Length: 200000\\r\\n\\r\\n"
def call():
    while True:
        try:
            with socket.create_connection(("127.0.0.1", {PORT}), timeout=30) as one:
                one.sendall(HEAD + b"x" * 200_000)
                while one.recv(4096):
                    pass
        except OSError:
            pass  # its listener has just ended; the next one is there
        time.sleep(0.1)
for _ in range(2):
    threading.Thread(target=call, daemon=True).start()
print("up", flush=True)
sys.stdin.read()
"""


@contextmanager
def uploads(lab: Lab, fleet: list[Machine]) -> Iterator[None]:
    """Let every host serve HTTP, and have it used."""
    with ExitStack() as stack:
        for machine in fleet:
            # As on a real network: a segment over loopback is larger than the buffers that this is about.
            machine.run("ip", "link", "set", "lo", "mtu", "1500")
            stack.enter_context(serving(lab, machine, SERVER))
            stack.enter_context(serving(lab, machine, CLIENTS))
        yield


def rolled_out(tcptune: Tcptune, on: On, fleet: list[Machine], chosen: str, expect: int) -> Said:
    """Plan the harm, and carry it to the hosts."""
    profile, plan = tcptune.file("tiny.yml", HARM), tcptune.file("plan.json")
    tcptune("plan", profile, *on(*fleet), "-o", plan, expect=10)
    tcptune.timeout_s = 400
    return tcptune("apply", plan, "--policy", chosen, expect=expect)


def test_the_canarys_counters_show_the_harm_and_no_second_host_is_touched(
    tcptune: Tcptune, lab: Lab, machines: Machines, on: On
) -> None:
    fleet = machines(4)
    gates = f"{SSH}\n  - gate: counters\n    window_s: 6"
    chosen = policy(tcptune, gates=gates)
    with uploads(lab, fleet):
        before = {machine: machine.state() for machine in fleet}
        traces = {machine: machine.traces() for machine in fleet[1:]}

        said = rolled_out(tcptune, on, fleet, chosen, expect=6)

        assert {machine: machine.state() for machine in fleet} == before
        assert {machine: machine.traces() for machine in fleet[1:]} == traces
    print(said)
    assert waves(tcptune) == ["rolled back", "left out", "left out"]
    failed = [one for one in story(tcptune)["samples"] if one["verdict"] == "failed"]
    assert {one["gate"] for one in failed} == {"counters"}
    assert {one["check"] for one in failed} & {"overfull-windows", "retransmissions"}, failed
    assert {one["host"] for one in story(tcptune)["samples"]} == {fleet[0].name}
    for one in failed:
        [row] = [line for line in said.stdout.splitlines() if f" {one['check']} " in line and "failed" in line][-1:]
        assert one["after"] > one["threshold"]
        assert one["host"] in row
    assert "nothing is left over" in tcptune("doctor").stdout


@pytest.mark.parametrize(
    ("treat", "status", "first", "second"),
    [
        ("hold", 10, "held", "planned"),
        pytest.param("continue", 0, "confirmed", "confirmed", marks=pytest.mark.slow),
        pytest.param("fail", 6, "rolled back", "left out", marks=pytest.mark.slow),
    ],
)
def test_without_traffic_the_same_harm_is_undecided_and_the_policy_says_what_that_is(
    tcptune: Tcptune, machines: Machines, on: On, treat: str, status: int, first: str, second: str
) -> None:
    fleet = machines(2)
    before = {machine: machine.state() for machine in fleet}
    gates = f"  - gate: counters\n    window_s: 5\n    undecided: {{idle: {treat}}}"
    chosen = policy(tcptune, waves="[1, 100%]", gates=gates)

    said = rolled_out(tcptune, on, fleet, chosen, expect=status)

    assert waves(tcptune) == [first, second]
    idle = [one for one in story(tcptune)["samples"] if one["cause"] == "idle"]
    assert {one["treat"] for one in idle} == {treat}
    assert not [one for one in story(tcptune)["samples"] if one["verdict"] == "failed"]
    assert (f"undecided (idle): {treat}" in said.stdout) == (treat != "continue")
    harmed = [machine for machine in fleet if machine.value(BUFFERS) == "4096 4096 4096"]
    assert len(harmed) == {"hold": 1, "continue": 2, "fail": 0}[treat]
    if harmed:
        tcptune("rollback", "last")
    assert {machine: machine.state() for machine in fleet} == before
