# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that is changed: its kernel, its files and its records, below one root so that tests can bring their own."""

from __future__ import annotations

import os
from typing import Callable

from . import processes, systemd, timer, wayback
from .kernel import Kernel
from .runs import Manifest, Runs


def _nothing(_step: str) -> None:
    """Do nothing at a step."""


class Host:
    """`reached` is called after each step that a crash could follow, with the step's name."""

    def __init__(
        self, root: str = "/", kernel: Kernel | None = None, reached: Callable[[str], None] = _nothing
    ) -> None:
        self.root = root
        self.kernel = kernel or Kernel(self.path("/proc/sys"))
        self.runs = Runs(self.path("/var/lib/tcptune"))
        self.reached = reached
        self.warnings: list[str] = []
        """What the user should be told beside how it ended."""

    def path(self, absolute: str) -> str:
        """Return where the file called `absolute` on a real host is."""
        return os.path.join(self.root, absolute.lstrip("/"))

    def move(self, manifest: Manifest, state: str) -> Manifest:
        """Put a run in `state`, durably."""
        manifest = self.runs.move(manifest, state)
        self.reached(state)
        return manifest

    def boot_id(self) -> str:
        """Return what tells this boot from any other; empty where the kernel does not say."""
        return processes.boot_id(self.path(processes.BOOT_ID))

    def way_back(self, manifest: Manifest) -> dict[str, bytes]:
        """Return the files that rollback.sh reads."""
        return wayback.lines(manifest, self.kernel.path, self.path)

    @property
    def systemd(self) -> str:
        """Return the folder that is there while systemd is PID 1."""
        return self.path(systemd.BOOTED)

    def reload_units(self, manifest: Manifest) -> None:
        """Let the service manager know the units of the run as the files have them now. It restarts none.

        If it does not take that, the files are right all the same, and the next boot reads them: no reason to undo.
        """
        if manifest.changes_units:
            warning = systemd.reload(self.systemd)
            if warning:
                self.warnings.append(warning)
            self.reached("reloaded")

    def arm(self, run: str, seconds: float) -> None:
        """Start the timer of a run, or the guard of its confirm, durably."""
        timer.arm(self.runs.at(run), self.systemd, seconds)
        self.reached("armed")

    def disarm(self, run: str) -> None:
        """Stop the timer of a run that has none to wait for any more."""
        timer.disarm(self.runs.at(run))
        self.reached("disarmed")

    def set_deadline(self, run: str, seconds: float) -> None:
        """Give a run `seconds` from now, durably."""
        timer.set_deadline(self.runs.at(run), seconds)
        self.reached("deadline")
