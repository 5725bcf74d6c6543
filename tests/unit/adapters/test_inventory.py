from __future__ import annotations

import os
from pathlib import Path

import pytest

from tcptune.adapters.inventory import read_hosts
from tcptune.domain.hosts import Connection, Host
from tcptune.errors import InventoryError, TcptuneError, UsageError

INI = """\
[web]
web1 ansible_host=192.0.2.1 ansible_port=2222
web2

[db]
db1 ansible_user=postgres ansible_ssh_private_key_file=~/keys/db

[db:vars]
ansible_become=true
ansible_become_user=root
"""

YAML = """\
all:
  vars:
    domain: example.org
    ansible_user: deploy
  children:
    web:
      hosts:
        web[1:3]:
          ansible_host: "{{ inventory_hostname }}.{{ domain }}"
      vars:
        ansible_ssh_common_args: -o ProxyCommand="ssh -W %h:%p -q bastion"
        ansible_ssh_extra_args: -p 2222
        ansible_ssh_timeout: 3
    db:
      hosts:
        db1:
          ansible_connection: local
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the machine or the person has configured may reach a test."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("ANSIBLE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def ini(tmp_path: Path) -> str:
    return written(tmp_path / "hosts.ini", INI)


@pytest.fixture
def yaml(tmp_path: Path) -> str:
    return written(tmp_path / "hosts.yml", YAML)


def written(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def names(source: str, limit: str = "all") -> list[str]:
    return [host.name for host in read_hosts([source], limit)]


def one(source: str, limit: str = "all") -> Host:
    [found] = read_hosts([source], limit)
    return found


def reached(source: str, limit: str = "all") -> Connection:
    return one(source, limit).connection


# Sources


def test_an_ini_inventory_is_read_in_its_order(ini: str) -> None:
    assert names(ini) == ["web1", "web2", "db1"]
    assert reached(ini, "web1") == Connection(address="192.0.2.1", port=2222)


def test_variables_of_a_group_hold_for_its_hosts_alone(ini: str) -> None:
    assert reached(ini, "db1").become
    assert not reached(ini, "web1").become


def test_a_key_file_is_kept_as_the_inventory_says_it(ini: str) -> None:
    found = reached(ini, "db1")

    assert found.user == "postgres"
    assert found.key_file is not None
    assert found.key_file.endswith("/keys/db")


def test_a_yaml_inventory_with_ranges_and_templates_is_read(yaml: str) -> None:
    assert names(yaml, "web") == ["web1", "web2", "web3"]
    assert reached(yaml, "web2") == Connection(
        address="web2.example.org",
        user="deploy",
        ssh_args=("-o", "ProxyCommand=ssh -W %h:%p -q bastion", "-p", "2222"),
        timeout_s=3.0,
    )


def test_a_list_of_names_is_an_inventory() -> None:
    assert names("web1,web2") == ["web1", "web2"]
    assert reached("web1,") == Connection(address="web1")


def test_a_folder_is_an_inventory_with_its_group_and_host_variables(tmp_path: Path) -> None:
    written(tmp_path / "inv/hosts", "[web]\nweb1\nweb2\n")
    written(tmp_path / "inv/group_vars/web.yml", "ansible_user: deploy\nansible_port: 2222\n")
    written(tmp_path / "inv/host_vars/web2.yml", "ansible_port: 3333\n")
    hosts = read_hosts([str(tmp_path / "inv")])

    assert [(h.connection.user, h.connection.port) for h in hosts] == [("deploy", 2222), ("deploy", 3333)]


def test_several_sources_are_one_inventory(ini: str, tmp_path: Path) -> None:
    more = written(tmp_path / "more.ini", "[web]\nweb9\n")

    assert [h.name for h in read_hosts([ini, more], "web")] == ["web1", "web2", "web9"]


def test_an_executable_inventory_is_run(tmp_path: Path) -> None:
    path = Path(
        written(tmp_path / "dynamic", '#!/bin/sh\necho \'{"web": {"hosts": ["web7"]}, "_meta": {"hostvars": {}}}\'\n')
    )
    path.chmod(0o755)

    assert names(str(path)) == ["web7"]


# Patterns


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("all", ["web1", "web2", "db1"]),
        ("web", ["web1", "web2"]),
        ("web*", ["web1", "web2"]),
        ("all:!web", ["db1"]),
        ("web1,db1", ["web1", "db1"]),
        ("web[0]", ["web1"]),
        ("~db\\d", ["db1"]),
        ("web:&web2", ["web2"]),
    ],
)
def test_a_pattern_is_one_of_ansible(ini: str, limit: str, found: list[str]) -> None:
    assert names(ini, limit) == found


def test_a_file_of_hosts_is_a_pattern(ini: str, tmp_path: Path) -> None:
    retry = written(tmp_path / "retry", "web2\n")

    assert names(ini, f"@{retry}") == ["web2"]


@pytest.mark.parametrize("limit", ["wbe1", "web:nope", "all:!nope", "nope*"])
def test_a_pattern_that_names_nothing_is_refused_with_what_there_is(ini: str, limit: str) -> None:
    with pytest.raises(UsageError) as refused:
        names(ini, limit)

    assert limit in str(refused.value)
    assert "web1, web2, db1" in (refused.value.hint or "")
    assert (refused.value.hint or "").endswith("groups: db, web")


def test_of_many_hosts_a_few_are_named() -> None:
    with pytest.raises(UsageError) as refused:
        names("h1,h2,h3,h4,h5,h6", "nope")

    assert refused.value.hint == "hosts: h1, h2, h3, h4, h5, ..."


def test_a_pattern_that_leaves_nobody_is_refused(ini: str) -> None:
    with pytest.raises(UsageError, match="no host of the inventory matches 'web:!web'"):
        names(ini, "web:!web")


# Which connection


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_this_machine_needs_no_ssh(name: str) -> None:
    assert reached(f"{name},").kind == "local"


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("localhost ansible_connection=ssh", "ssh"),
        ("localhost ansible_host=192.0.2.1", "ssh"),
        ("web1 ansible_connection=local", "local"),
        ("web1 ansible_connection=smart", "ssh"),
        ("web1 ansible_connection=paramiko", "ssh"),
        ("web1", "ssh"),
    ],
)
def test_the_kind_of_connection_is_what_the_inventory_says(tmp_path: Path, line: str, kind: str) -> None:
    assert reached(written(tmp_path / "hosts", f"{line}\n")).kind == kind


def test_a_connection_that_is_not_supported_is_refused_with_a_way_out(tmp_path: Path) -> None:
    source = written(tmp_path / "hosts", "web1\npod1 ansible_connection=community.docker.docker\n")
    with pytest.raises(InventoryError, match=r"pod1: ansible_connection community\.docker\.docker") as refused:
        names(source)

    assert "--limit '!pod1'" in (refused.value.hint or "")
    assert names(source, "all:!pod1") == ["web1"]


@pytest.mark.parametrize(
    ("text", "become"), [("yes", True), ("True", True), ("1", True), ("no", False), ("false", False), ("0", False)]
)
def test_become_is_understood_in_every_spelling(tmp_path: Path, text: str, become: bool) -> None:
    assert reached(written(tmp_path / "hosts", f"web1 ansible_become={text}\n")).become is become


def test_how_to_become_whom_is_what_the_inventory_says(tmp_path: Path) -> None:
    text = "web1 ansible_become=1 ansible_become_method=su ansible_become_user=deploy ansible_python_interpreter=/p\n"
    found = reached(written(tmp_path / "hosts", text))

    assert (found.become_method, found.become_user, found.python) == ("su", "deploy", "/p")


@pytest.mark.parametrize("variable", ["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"])
def test_a_password_stays_apart_from_the_connection(tmp_path: Path, variable: str) -> None:
    found = one(written(tmp_path / "hosts", f"web1 {variable}=hunter2 ansible_become_password=hunter3\n"))

    assert found.secrets.login is not None
    assert found.secrets.login.get_secret_value() == "hunter2"
    assert found.secrets.become is not None
    assert found.secrets.become.get_secret_value() == "hunter3"
    for shown in (repr(found), found.model_dump_json(), found.connection.model_dump_json()):
        assert "hunter" not in shown


# What cannot be read


@pytest.mark.parametrize("source", ["gone.yml", "folder/gone", "web1"])
def test_an_inventory_that_is_not_there_is_refused(source: str) -> None:
    with pytest.raises(InventoryError, match=f"{source}: no such inventory") as refused:
        names(source)
    assert "web1,web2," in (refused.value.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "all:\n  hosts: [web1\n",
        "[web\nweb1\n",
        "[web:nonsense]\nweb1\n",
        "just: a\nlist: of things\n",
        "web1 ansible_host='open\n",
    ],
)
def test_an_inventory_that_ansible_cannot_read_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    source = written(tmp_path / "hosts.yml", text)
    with pytest.raises(InventoryError) as refused:
        names(source)

    assert "\n" not in str(refused.value)
    assert "hosts.yml" in str(refused.value)


def test_one_broken_source_is_not_passed_over(ini: str, tmp_path: Path) -> None:
    broken = written(tmp_path / "broken.yml", "all:\n  hosts: [web1\n")
    with pytest.raises(InventoryError):
        read_hosts([ini, broken])


def test_it_is_as_strict_where_something_else_has_brought_ansible_in(
    ini: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible import constants

    monkeypatch.setattr(constants, "INVENTORY_ANY_UNPARSED_IS_FAILED", False)
    monkeypatch.setattr(constants, "HOST_PATTERN_MISMATCH", "warning")
    broken = written(tmp_path / "broken.yml", "all:\n  hosts: [web1\n")

    with pytest.raises(InventoryError):
        read_hosts([ini, broken])
    with pytest.raises(UsageError, match="web:nope"):
        read_hosts([ini], "web:nope")
    assert (constants.INVENTORY_ANY_UNPARSED_IS_FAILED, constants.HOST_PATTERN_MISMATCH) == (False, "warning")


def test_an_inventory_without_hosts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TcptuneError, match="no hosts"):
        names(written(tmp_path / "empty.yml", "all:\n  hosts:\n"))


def test_a_variable_that_is_not_defined_is_the_hosts_own_mistake(tmp_path: Path) -> None:
    source = written(tmp_path / "hosts.yml", 'all:\n  hosts:\n    web1:\n      ansible_host: "{{ nowhere }}"\n')
    with pytest.raises(InventoryError, match=r"web1: .*nowhere"):
        names(source)


def test_a_port_that_is_none_is_the_hosts_own_mistake(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="web1"):
        names(written(tmp_path / "hosts", "web1 ansible_port=many\n"))


def test_arguments_of_ssh_with_an_open_quote_are_the_hosts_own_mistake(tmp_path: Path) -> None:
    source = written(tmp_path / "hosts.yml", "all:\n  hosts:\n    web1:\n      ansible_ssh_common_args: -o 'x\n")
    with pytest.raises(InventoryError, match="web1"):
        names(source)


def test_what_is_set_for_the_reading_is_not_left_behind(ini: str) -> None:
    before = dict(os.environ)
    names(ini)

    assert dict(os.environ) == before
