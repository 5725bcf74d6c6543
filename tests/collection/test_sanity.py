"""What `make sanity` runs is all that ansible-test has, but for what CONTRIBUTING gives a reason for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.collection import sanity
from tests.collection.copies import ROOT


def constants(path: Path) -> dict[str, Any]:
    """Return the literals that a module assigns at its top."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def test_every_test_of_ansible_test_is_run_or_has_its_reason_in_contributing(tmp_path: Path) -> None:
    place = tmp_path / "ansible_collections/tcptune/linux"
    place.mkdir(parents=True)
    (place / "galaxy.yml").write_text((ROOT / "galaxy.yml").read_text())
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-test", "sanity", "--list-tests"],
        cwd=place,
        env={**sanity.environment(), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = re.findall(r"^[a-z][a-z0-9-]+$", done.stdout, re.MULTILINE)
    table = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))

    assert sorted(listed) == sorted([*sanity.TESTS, *sanity.SKIPPED])
    assert {name: table.get(name) for name in sanity.SKIPPED} == sanity.SKIPPED


def test_what_is_ignored_has_a_reason_and_fits_a_screen() -> None:
    lines = [line for path in (ROOT / "tests/sanity").glob("ignore-*.txt") for line in path.read_text().splitlines()]

    assert len(lines) <= 24
    assert all(re.fullmatch(r"plugins/\S+\.py \S+  # .{20,}", line) for line in lines)
    assert all((ROOT / line.split()[0]).is_file() for line in lines)


@pytest.mark.parametrize("name", ["tcp_facts", "tcp_audit"])
def test_what_an_action_is_documented_to_take_is_what_it_takes(name: str) -> None:
    documentation = yaml.safe_load(constants(ROOT / f"plugins/modules/{name}.py")["DOCUMENTATION"])
    arguments = constants(ROOT / f"plugins/action/{name}.py")["ARGUMENTS"]
    kept = ("type", "elements", "required", "default", "choices")

    assert {
        option: {word: told[word] for word in kept if word in told} for option, told in documentation["options"].items()
    } == {option: {word: one for word, one in told.items() if word in kept} for option, told in arguments.items()}
