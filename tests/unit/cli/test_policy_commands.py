"""`tcptune policy …`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.builders import cohort, plan

from .conftest import Command

CAREFUL = "policy: careful\nsummary: Two racks first.\nwaves: [2, 100%]\nfailure_domain: rack\n"
HOSTS = """\
all:
  hosts:
    web1: {tcptune_labels: {rack: r1}}
    web2: {tcptune_labels: {rack: r1}}
    web3: {tcptune_labels: {rack: r2}}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "careful.yml").write_text(CAREFUL)
    (tmp_path / "wrong.yml").write_text("policy: wrong\nwaves: [0]\n")
    (tmp_path / "worse.yml").write_text("policy: worse\n")
    (tmp_path / "hosts.yml").write_text(HOSTS)
    (tmp_path / "plan.json").write_text(plan(cohort("web1", "web2", "web3")).model_dump_json())


def test_list_names_the_built_in_ones_with_their_waves(tcptune: Command) -> None:
    said = tcptune("policy", "list")

    assert said.code == 0
    assert said.out.startswith("standard  1, 5%, 25%, 100%  One host first")
    assert json.loads(tcptune("policy", "list", "--format", "json").out)["policies"][0]["name"] == "standard"


def test_show_tells_the_defaults_too(tcptune: Command) -> None:
    said = tcptune("policy", "show", "careful.yml")

    assert said.code == 0
    assert said.out.startswith("careful  (careful.yml)\n  Two racks first.\n")
    assert "  failure domain  rack\n" in said.out
    assert "  on failure      stop, and roll back the wave\n" in said.out
    assert tcptune("policy", "show", "standart").code == 3


def test_validate_tells_the_mistakes_of_every_file_and_exits_3(tcptune: Command) -> None:
    said = tcptune("policy", "validate", "careful.yml", "wrong.yml", "worse.yml")

    assert said.code == 3
    assert said.out == "careful.yml: waves 2, 100%, 2 gates, no mistake\n"
    assert "2 of 3 files are wrong" in said.err
    assert "wrong.yml:2:9: a wave has at least one host\n  try: waves: [1, 5%, 25%, 100%]\n" in said.err
    assert "worse.yml:1:1: 'waves' is missing" in said.err
    assert tcptune("policy", "validate", "wrong.yml").err.startswith("error: wrong.yml:2:9: ")
    assert tcptune("policy", "validate", "careful.yml").code == 0


def test_waves_shows_who_comes_when_and_why(tcptune: Command) -> None:
    said = tcptune("policy", "waves", "careful.yml", "plan.json", "-i", "hosts.yml")

    assert (said.code, said.err) == (0, "")
    assert said.out == (
        "canary (2), 2 hosts: web1, web3\n"
        "    no two of them share a rack\n"
        "wave 2 (100%), 1 host: web2\n"
        "3 hosts in 2 waves by policy careful. Nothing has been changed.\n"
    )


def test_waves_without_the_labels_that_are_asked_for_exits_3_and_names_the_hosts(tcptune: Command) -> None:
    said = tcptune("policy", "waves", "careful.yml", "plan.json")

    assert said.code == 3
    assert "careful.yml: failure_domain: web1, web2, web3 have no label 'rack'" in said.err
    assert "  try: tcptune_labels: {rack: ...} in the inventory" in said.err


def test_schema_is_written_to_a_file(tcptune: Command, tmp_path: Path) -> None:
    assert tcptune("policy", "schema", "-o", "policy.schema.json").code == 0
    assert json.loads((tmp_path / "policy.schema.json").read_text())["title"] == "tcptune policy"
