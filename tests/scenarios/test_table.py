"""The table in the package's docstring: complete, and every test it names is there and collected."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import tests.scenarios

HERE = Path(__file__).resolve().parent
NOT_YET = "not in this tool yet: "

# How many entries each part has: the complaints, those that came close, and the pitfalls by theme.
PARTS = {"c": 25, "d": 17, "v": 4, "o": 6, "e": 5, "n": 6, "l": 8, "s": 7, "r": 4}


def table() -> dict[str, list[str]]:
    """Return what stands below each entry, by its id."""
    found: dict[str, list[str]] = {}
    for line in (tests.scenarios.__doc__ or "").splitlines()[5:]:
        if head := re.match(r"([a-z]\d+) +\S", line):
            assert head[1] not in found, f"{head[1]} stands twice"
            below = found[head[1]] = []
        elif line:
            below.append(line.removeprefix("     "))
    return found


TABLE = table()
NAMED = sorted({words for below in TABLE.values() for words in below if not words.startswith(NOT_YET)})


@cache
def defined(path: Path) -> frozenset[str]:
    """Return the tests that a file defines, at its top as pytest wants them."""
    return frozenset(_functions(ast.parse(path.read_text(encoding="utf-8"))))


def _functions(module: ast.Module) -> Iterator[str]:
    names = [node.name for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    # Of two of one name pytest runs the second alone.
    assert len(names) == len(set(names))
    yield from names


def test_no_entry_is_missing() -> None:
    assert set(TABLE) == {f"{part}{number}" for part, most in PARTS.items() for number in range(1, most + 1)}


@pytest.mark.parametrize("entry", TABLE)
def test_an_entry_has_a_test_or_the_reason_why_there_is_none(entry: str) -> None:
    assert TABLE[entry]
    for words in TABLE[entry]:
        assert words.startswith(NOT_YET) or re.fullmatch(r"[\w/]+\.py::test_\w+", words), words
        assert len(words) > len(NOT_YET) + 10


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_exists(named: str) -> None:
    file, _, name = named.partition("::")
    path = (HERE.parent if "/" in file else HERE) / file

    assert name in defined(path)


def test_every_file_of_scenarios_is_in_the_table() -> None:
    files = {path.name for path in HERE.glob("test_*.py")} - {Path(__file__).name}

    assert files == {file for file, _, _ in (named.partition("::") for named in NAMED) if "/" not in file}
