"""What Ansible takes from its configuration when it starts: each case in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

READ = """
import json, sys
from tcptune.adapters.inventory import read_hosts
from tcptune.errors import TcptuneError
try:
    hosts = read_hosts(sys.argv[1:])
except TcptuneError as problem:
    print(json.dumps({"error": type(problem).__name__, "text": f"{problem} {problem.hint}"}))
else:
    secret = lambda s: s and s.get_secret_value()
    print(json.dumps([{**h.connection.model_dump(), "name": h.name, "become_password": secret(h.secrets.become),
                       "login_password": secret(h.secrets.login)} for h in hosts]))
"""

CONFIG = """\
[defaults]
inventory = {folder}/named.ini
remote_user = deploy
private_key_file = /keys/fleet
remote_port = 2222
timeout = 7
[privilege_escalation]
become = True
become_user = admin
[ssh_connection]
ssh_common_args = -J bastion
"""


def read(folder: Path, *sources: str, **environment: str) -> Any:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-c", READ, *sources],
        env={**kept, "LC_ALL": "C.UTF-8", "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "named.ini").write_text("web1\nweb2 ansible_user=other ansible_port=3333 ansible_become=false\n")
    (tmp_path / "fleet.cfg").write_text(CONFIG.format(folder=tmp_path))
    return tmp_path


def test_ansible_cfg_gives_what_the_inventory_does_not_say(configured: Path) -> None:
    web1, web2 = read(configured, ANSIBLE_CONFIG=str(configured / "fleet.cfg"))

    assert (web1["name"], web1["user"], web1["port"], web1["key_file"]) == ("web1", "deploy", 2222, "/keys/fleet")
    assert (web1["timeout_s"], web1["become"], web1["become_user"]) == (7.0, True, "admin")
    assert web1["ssh_args"] == ["-J", "bastion"]
    assert (web2["user"], web2["port"], web2["become"]) == ("other", 3333, False)


def test_the_arguments_of_ssh_that_ansible_cfg_adds_are_not_lost(configured: Path) -> None:
    (configured / "fleet.cfg").write_text("[ssh_connection]\nssh_args = -o ProxyJump=bastion -o ControlMaster=auto\n")
    [web1] = read(configured, "web1,", ANSIBLE_CONFIG=str(configured / "fleet.cfg"))

    assert "ProxyJump=bastion" in web1["ssh_args"]


def encrypted(folder: Path, *words: str | Path) -> str:
    (folder / "password").write_text("open sesame\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-vault", *words, "--vault-password-file", folder / "password"],
        env={**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(folder)},
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_one_value_in_the_vault_is_opened_with_the_password_file_that_ansible_knows(tmp_path: Path) -> None:
    value = encrypted(tmp_path, "encrypt_string", "hunter2")
    (tmp_path / "hosts.yml").write_text(
        f"all:\n  hosts:\n    web1:\n      ansible_become: true\n      ansible_become_password: {value}"
    )
    [web1] = read(tmp_path, "hosts.yml", ANSIBLE_VAULT_PASSWORD_FILE=str(tmp_path / "password"))
    locked = read(tmp_path, "hosts.yml")

    assert web1["become_password"] == "hunter2"
    assert locked["error"] == "InventoryError"
    assert "web1" in locked["text"]


def test_a_file_in_the_vault_is_opened_with_the_password_file_that_ansible_knows(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("web1\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("ansible_become_password: hunter2\nansible_password: hunter3\n")
    encrypted(tmp_path, "encrypt", tmp_path / "group_vars/all.yml")
    [web1] = read(tmp_path, "hosts", ANSIBLE_VAULT_PASSWORD_FILE=str(tmp_path / "password"))

    assert (web1["become_password"], web1["login_password"]) == ("hunter2", "hunter3")


def test_without_any_inventory_the_person_is_told_how_to_name_one(tmp_path: Path) -> None:
    (tmp_path / "empty.cfg").touch()
    found = read(tmp_path, ANSIBLE_CONFIG=str(tmp_path / "empty.cfg"), ANSIBLE_INVENTORY=str(tmp_path / "gone"))

    assert found["error"] == "UsageError"
    assert "-i" in found["text"]


def test_a_broken_ansible_cfg_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "broken.cfg").write_text("[defaults\nremote_user\n")
    found = read(tmp_path, "web1,", ANSIBLE_CONFIG=str(tmp_path / "broken.cfg"))

    assert found["error"] == "InventoryError"
