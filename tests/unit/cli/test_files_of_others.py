"""logs and lint: commands that judge files of others, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command

REFUSED = "2026-11-21T08:00:01Z dial tcp 10.0.0.9:80: connect: connection refused\n"


@pytest.mark.parametrize(
    ("content", "more", "code"),
    [("all is well\n", (), 0), (REFUSED, (), 10), (REFUSED, ("nothere.log",), 3), ("", ("nothere.log",), 3)],
)
def test_the_exit_code_of_logs(
    tcptune: Command, tmp_path: Path, content: str, more: tuple[str, ...], code: int
) -> None:
    (tmp_path / "app.log").write_text(content)

    said = tcptune("logs", "app.log", *more)

    assert said.code == code
    assert "Logs: " in said.out
    assert all(name in said.out for name in more)


def test_logs_writes_a_document(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(REFUSED)

    said = tcptune("logs", "app.log", "--format", "json", "-o", "found.json")

    found = json.loads((tmp_path / "found.json").read_text())
    assert said.code == 10
    assert (found["tcptune"], found["format_version"], found["causes"]) == ("logs", 1, {"refused.closed_port": 1})


def test_a_log_named_twice_is_one_message(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(REFUSED)

    said = tcptune("logs", "app.log", "./app.log")

    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("error: ./app.log: this is the file app.log once more\n  try: ")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.conf", "net.ipv4.tcp_keepalive_time = 600\n", 0),
        ("a.conf", "net.ipv4.tcp_tw_recycle = 1\n", 10),
        ("a.yml", "a: [\n", 3),
    ],
)
def test_the_exit_code_of_lint(tcptune: Command, tmp_path: Path, name: str, content: str, code: int) -> None:
    (tmp_path / name).write_text(content)

    said = tcptune("lint", name)

    assert said.code == code
    assert "Lint: " in said.out


def test_lint_takes_folders(tcptune: Command, tmp_path: Path) -> None:
    for name in ("host/etc/sysctl.d/a.conf", "host/etc/sysctl.conf", "role/tasks/main.yml", "role/.git/x.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("net.ipv4.tcp_sack: 1\n" if name.endswith("yml") else "net.ipv4.tcp_sack = 1\n")
    (tmp_path / "host/etc/nginx.conf").write_text("worker_processes 1;\n")

    found = json.loads(tcptune("lint", "host", "role", "--format", "json").out)

    assert found["files"] == ["host/etc/sysctl.conf", "host/etc/sysctl.d/a.conf", "role/tasks/main.yml"]


def test_lint_refuses_a_folder_without_such_files(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    said = tcptune("lint", "empty")

    assert said.code == 3
    assert "no file in this folder sets kernel settings" in said.err


def test_lint_names_what_cannot_be_read(tcptune: Command) -> None:
    said = tcptune("lint", "nothere.conf")

    assert said.code == 3
    assert "? nothere.conf: No such file or directory" in said.out


def test_a_kernel_that_is_none_is_one_message(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("net.ipv4.tcp_sack = 1\n")

    said = tcptune("lint", "a.conf", "--kernel", "newest")

    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 2


def test_lint_writes_sarif(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("net.ipv4.tcp_tw_recycle = 1\n")

    said = tcptune("lint", "a.conf", "--format", "sarif")

    assert (said.code, json.loads(said.out)["version"]) == (10, "2.1.0")
