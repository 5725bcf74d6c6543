"""A rendered plan is an Ansible project that needs no tcptune."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.command import Said, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import DROPIN, GRANTED, PROFILE, SOMAXCONN, WANTED, lines

pytestmark = pytest.mark.lab


def ansible_playbook(tcptune: Tcptune, project: Path, *arguments: str, expect: int = 0) -> Said:
    """Run plain Ansible in `project`, where whoever imports tcptune fails."""
    without = tcptune.file("without-tcptune")
    without.mkdir(exist_ok=True)
    (without / "tcptune.py").write_text("raise ImportError('tcptune is not installed here')\n")
    inherited = {name: tcptune.environment[name] for name in ("PATH", "LANG", "HOME")}
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), *arguments],
        cwd=project,
        env=inherited | {"PYTHONPATH": str(without)},
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        check=False,
    )
    said = Said(done.returncode, done.stdout, done.stderr)
    assert said.status == expect, str(said)
    return said


def test_plain_ansible_predicts_applies_confirms_and_restores(tcptune: Tcptune, machines: Machines, on: On) -> None:
    detuned, _ = fleet = machines(2)
    detuned.set({SOMAXCONN: "128"})
    before = {machine: machine.state() for machine in fleet}
    traces = {machine: machine.traces() for machine in fleet}
    plan, project = tcptune.file("plan.json"), tcptune.file("project")
    tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    tcptune("render", plan, "-d", project)

    predicted = ansible_playbook(tcptune, project, "site.yml", *GRANTED, "--check", "--diff")
    shown = [line.strip() for line in predicted.stdout.splitlines()]
    for host_before in ("128", "4096"):
        assert f"-{SOMAXCONN} = {host_before}" in shown
    assert f"+{SOMAXCONN} = 8192" in shown
    assert "-net.ipv4.ip_local_port_range = 32768 60999" in shown
    assert "+net.ipv4.ip_local_port_range = 10240 65535" in shown
    assert f"{DROPIN} (written on confirm)" in predicted.stdout
    assert {machine: machine.state() for machine in fleet} == before
    assert {machine: machine.traces() for machine in fleet} == traces

    ansible_playbook(tcptune, project, "site.yml", *GRANTED)
    assert [machine.values() for machine in fleet] == [WANTED, WANTED]
    assert "changed=0" in ansible_playbook(tcptune, project, "site.yml", *GRANTED).stdout

    ansible_playbook(tcptune, project, "confirm.yml")
    for machine in fleet:
        kept = [line for line in machine.read(DROPIN).splitlines() if not line.startswith("#")]
        assert kept == lines(WANTED).splitlines()
    tcptune("audit", PROFILE, *on(*fleet))

    ansible_playbook(tcptune, project, "rollback.yml")
    assert {machine: machine.state() for machine in fleet} == before


def test_plain_ansible_refuses_a_host_that_moved(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan, project = tcptune.file("plan.json"), tcptune.file("project")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("render", plan, "-d", project)
    machine.set({SOMAXCONN: "1000"})
    state, traces = machine.state(), machine.traces()

    refused = ansible_playbook(tcptune, project, "site.yml", *GRANTED, expect=2)

    assert f"{SOMAXCONN} is no longer 4096: it is 1000" in refused.stdout + refused.stderr
    assert (machine.state(), machine.traces()) == (state, traces)


def test_a_folder_that_holds_something_is_not_written_to(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    project = tcptune.file("project")
    project.mkdir()
    (project / "site.yml").write_text("mine\n")

    refused = tcptune("render", plan, "-d", project, expect=1)

    assert "not empty" in refused.stderr
    assert (project / "site.yml").read_text() == "mine\n"
