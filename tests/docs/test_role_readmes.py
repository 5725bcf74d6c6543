"""The examples in the READMEs of the roles name roles, variables and playbooks that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.examples import blocks
from tests.docs.pages import ROOT

ROLES = sorted(path.parent for path in (ROOT / "roles").glob("*/README.md"))
VARIABLES: dict[str, dict[str, Any]] = {
    role.name: yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    for role in ROLES
}
KNOWN = {"role", "vars", "tags", "when"}


def entries(role: Path) -> list[dict[str, Any]]:
    """Return each use of a role in the examples of a README: in a play, or alone."""
    found = []
    for block in blocks((role / "README.md").read_text()):
        data = yaml.safe_load(block.text) if block.language == "yaml" else None
        for one in data if isinstance(data, list) else ():
            found += one.get("roles", [one] if "role" in one else [])
    return found


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_an_example_uses_variables_of_its_role(role: Path) -> None:
    found = entries(role)

    assert f"tcptune.linux.{role.name}" in {entry["role"] for entry in found}
    for entry in found:
        options = VARIABLES[entry["role"].rpartition(".")[2]]
        for name in entry.keys() - KNOWN:
            assert name in options
            choices = options[name].get("choices")
            assert choices is None or entry[name] in choices


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_command_names_playbooks_and_what_they_take(role: Path) -> None:
    commands = [
        shlex.split(line.removeprefix("$ "))
        for block in blocks((role / "README.md").read_text())
        if block.language == "console"
        for line in block.text.splitlines()
    ]
    for words in commands:
        if words[0] == "ansible-playbook":
            [name] = [word for word in words if word.startswith("tcptune.linux.")]
            play = ROOT / "playbooks" / f"{name.rpartition('.')[2]}.yml"
            # A variable of another role would be taken without a word, and do nothing.
            taken = {
                inner
                for used in re.findall(r"role: tcptune\.linux\.(\w+)", play.read_text())
                for inner in VARIABLES[used]
            }
            taken |= {*re.findall(r"tcptune_\w+", play.read_text())}
            assert {words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "-e"} <= taken
        else:
            assert words[0] == "ansible"
            assert words[-1].removeprefix("name=tcptune.linux.") in VARIABLES
