"""Processor time of a command and of all it starts, also of what outlives it."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CPUACCT = Path("/sys/fs/cgroup/cpuacct")
UNIFIED = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    cpu_s: float
    """User and system time."""
    wall_s: float


class Meter(ABC):
    """Measures one command at a time."""

    name: str

    @abstractmethod
    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Cost:
        """Run a command to its end. Raises CalledProcessError, with what it said, where it fails."""


class CgroupMeter(Meter):
    """Counts a control group, to the nanosecond: whoever is started in it cannot leave it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.name = f"control group below {root}"

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Cost:
        """Run a command in a group of its own, and end what it leaves behind there."""
        group = self._root / f"tcptune-bench-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        group.mkdir()
        try:
            enter = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs"), *command]
            wall_s = _run(enter, environment)
            return Cost(_used_s(group), wall_s)
        finally:
            _end(group)
            group.rmdir()


class ChildrenMeter(Meter):
    """Counts the children that were waited for: what goes on in the background, such as ssh's masters, is missed."""

    name = "getrusage of children; connections that are kept open are not counted"

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Cost:
        """Run a command."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall_s = _run(command, environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s)


def best_meter() -> Meter:
    """Return the most exact meter that works here."""
    for root in (CPUACCT, *UNIFIED):
        meter = CgroupMeter(root)
        try:
            meter.run(["true"], os.environ)
        except (OSError, subprocess.SubprocessError):
            continue
        return meter
    return ChildrenMeter()


def _run(command: Sequence[str], environment: Mapping[str, str]) -> float:
    started = time.monotonic()
    # A file and no pipe: whoever stays in the background would keep a pipe open.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, check=False
        )
        wall_s = time.monotonic() - started
        said.seek(0)
        text = said.read().decode(errors="replace")
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, text)
    return wall_s


def _used_s(group: Path) -> float:
    old = group / "cpuacct.usage"
    if old.exists():
        return int(old.read_text()) / 1e9
    numbers = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(numbers["usage_usec"]) / 1e6


def _end(group: Path) -> None:
    deadline = time.monotonic() + 10
    while pids := (group / "cgroup.procs").read_text().split():
        for pid in pids:
            try:
                os.kill(int(pid), 9)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {pids} do not end")
        time.sleep(0.01)
