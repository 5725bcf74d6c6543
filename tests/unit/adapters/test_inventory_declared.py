"""Roles and load of a host, declared in the inventory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tcptune.adapters.inventory import read_hosts
from tcptune.errors import InventoryError


def hosts(folder: Path, variables: str) -> list[object]:
    path = folder / "hosts.yml"
    path.write_text(f"all:\n  hosts:\n    web1:\n  vars:\n{variables}")
    return [host.declared for host in read_hosts([str(path)])]


def test_roles_and_load_are_read_with_their_expressions(tmp_path: Path) -> None:
    text = "    base: 100\n    tcptune_roles: [edge, core]\n    tcptune_load: {rate: '{{ base * 2 }}', stall_s: 0.5}\n"

    [declared] = hosts(tmp_path, text)

    assert declared.model_dump() == {"roles": ("edge", "core"), "load": {"rate": 200.0, "stall_s": 0.5}}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        "    tcptune_roles: 5\n",
        "    tcptune_load: [rate]\n",
        "    tcptune_load: {rate: fast}\n",
        "    tcptune_load: {rate: true}\n",
    ],
)
def test_what_is_no_role_or_number_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InventoryError, match="web1: tcptune_"):
        hosts(tmp_path, text)
