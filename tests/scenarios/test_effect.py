"""When a change reaches a connection: explain says it, and a plan says it beside the change."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tcptune.knowledge.catalogue import catalogue
from tests.kernel import kernel_lab
from tests.unit.builders import facts
from tests.unit.cli.conftest import Command

from .conftest import Put

QUEUE = "net.core.somaxconn"

needs_a_kernel = pytest.mark.skipif(kernel_lab.missing() is not None, reason=str(kernel_lab.missing()))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (QUEUE, "takes effect new listeners: next listen() call only"),
        (QUEUE, "already listening sockets keep the old limit until the process calls listen() again"),
        (QUEUE, "effective accept queue limit = min(backlog argument, somaxconn)"),
        (QUEUE, "none if the application passes a small backlog"),
        ("net.ipv4.tcp_keepalive_time", "existing ones only after their currently armed timer fires"),
        ("net.ipv4.tcp_keepalive_time", "Never for sockets without SO_KEEPALIVE"),
        ("net.ipv4.tcp_rmem", "default: sockets created afterwards"),
        ("net.ipv4.tcp_rmem", "max: existing autotuned sockets at once"),
        ("net.ipv4.tcp_congestion_control", "takes effect new sockets"),
        ("net.ipv4.tcp_congestion_control", "also connections accepted on existing listeners"),
        ("fs.nr_open", "running processes keep their limit"),
    ],
)
def test_explain_says_when_a_change_takes_effect(key: str, words: str, tcptune: Command) -> None:
    assert words in " ".join(tcptune("explain", key, "--kernel", "6.12").out.split())


def test_a_plan_says_what_each_change_reaches(tcptune: Command, put: Put) -> None:
    host = facts(sysctl={QUEUE: "128", "net.ipv4.tcp_keepalive_time": "7200"})
    path = put(host, settings={QUEUE: "at_least: 4096", "net.ipv4.tcp_keepalive_time": "at_most: 600"})
    lines = tcptune("plan", "wanted.yml", "--facts", path, "-i", "web1,").out.splitlines()

    [queue] = [line for line in lines if QUEUE in line and "->" in line]
    [idle] = [line for line in lines if "tcp_keepalive_time" in line and "->" in line]
    assert queue.endswith("new listeners")
    assert idle.endswith("next timer")


def test_a_plan_for_machines_carries_the_effect_with_its_reason(tcptune: Command, put: Put) -> None:
    path = put(facts(sysctl={QUEUE: "128"}), settings={QUEUE: "at_least: 4096"})
    made = json.loads(tcptune("plan", "wanted.yml", "--facts", path, "-i", "web1,", "--format", "json").out)
    [change] = made["cohorts"][0]["changes"]

    assert change["effect"] == "new listeners"
    assert change["effect_note"] == catalogue()[QUEUE].effect_note


# The claims themselves, measured where the tests may make a network namespace

MEASURE = """
import json, pathlib, socket, struct, subprocess, sys
assert str(pathlib.Path("/proc/self/ns/net").readlink()) != sys.argv[1], "this is the machine's own network"
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
net = pathlib.Path("/proc/sys/net")
queue, idle = net / "core/somaxconn", net / "ipv4/tcp_keepalive_time"

def backlog(listener):
    # tcp_info of a listener: tcpi_sacked is its backlog.
    return struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 28)[0]

said = {}
queue.write_text("128\\n")
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1000)
said["at first"] = backlog(listener)
queue.write_text("4096\\n")
said["raised"] = backlog(listener)
listener.listen(1000)
said["again"] = backlog(listener)
queue.write_text("16\\n")
said["lowered"] = backlog(listener)

plain = socket.socket()
said["idle"] = plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
idle.write_text("300\\n")
said["idle now"] = plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)

buffers = net / "ipv4/tcp_rmem"
before = socket.socket().getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
buffers.write_text("4096 70000 6291456\\n")
said["buffer"] = [before, plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
                  socket.socket().getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def measured() -> Any:
    here = str(Path("/proc/self/ns/net").readlink())
    command = ["unshare", "--net", sys.executable, "-c", MEASURE, here]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.lab
@needs_a_kernel
def test_a_listener_keeps_its_backlog_until_it_listens_again(measured: Any) -> None:
    found = [measured[at] for at in ("at first", "raised", "again", "lowered")]

    assert found == [128, 128, 1000, 1000]


@pytest.mark.lab
@needs_a_kernel
def test_a_socket_without_a_keepalive_of_its_own_follows_the_setting(measured: Any) -> None:
    assert (measured["idle"], measured["idle now"]) == (7200, 300)


@pytest.mark.lab
@needs_a_kernel
def test_a_socket_keeps_its_buffer_and_a_new_one_gets_the_new(measured: Any) -> None:
    before, old, new = measured["buffer"]

    assert old == before
    assert new == 70000 != before
