"""A password that sudo asks for is used, and is to be found nowhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED
from tests.acceptance.watch import Watch
from tests.lab import Lab

pytestmark = pytest.mark.lab

PASSWORD = "correct-Horse7battery"  # of a user who lives as long as this test


def one_value_encrypted(tcptune: Tcptune, key: Path) -> Path:
    """Give an inventory with a variable whose value is encrypted."""
    said = ansible_vault(tcptune, key, "encrypt_string", "--stdin-name", "ansible_become_password", text=PASSWORD)
    lines = "".join(f"    {line}\n" for line in said.splitlines())
    return tcptune.file("secrets.yml", f"all:\n  vars:\n{lines}")


def whole_file_encrypted(tcptune: Tcptune, key: Path) -> Path:
    """Give an inventory whose file of variables is encrypted."""
    folder = tcptune.file("secrets")
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text("all: {}\n")
    variables = folder / "group_vars/all.yml"
    text = ansible_vault(tcptune, key, "encrypt", text=f"ansible_become_password: {PASSWORD}\n")
    variables.write_text(text)
    return folder


def ansible_vault(tcptune: Tcptune, key: Path, *arguments: str, text: str) -> str:
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-vault"), *arguments],
        input=text,
        env=tcptune.environment | {"ANSIBLE_VAULT_PASSWORD_FILE": str(key)},
        text=True,
        capture_output=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("vaulted", [one_value_encrypted, whole_file_encrypted])
def test_sudos_password_comes_from_the_vault_and_is_never_seen(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab, vaulted: Callable[[Tcptune, Path], Path]
) -> None:
    [machine] = machines(1)
    lab.sudo_with_password(machine.name, PASSWORD)
    key = tcptune.file("vault-password", "the vault's own\n")
    secrets = vaulted(tcptune, key)
    fleet = (*on(machine), "-i", str(secrets))
    opened = {"ANSIBLE_VAULT_PASSWORD_FILE": str(key)}
    facts, plan, project = tcptune.file("facts.jsonl"), tcptune.file("plan.json"), tcptune.file("project")
    before = machine.state()
    watch = Watch(PASSWORD, tcptune.folder)

    with watch.watching():
        said = [
            tcptune("facts", *fleet, "-o", facts, **opened),
            tcptune("plan", PROFILE, *fleet, "-o", plan, expect=10, **opened),
            tcptune("render", plan, "-d", project),
            tcptune("apply", plan, *ALLOWED, "-i", lab.inventory, "-i", secrets, **opened),
        ]
        changed = machine.values()
        said += [
            tcptune("verify", "last", "-i", lab.inventory, "-i", secrets, **opened),
            tcptune("rollback", "last", "-i", lab.inventory, "-i", secrets, **opened),
            tcptune("runs", "last", "--format", "json"),
        ]

    assert changed == WANTED
    assert machine.state() == before
    assert watch.looks > 20, "it did not look often enough to say anything"
    assert watch.seen == set()
    assert not [one for one in said if PASSWORD in str(one)]
    on_host = machine.run("sh", "-c", 'grep -rls -e "$0" /etc /var /root /home /tmp /run || true', PASSWORD)
    assert on_host == ""


def test_without_its_password_sudo_refuses_and_the_host_is_named(
    tcptune: Tcptune, machines: Machines, on: On, lab: Lab
) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    lab.sudo_with_password(machine.name, PASSWORD)
    before = machine.state()

    read = tcptune("facts", *on(machine), expect=4)
    done = tcptune("apply", plan, *ALLOWED, expect=4)

    for said in (read.stderr, done.stdout):
        assert f"{machine.name}  " in said
        assert "a password is required" in said
        assert "ansible_become_password" in said
    assert machine.state() == before


def test_a_wrong_password_is_said_to_be_wrong(tcptune: Tcptune, machines: Machines, on: On, lab: Lab) -> None:
    [machine] = machines(1)
    lab.sudo_with_password(machine.name, PASSWORD)
    secrets = tcptune.file("secrets.yml", "all: {vars: {ansible_become_password: another}}\n")

    refused = tcptune("facts", *on(machine), "-i", secrets, expect=4)

    assert "sudo refused" in refused.stderr
