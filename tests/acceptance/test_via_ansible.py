"""Hosts that only an Ansible connection plugin reaches, read by the same commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.plugins.connection import ssh

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import GRANTED, PROFILE, WANTED, Machine
from tests.acceptance.test_connections import inventory, known_hosts_options
from tests.acceptance.test_render import ansible_playbook
from tests.collection.jail import jail
from tests.lab import Lab

pytestmark = pytest.mark.lab

_OF_THE_MOMENT = {"collected_at", "counters", "links", "listeners"}


def reached(machine: Machine, lab: Lab) -> dict[str, Any]:
    return {
        "ansible_host": machine.address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.key),
        "ansible_ssh_common_args": known_hosts_options(lab),
    }


def hosts(lines: str) -> dict[str, Any]:
    return {one["host"]: one for one in map(json.loads, lines.splitlines()[1:])}


def with_jail(tcptune: Tcptune, source: Path) -> None:
    """Add a host that is a folder, and one where nobody answers. The plugin is where the user's ansible.cfg says."""
    root = jail(tcptune.folder, "net.core.somaxconn = 77\n")
    (tcptune.work / "ansible.cfg").write_text(f"[defaults]\nconnection_plugins = {tcptune.folder}/connection_plugins\n")
    document = json.loads(source.read_text())
    document["all"]["hosts"]["jail"] = {"ansible_connection": "lab_chroot", "ansible_host": str(root)}
    document["all"]["hosts"]["gone"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    source.write_text(json.dumps(document))


def test_a_fleet_of_all_kinds_is_read_and_judged_and_who_is_gone_has_a_row(
    tcptune: Tcptune, machines: Machines, lab: Lab, on: On
) -> None:
    [machine] = machines(1)
    source = inventory(
        tcptune,
        machine,
        ansible_user="root",
        ansible_ssh_private_key_file=str(lab.key),
        ansible_ssh_common_args=known_hosts_options(lab),
    )
    document = json.loads(source.read_text())
    document["all"]["hosts"][machine.name] = {"ansible_host": machine.address}
    source.write_text(json.dumps(document))
    with_jail(tcptune, source)

    ours = hosts(tcptune("facts", *on(machine)).stdout)
    said = tcptune("facts", "-i", source, "--via", "ansible", expect=4)
    theirs = hosts(said.stdout)
    judged = json.loads(
        tcptune("audit", "baseline", "-i", source, "--via", "ansible", "--format", "json", expect=4).stdout
    )
    refused = tcptune("facts", "-i", source, expect=3)

    assert set(theirs) == {machine.name, "jail", "gone"}
    both = ours[machine.name], theirs[machine.name]
    kept = [{name: value for name, value in one.items() if name not in _OF_THE_MOMENT} for one in both]
    for one in kept:
        one["system"].pop("uptime_s")
        one["sysctl"].pop("fs.file-nr")
    assert kept[0] == kept[1]
    assert "error" not in theirs["jail"], theirs["jail"]["error"]
    assert theirs["jail"]["sysctl_files"] == [
        {"path": "/etc/sysctl.d/99-tcptune.conf", "content": "net.core.somaxconn = 77\n", "link": False}
    ]
    assert "refused" in theirs["gone"]["error"]
    assert "read 2 of 3 hosts" in said.stderr
    assert [one["host"] for one in judged["hosts"]] == ["jail", machine.name]
    assert [one["host"] for one in judged["unread"]] == ["gone"]
    assert "read it with --via ansible" in refused.stderr


def test_what_goes_with_no_host_to_read_is_refused(tcptune: Tcptune) -> None:
    said = tcptune("facts", "--via", "ansible", expect=2)
    both = tcptune("facts", "--via", "ansible", "--facts", tcptune.file("facts.jsonl", ""), expect=2)

    assert "--via ansible needs an inventory" in said.stderr
    assert "--facts reads none" in both.stderr


def test_a_plan_of_a_host_that_only_a_plugin_reaches_is_rendered_and_never_taken_for_one_of_ssh(
    tcptune: Tcptune, machines: Machines, lab: Lab
) -> None:
    [machine] = machines(1)
    source = tcptune.file("hosts.json", json.dumps({"all": {"hosts": {machine.name: reached(machine, lab)}}}))
    with_jail(tcptune, source)

    made = tcptune("plan", PROFILE, "-i", source, "--via", "ansible", "-o", "plan.json", expect=4)
    plan = json.loads((tcptune.work / "plan.json").read_text())
    refused = tcptune("apply", "plan.json", expect=2)
    also = tcptune("apply", "plan.json", "-i", source, expect=2)
    tcptune("render", "plan.json", "-d", "project")
    tcptune("facts", "-i", source, "--via", "ansible", "-o", "facts.jsonl", expect=4)
    offline = tcptune("plan", PROFILE, "-i", source, "--facts", "facts.jsonl", "-o", "later.json", expect=4)

    assert {name: one["kind"] for name, one in plan["hosts"].items()} == {machine.name: "ssh", "jail": "plugin"}
    assert {one["host"] for one in plan["skipped"] if one["kind"] == "unread"} == {"gone"}
    assert "1 of these hosts only Ansible reaches: `tcptune render`" in made.stderr
    for said in (refused, also):
        assert "jail: a connection plugin of Ansible reaches it, and this command uses SSH" in said.stderr
        assert "tcptune render" in said.stderr
    # Nothing of a plan leads SSH to what a plugin calls by that name.
    assert "ansible_connection: plugin" not in (tcptune.work / "project/inventory/hosts.yml").read_text()
    assert "-i hosts.yml -i inventory site.yml" in (tcptune.work / "project/README.md").read_text()
    assert "could not be read" not in offline.stderr
    assert json.loads((tcptune.work / "later.json").read_text())["cohorts"] == plan["cohorts"]


def test_a_rendered_plan_of_a_plugins_host_is_played_with_the_users_inventory(
    tcptune: Tcptune, machines: Machines, lab: Lab
) -> None:
    """The plugin is Ansible's own for SSH, under a name that tcptune has never heard of."""
    [machine] = machines(1)
    before = machine.state()
    plugins = tcptune.folder / "connection_plugins"
    plugins.mkdir()
    (plugins / "lab_way.py").write_text(
        f"from ansible.plugins.connection import ssh\nDOCUMENTATION = {ssh.DOCUMENTATION!r}\n"
        "class Connection(ssh.Connection):\n    transport = 'lab_way'\n"
    )
    (tcptune.work / "ansible.cfg").write_text(f"[defaults]\nconnection_plugins = {plugins}\n")
    source = tcptune.file(
        "hosts.json",
        json.dumps({"all": {"hosts": {machine.name: reached(machine, lab) | {"ansible_connection": "lab_way"}}}}),
    )
    plan, project = tcptune.file("plan.json"), tcptune.file("project")

    tcptune("plan", PROFILE, "-i", source, "--via", "ansible", "-o", plan, expect=10)
    tcptune("render", plan, "-d", project)
    (project / "connection_plugins").symlink_to(plugins)
    both = ("-i", str(source), "-i", "inventory")
    ansible_playbook(tcptune, project, *both, "site.yml", *GRANTED)

    assert machine.values() == WANTED
    ansible_playbook(tcptune, project, *both, "rollback.yml")
    assert machine.state() == before
