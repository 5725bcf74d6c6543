"""The command line, run in this process: main() with arguments, and what it said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tcptune.cli.app import main


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def tcptune(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run a command in an empty folder, with a journal of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TCPTUNE_JOURNAL", f"sqlite:///{tmp_path}/journal.sqlite")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("TCPTUNE_INVENTORY", raising=False)

    def command(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tcptune", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return command
