"""What a person meets who gets something wrong: one message, a way on, the right exit code, and no traceback."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tcptune.adapters.files import facts_lines, write_whole
from tests.unit.builders import NOW, SOMAXCONN, facts, plan

from .conftest import Command


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """Put down what commands are given: right ones and wrong ones."""
    (tmp_path / "hosts.ini").write_text("[web]\nweb1\nweb2\n")
    (tmp_path / "plan.json").write_text(plan().model_dump_json())
    (tmp_path / "edited.json").write_text(plan().model_dump_json().replace("4096", "65535"))
    (tmp_path / "cut.json").write_text(plan().model_dump_json()[:400])
    (tmp_path / "wrong.yml").write_text("profile: web\nsettings:\n  net.core.somaxconn: 4096\n")
    (tmp_path / "broken.ini").write_text("[web\n")
    write_whole(tmp_path / "facts.jsonl", facts_lines([facts("web1", {SOMAXCONN: "4096"})], NOW))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("audit basline -i web1,", 3, "there is no profile 'basline'"),
        ("audit gone.yml -i web1,", 3, "gone.yml: No such file"),
        ("audit wrong.yml -i web1,", 3, "wrong.yml:3:3: net.core.somaxconn has a value and no operator"),
        ("plan wrong.yml -i web1,", 3, "wrong.yml:3:3"),
        ("show gone.json", 3, "gone.json: No such file"),
        ("show edited.json", 3, "edited.json: the plan was changed after it was made"),
        ("show cut.json", 3, "cut.json: this is no plan"),
        ("show hosts.ini", 3, "hosts.ini: this is no plan"),
        ("show .", 3, "Is a directory"),
        ("render gone.json -d project", 3, "gone.json: No such file"),
        ("apply gone.json", 3, "gone.json: No such file"),
        ("apply edited.json", 3, "was changed after it was made"),
        ("audit baseline --facts gone.jsonl", 3, "gone.jsonl: No such file"),
        ("audit baseline --facts plan.json", 3, "plan.json:1: this is no facts file"),
        ("facts -i gone.ini", 3, "gone.ini: no such inventory"),
        ("facts -i broken.ini", 3, "broken.ini"),
        ("apply plan.json -i gone.ini", 3, "gone.ini: no such inventory"),
        ("apply plan.json -i other,", 3, "the inventory lacks 1 hosts of the plan: web1"),
        ("facts -i hosts.ini --limit nope", 2, "--limit nope"),
        ("facts -i hosts.ini --limit web:!web", 2, "no host of the inventory matches 'web:!web'"),
        ("apply plan.json --limit nope", 2, "no host of the run matches 'nope'"),
        ("plan baseline --facts facts.jsonl", 2, "a plan records how its hosts are reached"),
        ("audit baseline --facts facts.jsonl --limit web1", 2, "--limit needs an inventory"),
        ("confirm last", 2, "there is no run 'last'"),
        ("rollback 2026", 2, "there is no run '2026'"),
        ("verify last", 2, "there is no run 'last'"),
        ("runs last", 2, "there is no run 'last'"),
        ("runs prune --older-than soon", 2, "'soon' is no age"),
        ("runs prune --older-than 0d", 2, "90d or 12w"),
        ("runs show nosuch", 2, "there is no run 'nosuch'"),
        ("runs export last", 2, "there is no run 'last'"),
        ("show plan.json -o no/such/folder/x", 1, "no/such/folder/x: No such file"),
        ("render plan.json -d .", 1, "not empty"),
    ],
)
def test_a_mistake_gives_one_message_and_its_exit_code(tcptune: Command, words: str, code: int, said: str) -> None:
    found = tcptune(*words.split())

    assert found.code == code
    # Ansible's own warnings may stand before it.
    assert said in found.err.partition("error: ")[2]
    assert found.out == ""
    assert "Traceback" not in found.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("audit baseline --nonsense", "--nonsense"),
        ("nonsense", "nonsense"),
        ("audit", "PROFILE"),
        ("audit baseline --format yaml", "yaml"),
        ("facts --forks 0", "--forks"),
        ("facts --timeout soon", "--timeout"),
        ("show", "PLAN"),
        ("render plan.json", "--directory"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_by_its_word(tcptune: Command, words: str, said: str) -> None:
    found = tcptune(*words.split())

    assert found.code == 2
    assert said.lower() in found.err.lower()
    assert found.out == ""


def test_a_journal_that_cannot_be_opened_is_an_error_in_words(
    tcptune: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "journal").write_bytes(b"this is no database " * 500)
    for place in (f"sqlite:///{tmp_path}/journal", "journal.sqlite", "sqlite:////nonexistent/j"):
        monkeypatch.setenv("TCPTUNE_JOURNAL", place)
        found = tcptune("runs")

        assert found.code == 1
        assert "TCPTUNE_JOURNAL" in found.err


def test_a_reader_that_has_seen_enough_is_no_error_of_ours(tmp_path: Path) -> None:
    """`tcptune show plan.json | head -0` ends as every filter does: quietly, with 128 + SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "tcptune", "show", "plan.json"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=tmp_path,
            text=True,
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize("shown", [["show", "plan.json"], ["profile", "export", "baseline", "--to", "sysctl.d"]])
@pytest.mark.parametrize(
    ("output", "says"), [("/dev/full", "No space left on device"), ("&-", "closed")], ids=["full", "closed"]
)
def test_a_result_that_cannot_be_printed_is_an_error_in_words(
    tmp_path: Path, shown: list[str], output: str, says: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" >{output}', "sh", sys.executable, "-m", "tcptune", *shown],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        text=True,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "error: standard output" in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_whose_ssh_says_nothing_gave_no_answer_in_time(tcptune: Command, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        (tmp_path / "hosts.yml").write_text(
            f"all: {{hosts: {{web1: {{ansible_host: 127.0.0.1, ansible_port: {port}}}}}}}\n"
        )
        found = tcptune("facts", "-i", "hosts.yml", "--timeout", "1")

    assert found.code == 4
    assert f"no answer from 127.0.0.1:{port} in time" in found.err


