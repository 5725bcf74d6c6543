"""Drop-ins of a service under a systemd of its own: it knows of them after confirm and after every way back."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path

import pytest

from tests.acceptance.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

PLUGINS = Path(__file__).parents[2] / "plugins"
UNIT = "/etc/systemd/system/demo.service.d/99-tcptune.conf"
LIMITS = "/etc/security/limits.d/99-tcptune.conf"
FIRST = f"""
import os, signal, sys, time
sys.path.insert(0, "/root/plugins")
from module_utils import changeset
from module_utils.host import Host
from module_utils.request import make_request
FILES = [
    dict(path="/etc/modules-load.d/99-tcptune.conf", content="nf_conntrack\\n"),
    dict(path="{LIMITS}", content="* soft nofile 65536\\n"),
    dict(path="{UNIT}", content="[Service]\\nLimitNOFILE=4096:65536\\n"),
    dict(path="/etc/sysctl.d/99-tcptune.conf", content="net.core.somaxconn = 1234\\n"),
]
host = Host()
def apply(run, **more):
    changeset.apply(host, make_request({{"net.core.somaxconn": "1234"}}, {{}}, FILES, run, **more))
def die(step):
    host.reached = lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == step else None
"""


@pytest.fixture
def demo(machine: Machine) -> Machine:
    """Give the machine with our code, a service that runs, and one folder missing beside that of its drop-in."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(PLUGINS, "plugins", filter=lambda one: None if "__pycache__" in one.name else one)
    machine.run("sh", "-c", "base64 -d | tar -C /root -xz", text=base64.b64encode(packed.getvalue()).decode())
    service = "[Service]\nExecStart=/bin/sleep infinity\nLimitNOFILE=2048\n"
    machine.run("sh", "-c", "cat >/etc/systemd/system/demo.service", text=service)
    machine.run("sh", "-c", "rm -rf /etc/security/limits.d; systemctl daemon-reload; systemctl start demo")
    return machine


def look(machine: Machine) -> list[str]:
    """Return what systemd knows of the service, its process, and which of our files and folders are there."""
    said = machine.run(
        *("systemctl", "show", "demo", "-p", "LimitNOFILE,LimitNOFILESoft,MainPID,NeedDaemonReload,ActiveState")
    )
    there = machine.run("sh", "-c", "find /etc -name '*tcptune*' -o -name demo.service.d -o -name limits.d | sort")
    return sorted(said.splitlines()) + there.splitlines()


def test_systemd_knows_the_drop_in_after_confirm_and_after_each_way_back_and_restarts_nothing(demo: Machine) -> None:
    before = look(demo)
    assert {"LimitNOFILE=2048", "NeedDaemonReload=no", "ActiveState=active"} < set(before)

    demo.run("python3", "-c", FIRST + 'apply("run-1"); changeset.confirm(host, "run-1"); print(host.warnings)')
    confirmed = look(demo)
    assert {"LimitNOFILE=65536", "LimitNOFILESoft=4096", "NeedDaemonReload=no", UNIT, LIMITS} < set(confirmed)
    assert [line for line in confirmed if "MainPID" in line] == [line for line in before if "MainPID" in line]

    demo.run("sh", "/var/lib/tcptune/runs/run-1/rollback.sh")
    assert look(demo) == before

    # Killed after the drop-in is written and before systemd is told: the timer, a unit of the same systemd, undoes it
    # long before its deadline.
    demo.run(
        "sh",
        "-c",
        'python3 -c "$0" || true',
        FIRST + f'apply("run-2", revert_after_s=600)\ndie("{UNIT}")\nchangeset.confirm(host, "run-2")',
    )
    demo.run(
        "sh",
        "-c",
        "for i in $(seq 120); do grep -q reverted /var/lib/tcptune/runs/run-2/state && exit; sleep 1;"
        " done; cat /var/lib/tcptune/runs/run-2/state >&2; exit 1",
    )
    assert look(demo) == before

    demo.run("python3", "-c", FIRST + 'apply("run-3"); changeset.confirm(host, "run-3")')
    demo.run("python3", "-c", FIRST + 'changeset.rollback(host, "run-3"); assert host.warnings == []')
    assert look(demo) == before
