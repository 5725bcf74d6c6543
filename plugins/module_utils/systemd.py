# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager: whether it is systemd and ours, and how it is called. Nothing is ever restarted."""

from __future__ import annotations

import os
import shutil
import subprocess

from . import processes

BOOTED = "/run/systemd/system"
"""The folder that is there while systemd is PID 1: sd_booted(3)."""

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE_S = 20
RELOAD_PATIENCE_S = 90
"""As long as systemctl itself waits: with thousands of units, or generators that look at disks, it takes a while."""


def is_ours(booted: str) -> bool:
    """Return whether systemd is PID 1 and we are in its namespaces. `booted` is the folder that is there if it is."""
    if not os.path.isdir(booted):
        return False
    kinds = ("net", "mnt", "pid")
    return [processes.namespace(one) for one in kinds] == [processes.namespace(one, "1") for one in kinds]


def reload(booted: str) -> str | None:
    """Let systemd read its units anew, where it is ours. Return what to tell the user if it did not."""
    if not is_ours(booted) or run(["systemctl", "daemon-reload"], RELOAD_PATIENCE_S) == 0:
        return None
    return "systemctl daemon-reload failed, so systemd does not know the units as the files have them: run it by hand"


def run(words: list[str], patience_s: float = PATIENCE_S) -> int:
    """Run a command to its end, with nothing to say. Return its exit code, -1 where it could not be run."""
    words = [command(words[0]) or words[0], *words[1:]]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        return subprocess.run(words, timeout=patience_s, check=False, **quiet).returncode  # noqa: S603  no data
    except (OSError, subprocess.TimeoutExpired):
        return -1


def command(name: str) -> str | None:
    """Return where the command `name` is, None if this host has none."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), PATH]))
