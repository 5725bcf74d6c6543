"""What listeners really got, with a real nginx."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import SOMAXCONN, Machine

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("_nginx")]

FOLDER = "/run/nginx-test"
PORT = 8080
CONFIG = """\
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  server {{ listen {port}{backlog}; return 204; }}
}}
"""


@pytest.fixture(scope="module")
def _nginx() -> None:
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("nginx is missing (Debian package nginx-light)")


class Nginx:
    """nginx on one machine, with a configuration of its own."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def configure(self, backlog: int | None) -> None:
        """Write the configuration; None leaves the backlog to nginx."""
        said = f" backlog={backlog}" if backlog is not None else ""
        self.machine.run("mkdir", "-p", FOLDER)
        self.machine.write(f"{FOLDER}/nginx.conf", CONFIG.format(folder=FOLDER, port=PORT, backlog=said))

    def run(self, *options: str) -> None:
        """Run the program: without options it starts the daemon."""
        self.machine.run("nginx", "-c", f"{FOLDER}/nginx.conf", "-e", f"{FOLDER}/error.log", *options)

    def queue_limit(self) -> int:
        """Give what the kernel says of the listener, without our own probe."""
        [line] = self.machine.run("ss", "-Hltn", f"sport = :{PORT}").splitlines()
        return int(line.split()[2])


@contextmanager
def serving(machine: Machine, backlog: int | None) -> Iterator[Nginx]:
    nginx = Nginx(machine)
    nginx.configure(backlog)
    nginx.run()
    try:
        yield nginx
    finally:
        nginx.run("-s", "stop")


def concerns(tcptune: Tcptune, profile: str, *options: str, expect: int) -> list[dict[str, object]]:
    """Give what the audit says of accept queues."""
    [host] = json.loads(tcptune("audit", profile, *options, "--format", "json", expect=expect).stdout)["hosts"]
    assert not [one for one in host["not_judged"] if one["check"] == "accept-queue"]
    return [one for one in host["concerns"] if one["check"] == "accept-queue"]


def test_a_listener_that_asks_for_too_little_is_named_and_somaxconn_is_cleared(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    assert machine.value(SOMAXCONN) == "4096"
    with serving(machine, backlog=128) as nginx:
        assert nginx.queue_limit() == 128

        said = " ".join(tcptune("audit", "baseline", *on(machine), expect=10).stdout.split())
        [found] = concerns(tcptune, "baseline", *on(machine), expect=10)

    assert f"nginx itself asks for a queue of 128: {SOMAXCONN} is not the limit" in said
    assert f"0.0.0.0:{PORT} nginx" in said
    assert "queue limit 128, 0 waiting" in said
    assert f"{SOMAXCONN} = 4096" in said
    assert "try (proxy): where bursts come in, ask for more, at most 4096: 'backlog=N'" in said
    assert (found["severity"], found["holds"], found["owner"]) == ("advice", "now", "proxy")


def test_nginx_that_asks_for_as_much_as_somaxconn_allows_is_no_concern_and_sshd_never_is(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    with serving(machine, backlog=8192) as nginx:
        assert nginx.queue_limit() == 4096

        assert concerns(tcptune, "baseline", *on(machine), expect=10) == []


def test_a_listener_that_somaxconn_cut_short_has_to_listen_again(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    machine.set({SOMAXCONN: "200"})
    with serving(machine, backlog=8192) as nginx:
        assert nginx.queue_limit() == 200

        [found] = concerns(tcptune, "baseline", *on(machine), expect=10)
        assert found["holds"] == "once the wanted values are set"
        assert "keeps its queue of 200 until it listens again" in str(found["what"])
        assert "restart nginx after the change" in str(found["remedy"])

        # It is true: the raise does nothing, nor does a reload with the same number; a restart does.
        machine.set({SOMAXCONN: "4096"})
        nginx.run("-s", "reload")
        assert nginx.queue_limit() == 200
        nginx.run("-s", "stop")
        _until_gone(machine)
        nginx.run()
        assert nginx.queue_limit() == 4096


def test_the_remedy_that_is_named_for_nginx_works(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    with serving(machine, backlog=128) as nginx:
        nginx.configure(backlog=4096)
        nginx.run("-s", "reload")
        _until(lambda: nginx.queue_limit() == 4096)

        assert concerns(tcptune, "baseline", *on(machine), expect=10) == []


def test_a_full_queue_does_harm_and_that_alone_is_no_good_news(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    machine.set({"net.ipv4.tcp_mtu_probing": "1"})
    machine.write("/etc/sysctl.d/60-fine.conf", "net.ipv4.tcp_mtu_probing = 1\n")
    tcptune("audit", "baseline", *on(machine))
    program = (
        "import socket, time\n"
        "s = socket.socket(); s.bind(('127.0.0.1', 8081)); s.listen(2)\n"
        "held = [socket.create_connection(('127.0.0.1', 8081)) for _ in range(3)]\n"
        "print('full', flush=True)\n"
        "time.sleep(60)\n"
    )
    machine.write("/run/full.py", program)
    machine.run("sh", "-c", "python3 /run/full.py >/run/full.said 2>&1 & echo $! >/run/full.pid")
    try:
        _until(lambda: "full" in machine.read("/run/full.said"))
        [found] = concerns(tcptune, "baseline", *on(machine), expect=10)
    finally:
        machine.run("kill", machine.read("/run/full.pid").strip())

    assert found["severity"] == "harm"
    assert "127.0.0.1:8081 python3" in str(found["evidence"])
    assert "queue limit 2, 3 waiting" in str(found["evidence"])


def test_a_plan_tells_of_the_harm_it_would_do(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    program = "import socket, time; s = socket.create_server(('', 20000)); time.sleep(60)"
    machine.run("sh", "-c", f'python3 -c "{program}" >/dev/null 2>&1 & echo $! >/run/app.pid')
    try:
        _until(lambda: bool(machine.run("ss", "-Hltn", "sport = :20000")))
        tcptune("audit", "baseline", *on(machine), expect=10)
        made = tcptune("plan", "web-frontend", *on(machine), "-o", plan, expect=10)
    finally:
        machine.run("kill", machine.read("/run/app.pid").strip())

    told = " ".join(made.stderr.split())
    assert "(harm, once the wanted values are set: port-listeners)" in told
    assert "port 20000: python3" in told
    assert "set net.ipv4.ip_local_reserved_ports = 20000;" in told
    assert "concern" not in plan.read_text()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _until_gone(machine: Machine) -> None:
    _until(lambda: not machine.run("ss", "-Hltn", f"sport = :{PORT}"))
