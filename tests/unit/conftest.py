"""What all unit tests share: the golden files, and hypothesis without a deadline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

Golden = Callable[[str, str], None]

GOLDEN = Path(__file__).parents[1] / "golden"

# A shared machine is slow at times, which is no news about the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="Rewrite the golden files; review the diff like code.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with a file below tests/golden; with --accept, write it there.

    `pytest tests/unit --accept`: pytest knows the option only where it is told of this folder.
    """
    accept = request.config.getoption("--accept", default=False)

    def compare(name: str, said: str) -> None:
        path = GOLDEN / name
        if accept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(said, encoding="utf-8")
        assert path.is_file(), f"no {path}; if the result is right: pytest tests/unit --accept"
        assert said == path.read_text(encoding="utf-8")

    return compare
