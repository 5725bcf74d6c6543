from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tcptune.cli.app import app
from tcptune.errors import HostError, InputError, PlanStale, UsageError

from .conftest import Command

TOP = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PROFILE = {"list", "show", "validate", "schema", "diff", "import", "export"}
POLICY = {"list", "show", "validate", "waves", "schema"}
TIMEOUTS = {"check", "products", "schema"}
RUNS = {"list", "show", "export", "prune", "resume", "abort"}
GROUPS = {name: command for name, command in TOP.items() if hasattr(command, "commands")}
COMMANDS = {name: command for name, command in TOP.items() if name not in GROUPS} | {
    f"{group} {name}": command for group in GROUPS for name, command in GROUPS[group].commands.items()
}
CHANGING = {"apply", "confirm", "extend", "rollback", "runs resume", "runs abort"}
VERBS = {
    "Apply",
    "Check",
    "Compare",
    "End",
    "Explain",
    "Find",
    "Forget",
    "Give",
    "Keep",
    "List",
    "Look",
    "Make",
    "Print",
    "Read",
    "Show",
    "Take",
    "Try",
    "Write",
}
HEAVY = {"ansible", "ansible_runner", "paramiko", "sqlalchemy", "alembic", "jinja2", "ruamel", "crossplane", "scapy"}

every_command = pytest.mark.parametrize("name", COMMANDS)


def test_these_are_the_commands() -> None:
    looking = {"facts", "audit", "plan", "show", "render", "verify", "doctor", "explain", "probe", "logs", "lint"}
    looking |= {"pcap", "capture-plan", "diagnose"}
    grouped = {f"profile {name}" for name in PROFILE} | {f"runs {name}" for name in RUNS}
    grouped |= {f"policy {name}" for name in POLICY} | {f"timeouts {name}" for name in TIMEOUTS}

    assert set(COMMANDS) == looking | CHANGING | grouped


@every_command
def test_help_starts_with_a_verb(name: str) -> None:
    assert COMMANDS[name].help.split()[0] in VERBS


@every_command
def test_help_lists_the_exit_codes(tcptune: Command, name: str) -> None:
    found = tcptune(*name.split(), "--help")

    assert (found.code, found.err) == (0, "")
    assert re.search(r"\bExits 0\b", found.out)


@every_command
def test_help_says_whether_anything_changes(name: str) -> None:
    said = COMMANDS[name].help

    assert ("CHANGES HOSTS" in said) is (name in CHANGING)
    assert ("Changes no" in said or "changes nothing" in said.lower()) is (name not in CHANGING)


@every_command
def test_help_shows_an_example_of_the_command(name: str) -> None:
    assert f"  tcptune {name}" in COMMANDS[name].help


def test_each_example_of_the_help_has_a_line_of_its_own(tcptune: Command) -> None:
    lines = tcptune("explain", "--help").out.splitlines()

    assert sum(line.startswith("    tcptune explain") for line in lines) == 4


@every_command
def test_every_option_and_argument_is_explained(name: str) -> None:
    assert [p.name for p in COMMANDS[name].params if not getattr(p, "help", None)] == []


@pytest.mark.parametrize(
    ("name", "error"),
    [("apply", PlanStale), ("apply", HostError), ("show", InputError), ("confirm", UsageError), ("audit", HostError)],
)
def test_help_names_the_exit_codes_of_its_own_errors(name: str, error: type[UsageError]) -> None:
    assert re.search(rf"\b{error.exit_code}\b", COMMANDS[name].help)


def test_without_a_command_the_help_is_shown(tcptune: Command) -> None:
    found = tcptune()

    assert "audit" in found.out + found.err


@pytest.mark.parametrize("words", [["--help"], ["audit", "--help"], ["--version"]], ids=" ".join)
def test_help_is_instant_as_nothing_heavy_is_imported(words: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tcptune", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}

    assert "typer" in imported
    assert imported & HEAVY == set()
