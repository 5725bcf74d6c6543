"""What is in the checkout for others to copy: the example inventory, and the execution environment."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tcptune.adapters.inventory import read_hosts
from tcptune.adapters.profiles import load_profile, load_waivers

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "inventories/example"
GROUPS = sorted((EXAMPLE / "group_vars").glob("*.yml"))
OF_THE_INVENTORY = {"tcptune_load", "tcptune_roles"}


def variables(group: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(group.read_text())
    return found


def options() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in (ROOT / "roles").glob("*/meta/argument_specs.yml"):
        found |= yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
    return found


def test_the_inventory_is_read_and_every_group_has_hosts() -> None:
    assert len(read_hosts([str(EXAMPLE / "hosts.yml")])) == 5
    groups = yaml.safe_load((EXAMPLE / "hosts.yml").read_text())["all"]["children"]
    assert {path.stem for path in GROUPS} == {"all", *groups}


@pytest.mark.parametrize("group", GROUPS, ids=lambda path: path.stem)
def test_each_variable_is_one_of_a_role(group: Path) -> None:
    kinds = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
    known = options()

    for name, value in variables(group).items():
        if name not in OF_THE_INVENTORY:
            assert isinstance(value, kinds[known[name]["type"]]), name


@pytest.mark.parametrize("group", GROUPS, ids=lambda path: path.stem)
def test_each_profile_is_there_and_takes_the_load_that_is_said_of_its_hosts(group: Path) -> None:
    said = variables(group)
    profile = said.get("tcp_settings_profile", variables(EXAMPLE / "group_vars/all.yml")["tcp_settings_profile"])

    if profile:
        assert set(said.get("tcptune_load", {})) <= set(load_profile(profile).load)
    else:
        assert said["tcp_settings_values"]


def test_the_waiver_is_for_a_host_of_the_inventory() -> None:
    names = {host.name for host in read_hosts([str(EXAMPLE / "hosts.yml")])}
    [waiver] = load_waivers(EXAMPLE / "waivers.yml")

    assert waiver.hosts in names


def test_the_execution_environment_has_what_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [line for line in (ROOT / "meta/ee-requirements.txt").read_text().splitlines() if not line.startswith("#")]
    build = yaml.safe_load((ROOT / "execution-environment.yml").read_text())["dependencies"]
    ansible = [build["ansible_core"]["package_pip"], build["ansible_runner"]["package_pip"]]

    assert sorted([*needed, *ansible]) == sorted(project["dependencies"])


def test_the_execution_environment_names_the_archive_that_is_built_and_files_that_are_there() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    [collection] = yaml.safe_load((ROOT / "execution-environment.yml").read_text())["dependencies"]["galaxy"][
        "collections"
    ]
    listed = yaml.safe_load((ROOT / "meta/execution-environment.yml").read_text())["dependencies"]

    assert collection["name"] == f"dist/{galaxy['namespace']}-{galaxy['name']}-{galaxy['version']}.tar.gz"
    assert all((ROOT / path).is_file() for path in listed.values())
