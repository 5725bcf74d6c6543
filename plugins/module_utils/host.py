# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that is changed: its kernel, its files and its records, below one root so that tests can bring their own."""

from __future__ import annotations

import os
from typing import Callable

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
        try:
            with open(self.path("/proc/sys/kernel/random/boot_id"), encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""
