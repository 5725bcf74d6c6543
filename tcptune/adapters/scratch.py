"""A private folder for one Ansible project, which is removed by whoever comes next where its process was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "tcptune-project-"
_PATIENCE_S = 5.0


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that nobody else can look into, and remove it afterwards.

    Before that, the folders that processes of this user have left there are removed: a kill lets nobody tidy up.
    """
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    path, lock = _made(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders below `parent` whose process is dead, and in which nobody works any more.

    The lock tells: it is gone with its process, and cannot be mistaken for that of a process with the same id, on
    another boot or in another container. What is not ours, or could be looked into by others, is left alone.
    """
    for path in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            # Gone by now, a link, or somebody else's.
            continue
        try:
            found = os.fstat(lock)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU or _worked_in(path):
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # What cannot be removed now is tried again by the next one.
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def _made(parent: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Somebody who tidies up may have come in between.
            if path.exists():
                return path, lock
            os.close(lock)


def _worked_in(folder: Path) -> bool:
    """Say whether a process stands in a folder: Ansible goes on for a while when the one that started it is killed.

    An ssh that keeps a connection open stays where Ansible started it, for a minute. It has no use for the folder.
    """
    for link in Path("/proc").glob("[0-9]*/cwd"):
        # Processes end, and those of other users cannot be looked at: they do not work for us.
        with contextlib.suppress(OSError):
            if link.readlink().is_relative_to(folder) and link.with_name("comm").read_text() != "ssh\n":
                return True
    return False


@contextlib.contextmanager
def unwritten(path: Path) -> Iterator[None]:
    """Let what is written to `path` go nowhere: it gets on no disk."""
    path.parent.mkdir(parents=True)
    os.mkfifo(path, 0o600)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    # While we have it open for writing too, nobody who writes is the last one.
    writer = os.open(path, os.O_WRONLY)
    os.set_blocking(reader, True)

    def swallow() -> None:
        while os.read(reader, 1 << 16):
            pass
        os.close(reader)

    swallower = threading.Thread(target=swallow, name="unwritten", daemon=True)
    swallower.start()
    try:
        yield
    finally:
        path.unlink()
        os.close(writer)
        swallower.join(_PATIENCE_S)
