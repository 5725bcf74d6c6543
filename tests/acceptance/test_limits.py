"""Limits of running listeners, on real hosts: one that may open too few files, and one that may open enough."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import Machine

pytestmark = pytest.mark.lab

WANTED = 4096
PROFILE = f"""\
profile: files
limits:
  nofile:
    - {{at_least: {WANTED}, processes: [busybox, "web*"], why: each connection is a file, source: getrlimit(2)}}
    - {{at_least: {WANTED}, processes: [java], why: each connection is a file, source: getrlimit(2)}}
"""
SECRET = "hunter2"


def listen(machine: Machine, soft: int, hard: int) -> None:
    """Start a web server that outlives this call, with these limits of open files."""
    script = f"ulimit -S -n {soft} && ulimit -H -n {hard} && setsid busybox httpd -p 127.0.0.1:8080 -h /etc/security"
    machine.run("sh", "-c", script)
    for _ in range(50):
        if ":1F90 " in machine.run("cat", "/proc/net/tcp"):
            return
        time.sleep(0.1)
    raise AssertionError("nothing listens")


def test_limits_of_running_listeners_are_judged_shown_and_left_to_a_person(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    low, enough, silent = fleet = machines(3)
    listen(low, 1024, 8192)
    listen(enough, WANTED, 8192)
    enough.write("/etc/security/limits.d/90-web.conf", f"root soft nofile {WANTED}\n")
    # A unit of the same name: nothing of it belongs to this process, and its secret stays where it is.
    low.run("mkdir", "-p", "/etc/systemd/system/httpd.service.d")
    low.write("/etc/systemd/system/httpd.service", f"[Service]\nEnvironment=PASSWORD={SECRET}\nLimitNOFILE=9\n")
    profile = tcptune.file("files.yml", PROFILE)
    facts: Path = tcptune.file("facts.jsonl")
    before = {machine: machine.state() for machine in fleet}

    tcptune("facts", *on(*fleet), "-o", facts)
    assert SECRET not in facts.read_text()

    shown = tcptune("audit", profile, "--facts", facts, expect=10).stdout
    assert "1 of 3 hosts deviate from files" in shown
    assert f"at least {WANTED}  1024  not known: no line of limits.conf or limits.d is about it" in shown
    assert f"raise the soft limit of open files to {WANTED} where busybox is started" in shown

    found = json.loads(tcptune("audit", profile, *on(*fleet), "--format", "json", expect=10).stdout)
    outcomes = {host["host"]: [(f["process"], f["outcome"]) for f in host["limits"]] for host in found["hosts"]}
    assert outcomes == {
        low.name: [("busybox", "deviates"), ("java", "not_applicable")],
        enough.name: [("busybox", "met"), ("java", "not_applicable")],
        silent.name: [("busybox, web*", "not_applicable"), ("java", "not_applicable")],
    }
    [met, _] = next(host["limits"] for host in found["hosts"] if host["host"] == enough.name)
    assert (met["layers"]["soft"], met["layers"]["hard"]) == (WANTED, 8192)
    assert met["layers"]["at_start"]["by"] == "/etc/security/limits.d/90-web.conf, in sessions of PAM alone"

    plan = tcptune.file("plan.json")
    made = tcptune("plan", profile, *on(*fleet), "-o", plan, expect=10).stdout
    assert f"limits.nofile  {low.name}: busybox: 1024 now" in made
    assert "By hand: raise the soft limit" in made
    assert tcptune("show", plan).stdout == made
    assert {machine: machine.state() for machine in fleet} == before


def test_a_limit_that_is_enough_now_and_not_known_later_is_no_pass(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    listen(machine, WANTED, WANTED)
    profile = tcptune.file("files.yml", PROFILE)

    shown = tcptune("audit", profile, *on(machine), expect=4).stdout
    assert f"{WANTED} now is enough for at least {WANTED}, at the next start is not known" in shown


def test_a_waiver_covers_a_limit(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    listen(machine, 1024, 1024)
    waiver = f"- {{key: limits.nofile, hosts: {machine.name}, who: ada, until: 2999-01-31, why: it moves next week}}\n"
    profile, waivers = tcptune.file("files.yml", PROFILE), tcptune.file("waivers.yml", waiver)

    shown = tcptune("audit", profile, "--waivers", waivers, *on(machine)).stdout
    assert "until 2999-01-31 by ada: it moves next week" in shown
