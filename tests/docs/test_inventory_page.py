"""The page on inventories names what is honoured: every variable and option of its tables, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tcptune.adapters.inventory import read_hosts
from tcptune.adapters.ssh_config import Target, target
from tcptune.domain.hosts import Connection, Host
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/howto/inventory.md").read_text()

# Variable -> a value, and the field of the host where it ends up.
VARIABLES: dict[str, tuple[Any, str, Any]] = {
    "ansible_connection": ("local", "kind", "local"),
    "ansible_host": ("192.0.2.1", "address", "192.0.2.1"),
    "ansible_ssh_host": ("192.0.2.1", "address", "192.0.2.1"),
    "ansible_port": (2222, "port", 2222),
    "ansible_ssh_port": (2222, "port", 2222),
    "ansible_user": ("ops", "user", "ops"),
    "ansible_ssh_user": ("ops", "user", "ops"),
    "ansible_password": ("secret", "login", "secret"),
    "ansible_ssh_password": ("secret", "login", "secret"),
    "ansible_ssh_pass": ("secret", "login", "secret"),
    "ansible_ssh_private_key_file": ("/key", "key_file", "/key"),
    "ansible_private_key_file": ("/key", "key_file", "/key"),
    "ansible_ssh_common_args": ("-J gate", "ssh_args", ["-J", "gate"]),
    "ansible_ssh_extra_args": ("-J gate", "ssh_args", ["-J", "gate"]),
    "ansible_ssh_timeout": (3, "timeout_s", 3.0),
    "ansible_become": (True, "become", True),
    "ansible_become_user": ("adm", "become_user", "adm"),
    "ansible_become_method": ("su", "become_method", "su"),
    "ansible_become_password": ("secret", "become_password", "secret"),
    "ansible_become_pass": ("secret", "become_password", "secret"),
    "ansible_python_interpreter": ("/usr/bin/python3", "python", "/usr/bin/python3"),
}
NOT_USED = {
    "ansible_ssh_args": "-J gate",
    "ansible_ssh_executable": "/ssh",
    "ansible_become_exe": "/sudo",
    "ansible_become_flags": "-E",
}

# Option of ssh_config -> a value, and the field of the target where it ends up.
OPTIONS: dict[str, tuple[str, str, Any]] = {
    "HostName": ("web.example.net", "hostname", "web.example.net"),
    "Port": ("2222", "port", 2222),
    "User": ("ops", "user", "ops"),
    "IdentityFile": ("/key", "key_files", (Path("/key"),)),
    "IdentitiesOnly": ("yes", "identities_only", True),
    "UserKnownHostsFile": ("/known", "known_hosts", Path("/known")),
    "GlobalKnownHostsFile": ("/known", "known_hosts", Path("/known")),
    "HostKeyAlias": ("web", "key_alias", "web"),
    "ProxyJump": ("gate,inner", "jumps", ("gate", "inner")),
    "ProxyCommand": ("nc gate 22", "proxy_command", "nc gate 22"),
}
FLAGS = {
    "-J": ("gate", "jumps", ("gate",)),
    "-i": ("/key", "key_files", (Path("/key"),)),
    "-l": ("ops", "user", "ops"),
    "-p": ("2222", "port", 2222),
}


def first_column(heading: str) -> set[str]:
    """Return what stands in back quotes in the first column of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\|([^|]+)\|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def host(folder: Path, variables: dict[str, Any]) -> dict[str, Any]:
    """Return what tcptune makes of a host with these variables."""
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {"web1": variables}}}))
    [found] = read_hosts([str(inventory)])
    secrets = {"login": found.secrets.login, "become_password": found.secrets.become}
    return json.loads(found.connection.model_dump_json()) | {
        name: secret.get_secret_value() if secret else None for name, secret in secrets.items()
    }


def reached(*arguments: str, config: Path) -> Target:
    """Return how a host is reached with these arguments of ssh."""
    return target(Host(name="web1", connection=Connection(address="web1", ssh_args=("-F", str(config), *arguments))))


def test_the_tables_name_what_is_tested_here() -> None:
    assert first_column("Variables") == set(VARIABLES)
    assert first_column("ssh_config") == {*OPTIONS, "Host", "Match", "Include"}
    assert all(f"`{name}`" in PAGE for name in (*NOT_USED, *FLAGS, "-F", "-o"))


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_of_the_table_is_honoured(variable: str, tmp_path: Path) -> None:
    value, field, becomes = VARIABLES[variable]

    assert host(tmp_path, {})[field] != becomes
    assert host(tmp_path, {variable: value})[field] == becomes


@pytest.mark.parametrize("variable", NOT_USED)
def test_a_variable_that_is_said_not_to_be_used_is_not(variable: str, tmp_path: Path) -> None:
    assert host(tmp_path, {variable: NOT_USED[variable]}) == host(tmp_path, {})


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_table_is_honoured_in_a_file_and_behind_o(option: str, tmp_path: Path) -> None:
    value, field, becomes = OPTIONS[option]
    config, empty = tmp_path / "config", tmp_path / "empty"
    config.write_text(f"Host web1\n  {option} {value}\n")
    empty.touch()

    for found in (reached(config=config), reached("-o", f"{option}={value}", config=empty)):
        settled = getattr(found, field)
        assert becomes in settled if field == "known_hosts" else settled == becomes
    assert getattr(reached(config=empty), field) != becomes


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_is_said_to_be_known_is(flag: str, tmp_path: Path) -> None:
    value, field, becomes = FLAGS[flag]

    assert getattr(reached(flag, value, config=tmp_path / "none"), field) == becomes


def test_include_and_match_are_followed(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include part\n")
    (tmp_path / "part").write_text("Match host web1\n  Port 2222\n")

    assert reached(config=tmp_path / "config").port == 2222
