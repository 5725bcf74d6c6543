"""What the scenarios share: the command line run in this process, and the host's side on the path."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# As tests/plugins does: the host's side is plain Python below plugins/.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins"))

from tcptune.adapters.files import facts_lines, write_whole
from tcptune.domain.facts import Collected
from tests.plugins.fake_host import FakeHost
from tests.unit.builders import NOW
from tests.unit.cli.conftest import tcptune

__all__ = ["tcptune"]

Put = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path) -> FakeHost:
    """A host in a temporary folder, with a few settings and no file of ours."""
    (tmp_path / "host").mkdir()
    return FakeHost(tmp_path / "host")


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Write facts and the profile wanted.yml with `settings`, key to operator; return the path of the facts."""

    def written(*hosts: Collected, settings: dict[str, str]) -> Path:
        entries = [f"  {key}: {{{demand}, why: reasons, source: tcp(7)}}\n" for key, demand in settings.items()]
        (tmp_path / "wanted.yml").write_text("profile: wanted\nsettings:\n" + "".join(entries))
        write_whole(tmp_path / "facts.jsonl", facts_lines(hosts, NOW))
        return tmp_path / "facts.jsonl"

    return written
