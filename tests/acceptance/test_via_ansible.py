"""Hosts that only an Ansible connection plugin reaches, read by the same commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.test_connections import inventory, known_hosts_options
from tests.collection.jail import jail
from tests.lab import Lab

pytestmark = pytest.mark.lab

_OF_THE_MOMENT = {"collected_at", "counters", "links", "listeners"}


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
