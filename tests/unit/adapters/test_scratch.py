from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptune.adapters import scratch

HOLD = (
    "from tcptune.adapters import scratch\nwith scratch.folder() as path:\n    print(path, flush=True)\n    input()\n"
)


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Give another process that has such a folder, and the folder with a file in it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env=os.environ | {"TMPDIR": str(parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        path = Path(process.stdout.readline().strip())
        (path / "file").write_text("whole\n")
        yield process, path
        process.kill()


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_folder_is_for_its_user_alone_and_gone_afterwards(parent: Path) -> None:
    with scratch.folder() as path:
        (path / "deep").mkdir()
        assert (path.parent, path.stat().st_mode & 0o777) == (parent, 0o700)

    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(other: tuple[subprocess.Popen[str], Path]) -> None:
    process, left = other
    killed(process)
    assert (left / "file").exists()

    with scratch.folder():
        assert not left.exists()


def test_the_folder_of_a_living_process_stays(other: tuple[subprocess.Popen[str], Path]) -> None:
    _, path = other

    with scratch.folder():
        assert (path / "file").read_text() == "whole\n"


def test_a_folder_in_which_somebody_still_works_stays(other: tuple[subprocess.Popen[str], Path], parent: Path) -> None:
    process, left = other
    killed(process)
    with subprocess.Popen(["sleep", "60"], cwd=left) as worker:
        scratch.remove_abandoned(parent)
        assert left.exists()
        worker.kill()

    scratch.remove_abandoned(parent)
    assert not left.exists()


def test_a_connection_that_ssh_keeps_open_does_not_keep_the_folder(
    other: tuple[subprocess.Popen[str], Path], parent: Path, tmp_path: Path
) -> None:
    process, left = other
    killed(process)
    ssh = tmp_path / "ssh"
    ssh.symlink_to(shutil.which("sleep") or "")
    with subprocess.Popen([ssh, "60"], cwd=left) as master:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{master.pid}/comm").read_text() != "ssh\n":
            assert time.monotonic() < deadline
        scratch.remove_abandoned(parent)
        master.kill()

    assert not left.exists()


def test_links_and_folders_that_others_can_look_into_are_left_alone(parent: Path) -> None:
    target = parent / "kept"
    target.mkdir()
    (target / "file").write_text("kept\n")
    link = parent / "tcptune-project-link"
    link.symlink_to(target)
    opened = parent / "tcptune-project-open"
    opened.mkdir()
    opened.chmod(0o755)
    file = parent / "tcptune-project-file"
    file.touch()

    scratch.remove_abandoned(parent)

    assert (target / "file").exists()
    assert link.is_symlink()
    assert opened.exists()
    assert file.exists()


def test_the_folder_of_another_user_is_left_alone(
    other: tuple[subprocess.Popen[str], Path], parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, left = other
    killed(process)
    monkeypatch.setattr(os, "geteuid", lambda: left.stat().st_uid + 1)

    scratch.remove_abandoned(parent)

    assert left.exists()


def test_a_folder_that_is_removed_before_it_is_locked_is_made_again(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    turns = []

    def late(handle: int, how: int) -> None:
        if not turns:
            turns.append(handle)
            scratch.remove_abandoned(parent)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)

    with scratch.folder() as path:
        assert path.is_dir()
    assert turns


def test_what_is_written_to_a_place_that_swallows_is_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "command"

    with scratch.unwritten(path):
        # More than a pipe holds.
        with path.open("w") as file:
            path.chmod(0o600)
            file.write("secret" * 100_000)
        assert not path.is_file()

    assert not path.exists()


def test_where_nobody_writes_nobody_waits(tmp_path: Path) -> None:
    with scratch.unwritten(tmp_path / "deep" / "command"):
        pass

    assert "unwritten" not in {thread.name for thread in threading.enumerate()}
