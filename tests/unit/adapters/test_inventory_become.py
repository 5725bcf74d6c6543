"""Who becomes whom, and with which password: held against what Ansible itself does with the same inventory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from tcptune.adapters.inventory import read_hosts
from tcptune.adapters.plain_inventory import plain_hosts
from tcptune.domain.hosts import Escalation, Host

FROM_THE_PROMPT = "of the {{ prompt }}"
HOSTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "becoming": {"ansible_become": True},
    "never": {"ansible_become": False},
    "own": {"ansible_become": True, "ansible_become_password": "of the host"},
    "short": {"ansible_become": True, "ansible_become_pass": "of the host"},
    "empty": {"ansible_become": True, "ansible_become_password": ""},
    "named": {"ansible_become": True, "ansible_become_user": "admin"},
    "unbecoming": {"ansible_become_user": "admin", "ansible_become_password": "of the host"},
}
SUDO = """#!/bin/sh
while [ "$1" ] && [ "${1#-}" != "$1" ]; do
    case $1 in
        -p) prompt=$2; shift 2 ;;
        -u) user=$2; shift 2 ;;
        *) shift ;;
    esac
done
if [ "$prompt" ]; then printf %s "$prompt" >&2; IFS= read -r password; fi
echo "$user:$password" >"$0.said"
exec "$@"
"""
GIVEN = {
    "nothing": Escalation(),
    "become": Escalation(become=True),
    "user": Escalation(become=True, user="deploy"),
    "password": Escalation(password=SecretStr(FROM_THE_PROMPT)),
    "all": Escalation(become=True, user="deploy", password=SecretStr(FROM_THE_PROMPT)),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
        monkeypatch.delenv(name)


def written(folder: Path, **more: Any) -> str:
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {name: {**own, **more} for name, own in HOSTS.items()}}}))
    return str(path)


def ours(host: Host) -> str | None:
    if not host.connection.become:
        return None
    password = host.secrets.become.get_secret_value() if host.secrets.become else ""
    return f"{host.connection.become_user}:{password}"


def ansibles(folder: Path, given: Escalation) -> dict[str, str | None]:
    """Let Ansible run a command on every host, and return as whom and with which password it called sudo there."""
    options = ["--become"] if given.become else []
    options += [f"--become-user={given.user}"] if given.user else []
    if given.password:
        (folder / "password").write_text(given.password.get_secret_value())
        options.append(f"--become-password-file={folder / 'password'}")
    for name in HOSTS:
        (folder / name).write_text(SUDO)
        (folder / name).chmod(0o755)
    source = written(folder, ansible_connection="local", ansible_become_exe=str(folder) + "/{{ inventory_hostname }}")
    ansible = Path(sys.executable).with_name("ansible")
    subprocess.run(
        [ansible, "all", "-i", source, "-m", "ansible.builtin.raw", "-a", "true", *options],
        # Whoever runs the tests as root would become nobody else.
        env=os.environ | {"LC_ALL": "C.UTF-8", "ANSIBLE_BECOME_ALLOW_SAME_USER": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    said = {name: folder / f"{name}.said" for name in HOSTS}
    return {name: path.read_text().removesuffix("\n") if path.exists() else None for name, path in said.items()}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_the_command_line_ranks_as_it_does_in_ansible(tmp_path: Path, given: Escalation) -> None:
    real = ansibles(tmp_path, given)

    found = read_hosts([written(tmp_path)], "all", given)

    assert {host.name: ours(host) for host in found} == real
    assert any(real.values())


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_without_ansible_the_same_is_read(tmp_path: Path, given: Escalation) -> None:
    source = written(tmp_path).replace("short", "own")
    text = Path(source).read_text().replace("ansible_become_pass:", "ansible_become_password:")
    Path(source).write_text(text)

    found = plain_hosts([source], "all", given)

    assert found is not None
    assert found == sorted(
        read_hosts([source], "all", given), key=lambda host: [h.name for h in found].index(host.name)
    )


@pytest.mark.parametrize("given", [GIVEN["nothing"], GIVEN["all"]], ids=["nothing", "all"])
def test_the_environment_ranks_below_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Escalation
) -> None:
    monkeypatch.setenv("ANSIBLE_BECOME_USER", "operator")
    monkeypatch.setenv("ANSIBLE_BECOME_PASS", "of the environment")
    real = ansibles(tmp_path, given)

    found = read_hosts([written(tmp_path)], "all", given)

    assert {host.name: ours(host) for host in found} == real
    assert real["becoming"] == (f"deploy:{FROM_THE_PROMPT}" if given.user else "operator:of the environment")
