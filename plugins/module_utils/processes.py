# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process is meant: its id, and what tells it from a later one with the same id."""

from __future__ import annotations

import os
from typing import NamedTuple

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Process(NamedTuple):
    """A process of some boot, in some PID namespace."""

    pid: int
    start: str
    """When it began, in clock ticks since the boot: the kernel gives an id again, but never both."""
    boot: str
    namespace: str
    """The PID namespace in which `pid` counts, as /proc names it."""

    def gone(self) -> bool:
        """Return whether it has ended for certain. Where that cannot be told, it has not.

        In another PID namespace it is gone if it began before the first process of ours: the container was started
        again since.
        """
        now = of(self.pid)
        if self.boot != now.boot:
            return True
        if self.namespace != now.namespace:
            first = started(1)
            return self.start.isdigit() and first.isdigit() and int(self.start) < int(first)
        return self.start != now.start


def me() -> Process:
    """Return this process."""
    return of(os.getpid())


def of(pid: int) -> Process:
    """Return the process that has the id `pid` now. No part of it is empty: it is written with spaces between."""
    return Process(pid, started(pid) or "-", boot_id() or "-", namespace() or "-")


def started(pid: int) -> str:
    """Return when `pid` began; empty if there is none, or nothing of it but its exit code."""
    try:
        with open("/proc/{}/stat".format(pid), encoding="utf-8", errors="replace") as file:
            # The name in front can hold anything, so count from the last bracket.
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def boot_id(path: str = BOOT_ID) -> str:
    """Return what tells this boot from any other; empty where the kernel does not say."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def namespace(kind: str = "pid", pid: str = "self") -> str:
    """Return the name of a namespace of `pid`; empty where the kernel does not say."""
    try:
        return os.readlink("/proc/{}/ns/{}".format(pid, kind))
    except OSError:
        return ""


def uptime_s() -> float:
    """Return the seconds since the boot, time asleep included. No clock that anybody can set."""
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])
