# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can stop a change, as one tree.

    ChangeError
    ├── Refused      refused      this request, or this host, does not allow the change
    ├── AbsentKey    absent       this kernel, or this network namespace, has no such setting
    ├── Stale        stale        the host is no longer what the plan, or the run, says it is
    ├── Locked       locked       another process changes this host right now
    ├── Unfinished   unfinished   another run on this host waits for confirm or roll back
    ├── UnknownRun   unknown_run  this host has no record of the run
    └── Failed       io           the kernel or the disk said no in the middle; what was written was taken back

The second column is the error's `kind`: what a controller decides by.
"""

from __future__ import annotations

import errno
from typing import Any, Sequence


class ChangeError(Exception):
    """Base. `facts` holds what is known, such as key, expected, found, value, errno."""

    kind = "error"

    def __init__(self, message: str, hint: str = "", **facts: Any) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint
        self.facts = {name: fact for name, fact in facts.items() if fact is not None}
        self.also: tuple[ChangeError, ...] = ()

    def __str__(self) -> str:
        # Not the arguments: what follows a failure is added to its message.
        return self.message

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain data for a controller; `also` lists the host's other problems."""
        data: dict[str, Any] = {"kind": self.kind, "message": self.message, "hint": self.hint}
        data.update(self.facts)
        if self.also:
            data["also"] = [other.as_dict() for other in self.also]
        return data


class Refused(ChangeError):
    """This request, or this host, does not allow the change."""

    kind = "refused"


class AbsentKey(ChangeError):
    """This kernel, or this network namespace, has no such setting."""

    kind = "absent"


class Stale(ChangeError):
    """The host is no longer what the plan, or the run, says it is."""

    kind = "stale"


class Locked(ChangeError):
    """Another process changes this host right now."""

    kind = "locked"


class Unfinished(ChangeError):
    """Another run on this host waits for confirm or roll back."""

    kind = "unfinished"


class UnknownRun(ChangeError):
    """This host has no record of the run."""

    kind = "unknown_run"


class Failed(ChangeError):
    """The kernel or the disk said no in the middle."""

    kind = "io"


_DISK_HINTS = {
    errno.ENOSPC: "make room on that file system, then try again",
    errno.EDQUOT: "raise the quota on that file system, then try again",
    errno.EROFS: "mount that file system read-write, then try again",
    errno.EACCES: "become root",
    errno.EPERM: "become root, or see lsattr: the file may be immutable",
}


def explained(error: Exception) -> ChangeError:
    """Return the error as one that a user can meet: what the disk says with what to do about it, the rest as a bug."""
    if isinstance(error, ChangeError):
        return error
    if not isinstance(error, OSError):
        return Failed(f"{type(error).__name__}: {error}", hint="this is a bug: please report it")
    where = f"{error.filename}: " if error.filename else ""
    return Failed(
        f"{where}{error.strerror or error}",
        hint=_DISK_HINTS.get(error.errno or 0, "is this root, and is the disk sound? See the kernel's log: dmesg"),
        key=error.filename,
        errno=error.errno,
    )


def raise_worst(problems: Sequence[ChangeError]) -> None:
    """Raise the problem that matters most, with the others in its `also`. Return if there is none.

    A new plan cures staleness, and neither of the other two: they come first.
    """
    for wanted in (Refused, AbsentKey, ChangeError):
        for worst in problems:
            if isinstance(worst, wanted):
                worst.also = tuple(other for other in problems if other is not worst)
                raise worst
