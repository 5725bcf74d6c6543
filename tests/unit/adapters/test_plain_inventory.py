from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcptune.adapters.inventory import read_hosts
from tcptune.adapters.plain_inventory import plain_hosts
from tcptune.domain.hosts import Host

VARIABLES: dict[str, st.SearchStrategy[Any]] = {
    "ansible_host": st.sampled_from(["192.0.2.1", "web.example"]),
    "ansible_user": st.sampled_from(["deploy", "root"]),
    "ansible_port": st.sampled_from([22, 2222]),
    "ansible_become": st.booleans(),
    "ansible_become_user": st.sampled_from(["root", "admin"]),
    "ansible_connection": st.sampled_from(["ssh", "local"]),
    "ansible_ssh_common_args": st.sampled_from(["-J gate", "-o 'A=b c' -p 3"]),
    "ansible_ssh_private_key_file": st.just("/key"),
    "ansible_become_password": st.just("hunter2"),
    "role": st.sampled_from(["web", 3, None, [1], {"a": "b"}]),
}
VALUES = st.fixed_dictionaries({}, optional=VARIABLES)
HOSTS = st.dictionaries(st.sampled_from(["web1", "web2", "db1.example", "localhost"]), st.none() | VALUES, max_size=3)
GROUPS = st.recursive(
    st.fixed_dictionaries({}, optional={"hosts": HOSTS, "vars": VALUES}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "hosts": HOSTS,
            "vars": VALUES,
            "children": st.dictionaries(st.sampled_from(["front", "back", "eu", "us"]), inner, max_size=2),
        },
    ),
    max_leaves=4,
)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "hosts.yml"


def plain(source: Path, text: str) -> list[Host] | None:
    source.write_text(text)
    return plain_hosts([str(source)], "all")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(inventory=st.dictionaries(st.sampled_from(["all", "lab", "front"]), GROUPS, min_size=1, max_size=2))
def test_what_is_read_without_ansible_is_what_ansible_reads(source: Path, inventory: dict[str, Any]) -> None:
    found = plain(source, yaml.safe_dump(inventory))
    if found is not None:
        told = {host.name: host for host in read_hosts([str(source)])}
        assert {host.name: host for host in found} == told


def test_an_inventory_of_the_usual_kind_needs_no_ansible(source: Path) -> None:
    found = plain(
        source,
        "all:\n  vars: {ansible_user: deploy, ansible_become: true}\n  children:\n"
        "    web:\n      vars: {ansible_port: 2222}\n      hosts: {web1: {ansible_host: 192.0.2.1}, web2: {}}\n",
    )

    assert found is not None
    assert [(h.name, h.connection.address, h.connection.port, h.connection.user) for h in found] == [
        ("web1", "192.0.2.1", 2222, "deploy"),
        ("web2", "web2", 2222, "deploy"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "all: {hosts: {web1: {ansible_host: '{{ ip }}'}}}",
        "all: {hosts: {web1: {ansible_become_password: !vault x}}}",
        "all: {hosts: {'web[1:3]': {}}}",
        "all: {hosts: {web1: {ansible_ssh_args: -J gate}}}",
        "all: {hosts: {web1: {ansible_port: '2222'}}}",
        "all: {hosts: {web1: {ansible_become: 'yes'}}}",
        "all: {hosts: {web1: {ansible_connection: docker}}}",
        'all: {hosts: {web1: {ansible_ssh_common_args: "-o \'x"}}}',
        "all: {children: {a: {hosts: {w: }, vars: {ansible_port: 1}}, b: {hosts: {w: }, vars: {ansible_port: 2}}}}",
        "all: {hosts: {web1: {tcptune_roles: [edge]}}}",
        "all: {hosts: {web1: }, vars: {tcptune_load: {rate: 5000}}}",
        "all: {hosts: [web1]}",
        "all: {hosts: {}}",
        "all: [",
        "plugin: aws",
    ],
)
def test_what_is_less_plain_is_left_to_ansible(source: Path, text: str) -> None:
    assert plain(source, text) is None


@pytest.mark.parametrize("name", ["ansible.cfg", ".ansible.cfg", "group_vars", "host_vars"])
def test_where_another_file_may_have_a_say_ansible_reads_it(source: Path, name: str) -> None:
    (source.parent / name).mkdir()

    assert plain(source, "all: {hosts: {web1: {}}}") is None


def test_where_the_environment_speaks_to_ansible_it_reads_it(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_REMOTE_USER", "deploy")

    assert plain(source, "all: {hosts: {web1: {}}}") is None


def test_a_pattern_is_left_to_ansible(source: Path) -> None:
    source.write_text("all: {hosts: {web1: {}}}")

    assert plain_hosts([str(source)], "web*") is None
