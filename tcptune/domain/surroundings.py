"""What is known of programs that listen, and of idle timeouts on the path. Facts with sources; no host is in here."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import Field

from tcptune.domain.concerns import Owner
from tcptune.domain.values import Frozen


class Program(Frozen):
    """A program that listens: what it passes to listen(2) by itself, and where to change that."""

    names: tuple[str, ...] = Field(min_length=1)
    """As the kernel has them, 15 letters at most; `*` and `?` as in file names."""
    backlogs: tuple[int, ...] = ()
    """What it asks for where nobody says otherwise; several where its kinds or releases differ."""
    knob: str = ""
    files_knob: str = ""
    """Where it sets the limit of open files of its own processes, whatever its service allows."""
    owner: Owner = Owner.APPLICATION
    few: str = ""
    """Why a short queue is enough for it: it serves an administrator, or this host alone."""
    source: str

    def is_called(self, name: str) -> bool:
        """Say whether a process of this name is this program."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)


class IdleTimeout(Frozen):
    """Something on the path that forgets a connection which says nothing for that long."""

    name: str
    seconds: int = Field(gt=0)
    machine: str
    """Who runs the machines it is met from, as facts call it: 'amazon', 'google', 'hyper-v'."""
    applies: str
    """To which connections."""
    effect: str
    """What becomes of a connection it has forgotten."""
    source: str
