from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from tcptune.adapters.passwords import asked_for, from_file, offered
from tcptune.errors import InputError, UsageError


def file(folder: Path, content: str | bytes, mode: int = 0o600) -> str:
    path = folder / "password"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("content", ["hunter2", "hunter2\n", "hunter2\r\n", "\n  hunter2 \n\n"])
def test_the_password_of_a_file_is_its_text_without_the_space_around_it(tmp_path: Path, content: str) -> None:
    assert from_file(file(tmp_path, content)).get_secret_value() == "hunter2"


@pytest.mark.parametrize("content", ["hunter2\n", "two words {{ x }}", "b\u00e4r\n"])
def test_a_file_is_read_as_ansible_reads_it(tmp_path: Path, content: str) -> None:
    from ansible.cli import CLI

    name = file(tmp_path, content)

    assert from_file(name).get_secret_value() == CLI.get_password_from_file(name)


@pytest.mark.parametrize(("mode", "told"), [(0o700, "hunter2"), (0o755, "hunter2"), (0o710, "hunter2")])
def test_a_program_is_run_and_its_output_taken_as_ansible_does(tmp_path: Path, mode: int, told: str) -> None:
    from ansible.cli import CLI

    name = file(tmp_path, f"#!/bin/sh\necho {told}\n", mode)

    assert from_file(name).get_secret_value() == told == CLI.get_password_from_file(name)


def test_a_program_that_fails_is_told_with_its_status(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this program ended with status 3") as refused:
        from_file(file(tmp_path, "#!/bin/sh\necho half\nexit 3\n", 0o700))
    assert "half" not in str(refused.value)


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Exec format error|Permission denied"):
        from_file(file(tmp_path, "hunter2\n", 0o700))


@pytest.mark.parametrize(
    ("mode", "content", "may"),
    [
        (0o604, "hunter2", "read"),
        (0o644, "hunter2", "read"),
        (0o602, "hunter2", "change"),
        (0o777, "#!/bin/sh\necho hunter2\n", "change"),
    ],
)
def test_a_file_that_everybody_may_read_or_change_is_refused(tmp_path: Path, mode: int, content: str, may: str) -> None:
    with pytest.raises(InputError, match=f"everybody may {may} it") as refused:
        from_file(file(tmp_path, content, mode))
    assert "chmod" in (refused.value.hint or "")
    assert "hunter2" not in str(refused.value)


def test_a_file_for_a_group_is_the_owners_decision(tmp_path: Path) -> None:
    assert from_file(file(tmp_path, "hunter2", 0o640)).get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("hunter2\nrm -rf /\n", "more than one line"),
        ("a\rb", "more than one line"),
        ("a\0b", "more than one line"),
        ("x" * 5000, "more than one line"),
        (b"\xff\xfe", "no UTF-8"),
    ],
)
def test_what_is_no_password_is_refused_and_never_shown(tmp_path: Path, content: str | bytes, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        from_file(file(tmp_path, content))
    assert "hunter2" not in f"{refused.value}{refused.value.hint}"


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path: Path) -> None:
    for name in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=r"No such file|Is a directory"):
            from_file(str(name))


def test_a_pipe_of_a_shell_is_read() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"hunter2\n")
    try:
        assert from_file(f"/dev/fd/{reading}").get_secret_value() == "hunter2"
    finally:
        os.close(reading)


def test_a_minus_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hunter2\n")))

    assert from_file("-").get_secret_value() == "hunter2"


def test_without_a_terminal_nobody_is_asked() -> None:
    code = "from tcptune.adapters.passwords import asked_for\nfrom tcptune.errors import UsageError\n"
    code += "try: asked_for()\nexcept UsageError as refused: print(refused)\n"

    said = subprocess.run(
        [sys.executable, "-c", code],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        text=True,
        capture_output=True,
        check=True,
    )

    assert said.stdout == "--ask-become-pass: there is no terminal to ask on\n"
    assert said.stderr == ""


class TestAnswers:
    @pytest.fixture(autouse=True)
    def terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.open", lambda *_: os.dup(0))

    def test_an_empty_answer_is_no_password_as_with_ansible(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("getpass.getpass", lambda _: "")

        assert asked_for() is None

    def test_an_end_of_input_is_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def ended(_: str) -> str:
            raise EOFError

        monkeypatch.setattr("getpass.getpass", ended)
        with pytest.raises(UsageError, match="no password was given"):
            asked_for()

    def test_what_ansible_would_shorten_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("getpass.getpass", lambda _: "hunter2 ")
        with pytest.raises(UsageError, match="begins or ends with a space"):
            asked_for()


# The way to Ansible


def test_ansible_reads_what_is_offered_and_nothing_is_left(tmp_path: Path) -> None:
    from ansible.cli import CLI

    path = tmp_path / "sudo"
    with offered(SecretStr("hunter2"), path):
        assert path.is_fifo()
        assert path.stat().st_mode & 0o777 == 0o600
        assert CLI.get_password_from_file(str(path)) == "hunter2"
        assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_takes_keeps_nobody_waiting(tmp_path: Path) -> None:
    with offered(SecretStr("hunter2"), tmp_path / "sudo"):
        pass

    assert list(tmp_path.iterdir()) == []
    assert "password" not in {thread.name for thread in threading.enumerate()}


def test_without_a_password_nothing_is_offered(tmp_path: Path) -> None:
    with offered(None, tmp_path / "sudo"):
        assert list(tmp_path.iterdir()) == []
