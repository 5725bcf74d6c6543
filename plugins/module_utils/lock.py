# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on one host. The kernel drops the lock when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Iterator

from . import storage
from .errors import Locked


class HostLock:
    """The lock file at `path`. It says who holds it, and means nothing while nobody does."""

    def __init__(self, path: str) -> None:
        self.path = path

    @contextlib.contextmanager
    def hold(self, run: str) -> Iterator[None]:
        """Hold the lock for `run`. Never waits: raises Locked, naming the holder."""
        storage.make_folder(os.path.dirname(self.path))
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, "pid {}, run {}".format(os.getpid(), run).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def peek(self) -> None:
        """Raise Locked if somebody holds the lock. Creates nothing."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            return
        try:
            self._take(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int, how: int) -> None:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another process"
            raise Locked(f"this host is being changed by {holder}", hint="wait for it to end", holder=holder) from None
