# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on one host, whether Python or rollback.sh makes it.

flock(1) is not on every host and a shell has no other way to a lock of the kernel. So the lock is a folder of symbolic
links, which both can make, and a link is made at once and with its text, or not at all:

    /var/lib/tcptune/lock/7 -> "PID START BOOT NAMESPACE RUN"     the holder, or the one who died as such

    take      the highest link is N (0 if there is none). If its process lives: locked. Else make the link N+1. If
              somebody made it first: locked. Then look again: the lock is ours if N+1 is the highest and N is what
              it was. Else take N+1 away: locked.
    release   take our link away. A holder may first take away all links below its own: their processes are dead.

A dead holder's link is never taken over, it is outnumbered, so two who find it cannot both believe to have replaced it:
one of them makes N+1. Whoever sleeps between the look and the link, and makes a number that has been cleaned up since,
sees that in the second look: either a higher link is there, or N is not what it was. A process is known by its id, its
start and the boot, so neither a reused id nor a reboot keeps a lock. In another PID namespace he is gone if he began
before the first process of ours: the container was started again. Where it cannot be told whether he lives, he does.
"""

from __future__ import annotations

import contextlib
import os
from typing import Iterator, NamedTuple

from . import processes, storage
from .errors import Locked


class Owner(NamedTuple):
    """What a link says."""

    number: int
    text: str

    @property
    def gone(self) -> bool:
        """Return whether the process has ended for certain. Nobody's link, and one that nobody wrote so, is free."""
        words = self.text.split(" ")
        if len(words) != 5 or not words[0].isdigit():
            return True
        return processes.Process(int(words[0]), *words[1:4]).gone()

    @property
    def shown(self) -> str:
        """Return the owner for a message."""
        words = self.text.split(" ")
        return "pid {}, run {}".format(words[0], words[-1])


class HostLock:
    """The lock in the folder `path`. It says who holds it, and means nothing once that process is gone."""

    def __init__(self, path: str) -> None:
        self.path = path

    @contextlib.contextmanager
    def hold(self, run: str) -> Iterator[None]:
        """Hold the lock for `run`. Never waits: raises Locked, naming the holder."""
        storage.make_folder(self.path)
        link = self._take("{} {} {} {} {}".format(*processes.me(), run))
        try:
            yield
        finally:
            os.unlink(link)

    def peek(self) -> None:
        """Raise Locked if somebody holds the lock. Creates nothing."""
        top = self._top()
        if not top.gone:
            raise _locked(top)

    def _take(self, text: str) -> str:
        top = self._top()
        if not top.gone:
            raise _locked(top)
        mine = Owner(top.number + 1, text)
        link = os.path.join(self.path, str(mine.number))
        try:
            os.symlink(text, link)
        except FileExistsError:
            raise _locked(self._top()) from None
        if self._top() != mine or (top.number and self._text(top.number) != top.text):
            os.unlink(link)
            raise _locked(self._top())
        for number in self._numbers():
            if number < mine.number:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.path, str(number)))
        return link

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(self.path) if name.isdigit())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _top(self) -> Owner:
        number = max(self._numbers(), default=0)
        return Owner(number, self._text(number) if number else "")

    def _text(self, number: int) -> str:
        try:
            return os.readlink(os.path.join(self.path, str(number)))
        except OSError:
            # Released since.
            return ""


def _locked(owner: Owner) -> Locked:
    # Empty: whoever it was has ended since. To try again is as right as to wait.
    holder = owner.shown if owner.text else "another process"
    return Locked(f"this host is being changed by {holder}", hint="wait for it to end", holder=holder)
