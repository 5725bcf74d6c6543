"""How people reach their hosts: for reading, which is our own SSH, and for changing, which is Ansible's."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

# ssh looks up the home in passwd and not in $HOME, so a private ~/.ssh takes a private view of the file system.
WITH_OWN_SSH_FOLDER = """
mount -t tmpfs own /mnt && mkdir /mnt/upper /mnt/work && cp -R "$1" /mnt/upper/.ssh && chmod -R go= /mnt/upper/.ssh &&
mount -t overlay own -o "lowerdir=$2,upperdir=/mnt/upper,workdir=/mnt/work" "$2" && shift 2 && exec "$@"
"""


def inventory(tcptune: Tcptune, *machines: Machine, **variables: Any) -> Path:
    hosts = {machine.name: {} for machine in machines}
    return tcptune.file("inventory.yml", json.dumps({"all": {"hosts": hosts, "vars": variables}}))


def known_hosts_options(lab: Lab) -> str:
    return f"-o UserKnownHostsFile={lab.known_hosts} -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes"


def with_own_ssh_config(lab: Lab, command: Tcptune, text: str) -> Tcptune:
    """Let `command` find `text` as ~/.ssh/config, and the lab's key and known hosts beside it."""
    folder = command.file("ssh")
    folder.mkdir()
    (folder / "config").write_text(text)
    (folder / "lab_key").write_bytes(lab.key.read_bytes())
    (folder / "lab_hosts").write_bytes(lab.known_hosts.read_bytes())
    home = pwd.getpwuid(os.getuid()).pw_dir
    command.environment["HOME"] = home
    own = ["sh", "-c", WITH_OWN_SSH_FOLDER, "sh", str(folder), home]
    command.prefix = ["unshare", "--mount", *own]
    return command


def there_and_back(tcptune: Tcptune, machine: Machine, source: Path) -> None:
    """Read, change and restore one host."""
    before = machine.state()
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, "-i", source, "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    assert machine.values() == WANTED
    tcptune("rollback", "last")
    assert machine.state() == before


def test_as_root_with_a_key(tcptune: Tcptune, machines: Machines, lab: Lab) -> None:
    [machine] = machines(1)
    source = inventory(
        tcptune,
        machine,
        ansible_host=machine.address,
        ansible_user="root",
        ansible_ssh_private_key_file=str(lab.key),
        ansible_ssh_common_args=known_hosts_options(lab),
    )

    there_and_back(tcptune, machine, source)


def test_as_nobody_special_hosts_can_be_read(tcptune: Tcptune, machines: Machines, lab: Lab) -> None:
    [machine] = machines(1)
    source = inventory(
        tcptune,
        machine,
        ansible_host=machine.address,
        ansible_user="operator",
        ansible_ssh_private_key_file=str(lab.key),
        ansible_ssh_common_args=known_hosts_options(lab),
    )

    facts = json.loads(tcptune("facts", "-i", source).stdout.splitlines()[1])
    # Not root: nobody says which program owns a listener, so its limits are not judged, and 4 wins over 10.
    audit = tcptune("audit", PROFILE, "-i", source, expect=4)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, "-i", source, "-o", plan, expect=4)
    before = machine.state()
    tcptune("apply", plan, *ALLOWED, expect=4)

    assert facts["system"]["user"] == "1000"
    assert facts["sysctl"]["net.core.somaxconn"]["text"] == "4096"
    assert "8 deviate, 22 met, 2 not applicable" in audit.stdout
    assert machine.state() == before


def test_as_ssh_config_says(tcptune: Tcptune, machines: Machines, lab: Lab) -> None:
    [machine] = machines(1)
    config = (
        "Host web\n"
        f"    HostName {machine.address}\n"
        "Host *\n"
        "    User operator\n"
        "    IdentityFile ~/.ssh/lab_key\n"
        "    UserKnownHostsFile ~/.ssh/lab_hosts\n"
    )
    with_own_ssh_config(lab, tcptune, config)

    there_and_back(tcptune, machine, tcptune.file("hosts.ini", "web ansible_become=true\n"))


def test_over_a_jump_host_of_ssh_config(tcptune: Tcptune, machines: Machines, lab: Lab) -> None:
    gateway, machine = machines(2)
    machine.answer_nobody_here()
    config = (
        "Host gateway\n"
        f"    HostName {gateway.address}\n"
        f"Host {machine.name}\n"
        f"    HostName {machine.address}\n"
        "    ProxyJump gateway\n"
        "Host *\n"
        "    User operator\n"
        "    IdentityFile ~/.ssh/lab_key\n"
        "    UserKnownHostsFile ~/.ssh/lab_hosts\n"
    )
    with_own_ssh_config(lab, tcptune, config)

    there_and_back(tcptune, machine, tcptune.file("hosts.ini", f"{machine.name} ansible_become=true\n"))


def test_over_a_jump_host_of_the_inventory(tcptune: Tcptune, machines: Machines, lab: Lab) -> None:
    gateway, machine = machines(2)
    machine.answer_nobody_here()
    source = inventory(
        tcptune,
        machine,
        ansible_become=True,
        ansible_python_interpreter="/usr/bin/python3",
        ansible_ssh_common_args=f"-F {lab.ssh_config} -o ProxyJump=operator@{gateway.name}",
    )

    there_and_back(tcptune, machine, source)


def test_a_jump_host_with_a_wrong_key_is_refused(tcptune: Tcptune, machines: Machines, lab: Lab) -> None:
    gateway, machine = machines(2)
    lab.wrong_host_key(gateway.name)
    source = inventory(
        tcptune, machine, ansible_ssh_common_args=f"-F {lab.ssh_config} -o ProxyJump=operator@{gateway.name}"
    )

    refused = tcptune("facts", "-i", source, expect=4)

    assert f"by way of {gateway.name}" in refused.stderr
    assert "known_hosts says" in refused.stderr


@pytest.mark.parametrize("option", ["-o StrictHostKeyChecking=no", "-o UserKnownHostsFile=/dev/null"])
def test_a_host_key_is_checked_whatever_the_inventory_says_of_it(
    tcptune: Tcptune, machines: Machines, lab: Lab, option: str
) -> None:
    [machine] = machines(1)
    login = {"ansible_host": machine.address, "ansible_user": "root", "ansible_ssh_private_key_file": str(lab.key)}
    trusted = inventory(tcptune, machine, **login, ansible_ssh_common_args=known_hosts_options(lab))
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, "-i", trusted, "-o", plan, expect=10)
    lab.wrong_host_key(machine.name)
    lax = inventory(tcptune, machine, **login, ansible_ssh_common_args=f"{option} {known_hosts_options(lab)}")
    before = machine.state()

    tcptune("facts", "-i", lax, expect=4)
    tcptune("apply", plan, *ALLOWED, "-i", lax, expect=4)

    assert machine.state() == before
