"""Real faults on real hosts: named first, and where the kernel helps, cured by the way over a plan."""

from __future__ import annotations

import errno
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import Machine

pytestmark = pytest.mark.lab

BUCKETS = "net.ipv4.tcp_max_tw_buckets"
SCRIPT = "/run/fault.py"
FAULT = """\
import socket, struct, sys, threading, time

kind, end = sys.argv[1], time.time() + 120
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("" if kind == "open" else "127.0.0.1", 8080))
server.listen(8)
kept = []


def serve():
    while time.time() < end:
        one = server.accept()[0]
        if kind == "linger":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if kind == "leak":
            kept.append(one)
        else:
            one.close()


threading.Thread(target=serve, daemon=True).start()
while time.time() < end:
    client = socket.create_connection(("127.0.0.1", 8080))
    if kind == "short":
        client.recv(1)
    time.sleep(0.02)
    client.close()
"""


DMESG = "/run/dmesg"
OTHERS = """\
#!/bin/sh
read -r up _ </proc/uptime
echo "[    0.000000] Linux version"
echo "[$up] TCP: time wait bucket table overflow"
echo "[$up] nf_conntrack: nf_conntrack: table full, dropping packet"
echo "[$up] TCP: too many orphaned sockets"
"""
"""Says that other hosts of the machine were in trouble, each time a moment ago."""


@contextmanager
def fault(machine: Machine, kind: str) -> Iterator[None]:
    """Make a fault for as long as the block lasts."""
    machine.write(SCRIPT, FAULT)
    started = machine.run("sh", "-c", f"setsid python3 {SCRIPT} {kind} >/dev/null 2>&1 & echo $!")
    try:
        machine.run("sleep", "3")
        yield
    finally:
        machine.run("kill", started.strip())


def diagnosed(tcptune: Tcptune, *options: str, expect: int) -> list[dict[str, Any]]:
    said = tcptune("diagnose", *options, "--window", "6s", "--format", "json", expect=expect)
    [host] = json.loads(said.stdout)["hosts"]
    assert host["not_judged"] == []
    causes: list[dict[str, Any]] = host["causes"]
    return causes


@pytest.mark.parametrize(("kind", "cause"), [("leak", "state.close_wait_leak"), ("linger", "reset.so_linger_zero")])
def test_a_fault_of_a_program_is_named_and_no_setting_is_proposed(
    tcptune: Tcptune, machines: Machines, on: On, kind: str, cause: str
) -> None:
    [machine] = machines(1)
    fix = tcptune.file("fix.yml")
    with fault(machine, kind):
        found = diagnosed(tcptune, *on(machine), "--emit-profile", str(fix), expect=10)

    assert found[0]["cause"] == cause
    assert found[0]["kernel_change_helps"] is False
    assert not [one for one in found[1:] if one["confidence"] == "high"]
    assert not fix.exists()


def test_a_host_that_is_well_has_no_finding(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)

    assert diagnosed(tcptune, *on(machine), expect=0) == []


@pytest.mark.parametrize("log", ["lines of other hosts", "cleared"])
def test_the_log_of_the_whole_machine_makes_no_finding_on_one_of_its_hosts(
    tcptune: Tcptune, machines: Machines, on: On, log: str
) -> None:
    [machine] = machines(1)
    machine.write(DMESG, OTHERS if log == "lines of other hosts" else "#!/bin/sh\n", "0755")
    dmesg = machine.run("sh", "-c", "command -v dmesg").strip()
    # The host has a mount namespace of its own.
    machine.run("mount", "--bind", DMESG, dmesg)
    try:
        _, facts = tcptune("facts", *on(machine), "--evidence").stdout.splitlines()
        assert ("bucket table overflow" in facts) is (log == "lines of other hosts")
        assert diagnosed(tcptune, *on(machine), expect=0) == []
    finally:
        machine.run("umount", dmesg)