@pytest.mark.parametrize("coloured", [True, False])
def test_no_color_counts_for_errors_too(tmp_path: Path, coloured: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    mine, theirs = pty.openpty()
    with os.fdopen(mine, "rb") as terminal, os.fdopen(theirs, "wb") as screen:
        subprocess.run(
            [sys.executable, "-m", "tcptune", "show", "gone.json"],
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path), **({} if coloured else {"NO_COLOR": "1"})},
            cwd=tmp_path,
            stderr=screen,
            timeout=60,
            check=False,
        )
        said = os.read(terminal.fileno(), 4096)

    assert b"gone.json" in said
    assert (b"\x1b[" in said) is coloured


def test_version_is_told_and_that_is_all(tcptune: Command) -> None:
    found = tcptune("--version")

    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("tcptune 0.")


@pytest.mark.parametrize("words", [["--help"], ["facts", "-i", "web1,"]], ids=" ".join)
def test_ctrl_c_while_modules_are_loaded_ends_in_one_line(words: list[str], tmp_path: Path) -> None:
    # Each import is told on standard error, so the moment is known: the first of what the command line needs.
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "tcptune", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for line in process.stderr:
            if line.rpartition("|")[2].strip().startswith("typer"):
                break
        process.send_signal(signal.SIGINT)
        rest = [line for line in process.stderr if not line.startswith("import time:")]

        assert process.wait(10) == 130
        assert rest == ["stopped\n"]
        assert process.stdout.read() == ""


@pytest.mark.usefixtures("tcptune")
def test_ctrl_c_is_as_before_once_a_command_is_over(tcptune: Command) -> None:
    before = signal.getsignal(signal.SIGINT)
    tcptune("--version")

    assert signal.getsignal(signal.SIGINT) is before
