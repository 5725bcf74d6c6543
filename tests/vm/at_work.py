"""See from outside when a machine is being changed: for as long as somebody holds the lock of the host side."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from types import TracebackType

from tests.lab.vm import VmLab

# Links that are there at the start are of the dead: they were at work when the power went.
_WATCH = """
import os, time
os.write(1, b"!")
dead, held = None, False
while True:
    try:
        links = set(os.listdir("/var/lib/tcptune/lock"))
    except FileNotFoundError:
        links = set()
    dead = links if dead is None else dead & links
    if bool(links - dead) != held:
        held = not held
        os.write(1, b"+" if held else b"-")
    time.sleep(0.002)
"""


class Watch:
    """Looks at the lock of a machine, and at its disk, for as long as the block lasts. The power may go in it."""

    def __init__(self, vm: VmLab) -> None:
        self._vm = vm
        self._flushes_then = 0
        self.flushes = 0
        """How often the disk was flushed since the lock was taken; 0 before that."""
        self.taken: float | None = None
        """When the lock was first seen to be taken, by time.monotonic()."""
        self.held = False

    @property
    def seconds(self) -> float:
        """How long ago the lock was taken; 0 before that."""
        return 0.0 if self.taken is None else time.monotonic() - self.taken

    def __enter__(self) -> Watch:
        argv = self._vm.command(None, shlex.join(["python3", "-c", _WATCH]))
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdout is not None
        self._said = self._process.stdout.fileno()
        assert os.read(self._said, 1) == b"!", f"nobody watches the lock: {self._process.communicate()[1]!r}"
        os.set_blocking(self._said, False)
        return self

    def look(self) -> None:
        """Bring all of it up to date."""
        flushes = self._vm.flushes()
        self.heard()
        if self.taken is None:
            self._flushes_then = flushes
        self.flushes = flushes - self._flushes_then

    def heard(self) -> None:
        """Take in what the machine has said of its lock, which also works after a power cut."""
        try:
            said = os.read(self._said, 64).decode()
        except BlockingIOError:
            return
        if said:
            self.held = said[-1] == "+"
            self.taken = self.taken or time.monotonic()

    def __exit__(self, *_: TracebackType | type | BaseException | None) -> None:
        self._process.kill()
        self._process.communicate()