def test_a_fault_of_a_setting_is_cured_by_the_profile_of_the_diagnosis(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    machine.set({BUCKETS: "5"})
    first, last, fix, plan = (tcptune.file(name) for name in ("first.jsonl", "last.jsonl", "fix.yml", "plan.json"))
    with fault(machine, "short"):
        tcptune("facts", *on(machine), "-o", first)
        found = diagnosed(tcptune, *on(machine), "--emit-profile", str(fix), expect=10)
        tcptune("facts", *on(machine), "-o", last)
        assert [(one["cause"], one["confidence"]) for one in found] == [("reset.tw_overflow", "high")]

        tcptune("plan", fix, *on(machine), "-o", plan, expect=10)
        tcptune("apply", plan, "--allow-risk", BUCKETS)
        tcptune("confirm", "last")
        assert machine.value(BUCKETS) == "262144"

        seen = tcptune("verify", "last", "--window", "10s", "--before", first, last, "--format", "json")
        assert diagnosed(tcptune, *on(machine), expect=0) == []

    [effect] = json.loads(seen.stdout)["effects"]
    assert {one["rule"]: one["outcome"] for one in effect["rates"]}["sent-resets"] == "fixed"
    assert not [one for one in effect["rates"] if one["outcome"] == "worse"]


def test_a_plan_of_the_diagnosis_changes_the_hosts_that_were_found_ill_and_no_other(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    several = machines(3)
    for machine in several:
        machine.set({BUCKETS: "5"})
    ill, quiet = several[:2], several[2]
    fix, plan = tcptune.file("fix.yml"), tcptune.file("plan.json")
    with fault(ill[0], "short"), fault(ill[1], "short"):
        said = tcptune("diagnose", *on(*several), "--window", "6s", "--emit-profile", str(fix), expect=10)
    assert "for 2 of 3 hosts" in said.stderr

    tcptune("plan", fix, *on(*several), "-o", plan, expect=10)

    [cohort] = json.loads(plan.read_text())["cohorts"]
    assert cohort["hosts"] == sorted(machine.name for machine in ill)
    assert [(change["key"], change["after"]) for change in cohort["changes"]] == [(BUCKETS, "262144")]
    assert json.loads(plan.read_text())["fine"] == [quiet.name]
    for machine in ill:
        assert f"# {machine.name}: reset.tw_overflow (high): TcpExt.TCPTimeWaitOverflow " in fix.read_text()


def test_a_login_without_root_is_told_what_was_found_and_what_may_be_there_unseen(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    plain = ("--become", "--become-user", "nobody")
    with fault(machine, "leak"):
        said = tcptune("diagnose", *on(machine), *plain, "--window", "6s", "--format", "json", expect=4)

    [host] = json.loads(said.stdout)["hosts"]
    assert [(one["cause"], one["about"]) for one in host["causes"]] == [
        ("state.close_wait_leak", "processes that were not seen")
    ]
    gaps = {gap["group"]: gap for gap in host["not_judged"]}
    assert gaps["open-files"]["root"]
    assert gaps["open-files"]["causes"] == ["limit.emfile"]
    assert "8080" in gaps["open-files"]["why"]


REJECTS = (
    "table ip t { chain i { type filter hook input priority 0; iif != lo tcp dport 8080 reject with tcp reset; }; }"
)


def test_a_firewall_that_resets_like_a_closed_port_is_told_by_capture_and_host_together(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    for program in ("tcpdump", "nft"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing")
    [machine] = machines(1)
    capture = tcptune.file("refused.pcap")
    what = ["tcpdump", "-i", "any", "-Z", "root", "-U", "-w", str(capture), f"host {machine.address} and tcp port 8080"]
    with fault(machine, "open"):
        machine.run("nft", "-f", "-", text=REJECTS)
        with subprocess.Popen(what, stderr=subprocess.PIPE, text=True) as dump:
            try:
                assert dump.stderr is not None
                while "listening on" not in (line := dump.stderr.readline()):
                    assert line, "tcpdump did not begin"
                for _ in range(4):
                    with socket.socket() as tried:
                        assert tried.connect_ex((machine.address, 8080)) == errno.ECONNREFUSED
                time.sleep(1)
            finally:
                dump.terminate()
        alone = tcptune("diagnose", "--pcap", str(capture), "--format", "json", expect=10)
        joined = diagnosed(tcptune, *on(machine), "--pcap", str(capture), expect=10)

    assert [one["cause"] for one in json.loads(alone.stdout)["elsewhere"]["causes"]] == ["refused.closed_port"]
    assert [(one["cause"], one["about"]) for one in joined] == [("refused.firewall_reject", "port 8080")]
    assert {one["source"] for one in joined[0]["evidence"]} == {"listener", "counter", "pcap"}
