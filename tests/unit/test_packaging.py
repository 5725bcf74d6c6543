"""What is declared twice must agree."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tcptune import errors

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = sorted((ROOT / "requirements").iterdir())


def names(lines: list[str]) -> list[str]:
    return [re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in lines]


def lines(path: Path) -> list[str]:
    return [line for raw in path.read_text().splitlines() if (line := raw.partition("#")[0].strip())]


def test_the_requirements_name_what_the_package_declares() -> None:
    assert names(lines(ROOT / "requirements/runtime.in")) == sorted(names(PROJECT["dependencies"]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_requirement_names_an_index_or_a_place(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert not re.search(r"://|--(?:extra-)?index|--find-links|--trusted-host|^-[if]\b| @ ", line)


def test_every_requirement_of_the_package_is_pinned() -> None:
    pinned = {re.sub(r"[-_.]+", "-", name) for name in names(lines(ROOT / "requirements/dev.txt"))}

    assert {re.sub(r"[-_.]+", "-", name) for name in names(PROJECT["dependencies"])} <= pinned


def test_every_extra_of_the_package_is_asked_for_in_development_and_pinned() -> None:
    extras = [one for some in PROJECT["optional-dependencies"].values() for one in some]
    pinned = names(lines(ROOT / "requirements/dev.txt"))

    assert {re.split("[<>=]", one)[0] for one in extras} <= set(lines(ROOT / "requirements/dev.in"))
    assert set(names(extras)) <= set(pinned)


def test_everything_that_is_pinned_has_one_exact_version() -> None:
    assert all(re.match(r"[A-Za-z0-9._-]+==[^\s=*<>]+( ;|$)", line) for line in lines(ROOT / "requirements/dev.txt"))


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT


def test_the_tree_of_errors_in_the_docstring_is_the_one_in_the_code() -> None:
    drawn = re.findall(r"(\w+)\s+(\d)? +\S", errors.__doc__ or "")
    code = None
    for name, number in [
        (n, c) for n, c in drawn if n.endswith(("Error", "Refused", "Failed", "Stale", "Unreachable"))
    ]:
        code = int(number) if number else code
        assert getattr(errors, name).exit_code == code
    raised = {node.name for node in ast.parse(Path(errors.__file__).read_text()).body if isinstance(node, ast.ClassDef)}

    assert {name for name, _ in drawn} >= raised
