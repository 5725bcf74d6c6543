"""Roles, load, labels and groups of a host, declared in the inventory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tcptune.adapters.inventory import read_hosts
from tcptune.domain.hosts import Declared
from tcptune.errors import InventoryError


def hosts(folder: Path, variables: str) -> list[Declared]:
    path = folder / "hosts.yml"
    path.write_text(f"all:\n  hosts:\n    web1:\n  vars:\n{variables}")
    return [host.declared for host in read_hosts([str(path)])]


def test_roles_and_load_are_read_with_their_expressions(tmp_path: Path) -> None:
    text = "    base: 100\n    tcptune_roles: [edge, core]\n    tcptune_load: {rate: '{{ base * 2 }}', stall_s: 0.5}\n"

    [declared] = hosts(tmp_path, text)

    assert (declared.roles, declared.load) == (("edge", "core"), {"rate": 200.0, "stall_s": 0.5})


def test_labels_are_texts_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    text = "    room: b\n    tcptune_labels: {rack: 12, zone: ' eu  west ', row: '{{ room }}'}\n"

    [declared] = hosts(tmp_path, text)

    assert declared.labels == {"rack": "12", "zone": "eu west", "row": "b"}


def test_the_groups_of_a_host_are_known_with_those_above_them(tmp_path: Path) -> None:
    path = tmp_path / "hosts.ini"
    path.write_text("db1\n[rack_a]\nweb1\n[web:children]\nrack_a\n")

    found = {host.name: host.declared.groups for host in read_hosts([str(path)])}

    assert found == {"db1": (), "web1": ("rack_a", "web")}


@pytest.mark.parametrize(
    "text",
    [
        "    tcptune_roles: 5\n",
        "    tcptune_load: [rate]\n",
        "    tcptune_load: {rate: fast}\n",
        "    tcptune_load: {rate: true}\n",
        "    tcptune_labels: rack\n",
        "    tcptune_labels: {rack: [r1]}\n",
        "    tcptune_labels: {rack: no}\n",
        "    tcptune_labels: {rack: }\n",
        "    tcptune_labels: {rack: ''}\n",
    ],
)
def test_what_is_no_role_or_number_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InventoryError, match="web1: tcptune_"):
        hosts(tmp_path, text)
