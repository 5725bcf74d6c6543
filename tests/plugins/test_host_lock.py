"""The lock that Python and a shell share: one holder at a time, whoever dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from module_utils import processes, script
from module_utils.errors import Locked
from module_utils.lock import HostLock

PLUGINS = str(Path(script.__file__).resolve().parents[1])
DEAD = "4194304 1 boot-before-this pid:[1] run-dead"
# The script's own lock, in a loop.
LOCK = (
    "set -u; set -f; run=sh; lock=$1; inside=$2\n"
    "say() { echo $* >&2; }\n"
    + script.SCRIPT[script.SCRIPT.index("# The lock.") : script.SCRIPT.index("# The record.")]
    + script.SCRIPT[script.SCRIPT.index("refusals=0\nuntil") : script.SCRIPT.index("case $act in")]
)
IN_SHELL = (
    LOCK
    + """
for round in 1 2 3 4 5 6 7 8; do
  refusals=0
  until try_lock; do :; done
  mkdir "$inside" || { echo "two at once" >&2; exit 3; }
  rmdir "$inside"
  # Now and then it dies as the holder.
  [ $round -ne $3 ] || kill -KILL $$
  unlock
done
"""
)
IN_PYTHON = """
import os, signal, sys
sys.path.insert(0, sys.argv[4])
from module_utils.errors import Locked
from module_utils.lock import HostLock
done = 0
while done < 30:
    try:
        with HostLock(sys.argv[1]).hold("python"):
            os.mkdir(sys.argv[2])
            os.rmdir(sys.argv[2])
            done += 1
            if done == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
    except Locked:
        pass
"""


SHELLS = ["dash", "busybox", "bash"]
EVERY_SHELL = pytest.mark.parametrize("shell", SHELLS)


def words(shell):
    """Return what runs a shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    return [shell, *(["ash"] if shell == "busybox" else [])]


def in_shell(shell, folder):
    """Try the lock once, as the script does."""
    command = [*words(shell), "-c", LOCK + "try_lock && unlock", "sh", str(folder), ""]
    return subprocess.run(command, check=False, timeout=10)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "lock"
    path.mkdir()
    return path


def links(folder):
    return sorted(path.name for path in folder.iterdir())


def alive(run="run-other"):
    return " ".join(map(str, processes.me())) + " " + run


def mine(run="run-1"):
    """Return the name and the text of a link of this process."""
    me = list(map(str, processes.me()))
    return "-".join(me), " ".join([*me, run])


def test_a_lock_that_was_given_back_leaves_nothing(folder):
    with HostLock(str(folder)).hold("run-1"):
        assert {path.name: str(path.readlink()) for path in folder.iterdir()} == dict([mine()])
    assert links(folder) == []


def test_a_dead_holder_keeps_nobody_out_and_is_swept(folder):
    (folder / "dead").symlink_to(DEAD)
    with HostLock(str(folder)).hold("run-1"):
        assert links(folder) == [mine()[0]]


@EVERY_SHELL
def test_a_shell_sweeps_a_dead_holder_too(folder, shell):
    (folder / "dead").symlink_to(DEAD)
    assert in_shell(shell, folder).returncode == 0
    assert links(folder) == []


@EVERY_SHELL
def test_a_living_holder_keeps_everybody_out(folder, shell):
    (folder / "first").symlink_to(alive())
    (folder / "dead").symlink_to(DEAD)

    with pytest.raises(Locked, match="run-other"), HostLock(str(folder)).hold("run-1"):
        pass
    assert in_shell(shell, folder).returncode == 1
    assert "first" in links(folder)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{pid} 1 {boot} {namespace} run", id="the id was given to another process"),
        pytest.param("{pid} {start} earlier {namespace} run", id="the host was booted"),
        pytest.param("nonsense", id="nobody wrote this"),
        pytest.param("x y z a b", id="no process has this id"),
    ],
)
def test_a_holder_that_is_gone_for_certain_keeps_nothing(folder, text):
    (folder / "1").symlink_to(text.format(**processes.me()._asdict()))

    with HostLock(str(folder)).hold("run-1"):
        pass


