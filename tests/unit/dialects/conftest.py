"""Golden files of the dialects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Kept = Callable[[Path, str], None]


@pytest.fixture
def kept(request: pytest.FixtureRequest) -> Kept:
    """Compare a text with a golden file; with --accept, where pytest was told of a folder that has it, write it."""
    accept = request.config.getoption("--accept", default=False)

    def compare(path: Path, said: str) -> None:
        if accept:
            path.write_text(said, encoding="utf-8")
        assert path.is_file(), f"no {path}; if the result is right: pytest tests/unit --accept"
        assert said == path.read_text(encoding="utf-8")

    return compare
