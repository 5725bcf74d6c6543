# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change at a time on one host, whether Python or rollback.sh makes it.

flock(1) is not on every host and a shell has no other way to a lock of the kernel. So the lock is a folder of symbolic
links, which both can make, and a link is made at once and with its text, or not at all:

    /var/lib/tcptune/lock/PID-START-BOOT-NAMESPACE -> "PID START BOOT NAMESPACE RUN"

    take      make our link, then look: the lock is ours if the process of every other link is gone. Else take our link
              away: locked.
    release   take our link away. A holder first takes away the links of those who are gone.

Of two who come at once, the later link is there before its maker looks, and so is the other one: one of them, at
least, sees the other and lets go. Nothing is concluded from a link that is missing, or has been released since. That a
killed process has left its link keeps nobody out, and it can be taken away by anybody: its name says which process it
was, so nobody makes it again.

A process is known by its id, its start and the boot, so neither a reused id nor a reboot keeps a lock. In another PID
namespace it is gone if it began before the first process of ours: the container was started again. Where it cannot be
told whether it lives, it does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import Iterator, NamedTuple

from . import processes, storage
from .errors import Locked

_LOOKS, _BETWEEN_S = 20, 0.01
"""How often, and after how long, the first by name of those who came at once looks whether the others have let go."""


class Owner(NamedTuple):
    """A link: its name, and what it says."""

    name: str
    text: str

    @property
    def gone(self) -> bool:
        """Return whether the process has ended for certain. A link that nobody wrote so is nobody's."""
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
        """Hold the lock for `run`. Waits for nobody who holds it: raises Locked, naming the holder."""
        storage.make_folder(self.path)
        me = processes.me()
        mine = Owner("-".join(map(str, me)), " ".join([*map(str, me), run]))
        self._take(mine)
        try:
            yield
        finally:
            os.unlink(self._link(mine))

    def peek(self) -> None:
        """Raise Locked if somebody holds the lock. Creates nothing."""
        for owner in self._owners():
            if not owner.gone:
                raise _locked(owner)

    def _take(self, mine: Owner) -> None:
        # Whoever holds it is not to be disturbed by another link.
        self.peek()
        try:
            os.symlink(mine.text, self._link(mine))
        except FileExistsError:
            # Another thread of this process.
            raise _locked(mine) from None
        try:
            self._wait_for_the_others(mine)
        except BaseException:
            os.unlink(self._link(mine))
            raise

    def _wait_for_the_others(self, mine: Owner) -> None:
        """Return once all others are gone, and their links too. Raises Locked where one may live.

        The first by name stays a little, for those who came at once would else all let go.
        """
        for _ in range(_LOOKS):
            others = [owner for owner in self._owners() if owner.name != mine.name]
            alive = [owner for owner in others if not owner.gone]
            if not alive:
                for owner in others:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self._link(owner))
                return
            if min(alive).name < mine.name:
                break
            time.sleep(_BETWEEN_S)
        raise _locked(alive[0])

    def _owners(self) -> list[Owner]:
        try:
            names = sorted(os.listdir(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for name in names:
            try:
                found.append(Owner(name, os.readlink(os.path.join(self.path, name))))
            except OSError as error:
                # Released since, which is no more than that; or it is no link, and so nobody's.
                if error.errno not in (errno.ENOENT, errno.EINVAL):
                    raise
        return found

    def _link(self, owner: Owner) -> str:
        return os.path.join(self.path, owner.name)


def _locked(owner: Owner) -> Locked:
    return Locked(f"this host is being changed by {owner.shown}", hint="wait for it to end", holder=owner.shown)