@EVERY_SHELL
def test_a_holder_in_another_pid_namespace_may_live(folder, shell):
    me = processes.me()
    (folder / "1").symlink_to(f"4194304 {10**15} {me.boot} pid:[1] run-2")

    with pytest.raises(Locked, match="pid 4194304, run run-2"), HostLock(str(folder)).hold("run-1"):
        pass
    assert in_shell(shell, folder).returncode == 1


@EVERY_SHELL
def test_a_holder_of_a_container_that_was_started_again_is_gone(folder, shell):
    (folder / "1").symlink_to(f"4194304 0 {processes.boot_id()} pid:[1] run-2")

    assert in_shell(shell, folder).returncode == 0
    with HostLock(str(folder)).hold("run-1"):
        pass


def test_a_zombie_holds_nothing(folder):
    child = os.fork()
    if child == 0:
        with HostLock(str(folder)).hold("run-1"):
            os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        with HostLock(str(folder)).hold("run-2"):
            assert links(folder) == [mine()[0]]
    finally:
        os.waitpid(child, 0)


@pytest.mark.parametrize("name", ["0-before-ours", "zz-after-ours"])
def test_who_comes_between_the_look_and_the_link_is_seen(folder, monkeypatch, name):
    symlink = os.symlink

    def late(text, link):
        monkeypatch.undo()
        (folder / name).symlink_to(alive())
        symlink(text, link)

    monkeypatch.setattr("module_utils.lock.os.symlink", late)
    with pytest.raises(Locked, match="run-other"), HostLock(str(folder)).hold("run-1"):
        pass
    # What others hold is still theirs, and nothing of ours is left.
    assert links(folder) == [name]


def test_of_those_who_come_at_once_the_first_by_name_gets_it(folder, monkeypatch):
    (folder / "zz").symlink_to(alive())
    monkeypatch.setattr(HostLock, "peek", lambda _lock: None)
    monkeypatch.setattr("module_utils.lock.time.sleep", lambda _seconds: (folder / "zz").unlink(missing_ok=True))

    with HostLock(str(folder)).hold("run-1"):
        assert links(folder) == [mine()[0]]


def test_a_link_that_is_released_while_it_is_read_says_nothing_of_the_next_one(folder, monkeypatch):
    # Once the holder is gone another has it, under whatever name, before we have made ours.
    (folder / "2").symlink_to(alive("run-first"))
    readlink = os.readlink

    def late(path):
        if path.endswith("/2"):
            monkeypatch.undo()
            (folder / "2").unlink()
            (folder / "1").symlink_to(alive())
        return readlink(path)

    monkeypatch.setattr("module_utils.lock.os.readlink", late)
    with pytest.raises(Locked, match="run-other"), HostLock(str(folder)).hold("run-1"):
        pass
    assert links(folder) == ["1"]


def test_what_is_no_link_is_nobodys(folder):
    (folder / "note").write_text("left by a person", encoding="ascii")
    with HostLock(str(folder)).hold("run-1"):
        pass


@EVERY_SHELL
def test_python_and_shells_never_hold_it_at_once_though_holders_are_killed(folder, tmp_path, shell):
    inside = str(tmp_path / "inside")
    workers = [
        subprocess.Popen([*words(shell), "-c", IN_SHELL, "sh", str(folder), inside, str(dies)], stderr=subprocess.PIPE)
        for dies in (0, 3, 6)
    ] + [
        subprocess.Popen(
            [sys.executable, "-c", IN_PYTHON, str(folder), inside, str(dies), PLUGINS], stderr=subprocess.PIPE
        )
        for dies in (0, 10)
    ]
    ended = [(worker.communicate(timeout=120)[1].decode(), worker.returncode) for worker in workers]

    assert [code for _, code in ended] == [0, -signal.SIGKILL, -signal.SIGKILL, 0, -signal.SIGKILL], ended
    assert not Path(inside).exists()
    with HostLock(str(folder)).hold("run-1"):
        pass
