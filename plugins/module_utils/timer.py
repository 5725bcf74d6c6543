# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The revert timer: runs rollback.sh when nobody confirms in time, whatever became of us, of sshd or of the controller.

    systemd   a transient timer, where systemd is PID 1 and we are in its namespaces
    process   a process of its own session elsewhere: it sleeps, and belongs to nobody

Neither decides anything. Both run `rollback.sh timer`, which looks at the state and at the time with the lock held, and
only then acts. So a timer that could not be stopped, or fires twice, does nothing; more time is one file, `deadline`.

    RUN/deadline   seconds since the boot, asleep included (no clock that can be set); which boot; the same in UTC
    RUN/timer      the kind, then the unit, or the process
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import signal
import time
from typing import NamedTuple

from . import processes, script, storage, systemd
from .errors import Failed

SYSTEMD, PROCESS = "systemd", "process"

GUARD_S = 5
"""When the guard of a confirm without a timer first looks. It then waits until confirm ends, or dies."""

UNIT = "tcptune-revert-"
"""What the name of the transient unit begins with; the id of the run follows."""


class Timer(NamedTuple):
    """What stands between a held run and its end."""

    kind: str
    deadline: str | None
    """In UTC. None before it is armed."""
    seconds_left: int
    """Until the deadline: 0 once it is over."""
    alive: bool = True
    """Whether it is still there to act."""


def kind_for(booted: str) -> str:
    """Return which kind this host gets. `booted` is the folder that is there while systemd is PID 1."""
    # In a namespace of our own, systemd would write into that of the host.
    return SYSTEMD if systemd.command("systemd-run") is not None and systemd.is_ours(booted) else PROCESS


def set_deadline(folder: str, seconds: float) -> None:
    """Make the timer of the run in `folder` act in `seconds` from now. On disk before this returns."""
    at = math.ceil(processes.uptime_s() + seconds)
    utc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    text = f"{at}\n{processes.boot_id()}\n{utc}\n"
    storage.write(os.path.join(folder, "deadline"), storage.new_file(text.encode(), 0o600))


def forget_deadline(folder: str) -> None:
    """Let the run in `folder` have no time to wait for."""
    storage.remove(os.path.join(folder, "deadline"))


def arm(folder: str, booted: str, seconds: float) -> str:
    """Start what runs rollback.sh in `seconds`. Return its kind. Raises Failed if nothing could be started."""
    path, unit = os.path.join(folder, script.NAME), UNIT + os.path.basename(folder)
    kind = kind_for(booted)
    if kind == SYSTEMD and systemd.run(unit_command(unit, path, seconds)) == 0:
        text = f"{SYSTEMD} {unit}"
    else:
        # Also where systemd would not: a timer that may die with the session is better than none.
        kind, text = PROCESS, "{} {} {} {} {}".format(PROCESS, *_start_process(path))
    storage.write(os.path.join(folder, "timer"), storage.new_file((text + "\n").encode(), 0o600))
    return kind


def look(folder: str) -> Timer | None:
    """Return the timer of the run in `folder`, None if it has none."""
    end, words = _words(folder, "deadline"), _words(folder, "timer")
    if len(end) != 3 or not words:
        return None
    same_boot = end[1] == processes.boot_id()
    left = max(0, math.ceil(int(end[0]) - processes.uptime_s())) if same_boot else 0
    return Timer(words[0], end[2], left, same_boot and _alive(words))


def over(folder: str) -> bool:
    """Return whether there is a deadline, and it has passed."""
    end = _words(folder, "deadline")
    return len(end) == 3 and (end[1] != processes.boot_id() or processes.uptime_s() >= int(end[0]))


def alive(folder: str) -> bool:
    """Return whether something is there that will run rollback.sh."""
    words = _words(folder, "timer")
    return bool(words) and _alive(words)


def wake(folder: str) -> None:
    """Let the timer of the run in `folder` look now: while confirm is at work it waits for its end, or its death.

    A process looks every few seconds anyway; a unit of systemd would sleep until the deadline, and does if this fails.
    """
    words = _words(folder, "timer")
    if words and words[0] == SYSTEMD:
        systemd.run(["systemctl", "start", "--no-block", f"{words[1]}.service"])


def disarm(folder: str) -> None:
    """Stop what was started. It would find that there is nothing to do, so it does no harm if that fails."""
    words = _words(folder, "timer")
    if not words or not _alive(words):
        return
    if words[0] == SYSTEMD:
        systemd.run(["systemctl", "stop", f"{words[1]}.timer", f"{words[1]}.service"])
        return
    with contextlib.suppress(ProcessLookupError):
        # Its whole session: a shell that sleeps has a child.
        os.killpg(os.getpgid(int(words[1])), signal.SIGTERM)


def unit_command(unit: str, path: str, seconds: float) -> list[str]:
    """Return what starts the transient timer `unit`, which runs the script at `path` in `seconds`."""
    return [
        "systemd-run",
        f"--unit={unit}",
        f"--on-active={math.ceil(seconds)}s",
        # Else systemd gathers timers by the minute.
        "--timer-property=AccuracySec=100ms",
        # A script that failed has written so; its unit must not stay and keep the next one from starting.
        "--collect",
        f"--description=tcptune takes back run {unit[len(UNIT) :]} unless it is confirmed",
        "--quiet",
        "--",
        # Through the shell: the folder may be on a file system that runs nothing, or have a label that systemd may not.
        "/bin/sh",
        path,
        "timer",
    ]


def _start_process(path: str) -> processes.Process:
    """Start rollback.sh in a session of its own, with no parent but init and no file of ours. Return it."""
    reader, pipe = os.pipe()
    # Not below 3, even if we were started without a stdin: the child gives those another meaning.
    writer = fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(pipe)
    child = os.fork()
    if child == 0:
        _become_timer(path, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    pid, _, error = said.partition(" ")
    found = processes.of(int(pid)) if pid.isdigit() else None
    if found is None or error or found.start == "-":
        raise Failed(
            f"the revert timer did not start: {error or 'it ended at once'}", hint="see the kernel's log: dmesg"
        )
    return found


def _become_timer(path: str, writer: int) -> None:
    """Be the child, then its child, then the script. Never returns."""
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        # A group of its own, so that it can be stopped with its children.
        os.setpgid(0, 0)
        os.write(writer, str(os.getpid()).encode())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        # All but the pipe, which exec closes: that is how the parent learns that it ran.
        for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
            if descriptor > 2 and descriptor != writer:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        os.chdir("/")
        environment = {"PATH": os.environ.get("PATH", systemd.PATH)}
        os.execve("/bin/sh", ["/bin/sh", path, "timer"], environment)  # noqa: S606  only the path is ours
    except BaseException as error:
        os.write(writer, f" {error}".encode())
    finally:
        os._exit(1)


def _alive(words: list[str]) -> bool:
    if words[0] == SYSTEMD:
        # A unit that has fired waits on as a service.
        return any(
            systemd.run(["systemctl", "is-active", "--quiet", words[1] + end]) == 0 for end in (".timer", ".service")
        )
    return not processes.Process(int(words[1]), *words[2:5]).gone()


def _words(folder: str, name: str) -> list[str]:
    found = storage.look(os.path.join(folder, name))
    return found.data.decode().split() if found else []
