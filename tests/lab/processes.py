"""Know a process again, and end it only if it is still the same one.

A pid alone says little: pids are used again, and a state directory may outlive a reboot. The start time and the boot
make it unique.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Process:
    """A process that we started."""

    pid: int
    start_ticks: int
    """Since boot, as in /proc/PID/stat."""
    boot_id: str

    @property
    def root(self) -> Path:
        """The process's view of the file system."""
        return Path(f"/proc/{self.pid}/root")

    def running(self) -> bool:
        """Tell whether this very process runs; one that is dead but not yet reaped does not."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return False
        fields = stat.rpartition(")")[2].split()  # the name before it may contain anything
        state, start_ticks = fields[0], int(fields[19])
        return state not in "ZX" and start_ticks == self.start_ticks and self.boot_id == BOOT_ID.read_text().strip()


def read(record: Path) -> Process | None:
    """Read what a starting process wrote about itself; None if it is not running (any more)."""
    try:
        pid, start_ticks, boot_id = record.read_text(encoding="ascii").split()
        process = Process(int(pid), int(start_ticks), boot_id)
    except (OSError, ValueError):
        return None
    return process if process.running() else None


def end(processes: list[Process], timeout_s: float = 20.0) -> None:
    """Kill `processes`, first processes of PID namespaces, and wait until all that was inside is gone, too."""
    handles: dict[int, int] = {}
    try:
        for process in processes:
            try:
                handle = handles[process.pid] = os.pidfd_open(process.pid)
            except ProcessLookupError:
                continue
            # Looked at after the handle was opened: what we kill is what we looked at.
            if process.running():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            else:
                os.close(handles.pop(process.pid))
        for pid, handle in handles.items():
            if not select.select([handle], [], [], timeout_s)[0]:
                raise LabError(f"process {pid} does not end", hint="look at it with ps; it may hang in I/O")
    finally:
        for handle in handles.values():
            os.close(handle)
