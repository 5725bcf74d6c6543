"""Two or three lab hosts on which a fault is made, and everything that is done to them, each with its way back.

    client ── server                   one switch
    client ── router ── server         with `Stage.route()`: two networks that only the router joins

`Stage.over_ipv6()` gives each host an IPv6 address for the fault; who looks at it still comes in over IPv4.

What is done through a stage is undone when it closes, last thing first: values, rules, addresses, processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, BinaryIO

from tests.faults import reading
from tests.lab import Lab, LabError, LabHost

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = "/usr/bin/python3"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = {"conntrack": "conntrack", "nft": "nftables", "nginx": "nginx-light", "ss": "iproute2", "tcpdump": "tcpdump"}
"""Programs, and the Debian packages that have them."""

NEAR, FAR = "10.214.1", "10.214.2"
"""The networks on both sides of a router."""
SIX = "fd0c:2:14"
"""The IPv6 network of the switch."""


def missing() -> list[str]:
    """Give a line for each program that this machine lacks."""
    return [
        f"{program} is missing (Debian package {package})"
        for program, package in NEEDED.items()
        if shutil.which(program, path=PATH) is None
    ]


@dataclass
class Running:
    """A program that runs on a host."""

    popen: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        """The program's process, as this machine numbers it: what entered the namespaces waits for it."""
        return reading.children(self.popen.pid)[0]

    def everything(self) -> list[int]:
        """Give the processes of the program that are there now."""
        if self.popen.poll() is not None:
            return []
        children = reading.children(self.popen.pid)
        return children + [grandchild for child in children for grandchild in reading.children(child)]

    def workers(self) -> list[int]:
        """Give the children of the program's process."""
        return reading.children(self.pid)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it, and all that it started."""
        if self.popen.stdin:
            self.popen.stdin.close()
        ended = self.everything()
        for pid in ended:
            signal_if_there(pid, signal.SIGKILL)
        self.popen.wait(timeout_s)
        deadline_s = time.monotonic() + timeout_s
        # A worker ends a moment after its master, whom alone we wait for.
        while left := [pid for pid in ended if Path(f"/proc/{pid}").exists()]:
            if time.monotonic() > deadline_s:
                raise LabError(f"processes {left} do not end")
            time.sleep(0.01)
        if self.popen.stdout:
            self.popen.stdout.close()

    def said(self, timeout_s: float) -> dict[str, Any]:
        """End its standard input, wait for its end, and give the JSON object that it printed."""
        out, _ = self.popen.communicate(timeout=timeout_s)
        if self.popen.returncode:
            raise LabError(f"a program of a fault failed with code {self.popen.returncode}: {out}")
        told: dict[str, Any] = json.loads(out)
        return told


@dataclass
class Host:
    """A host of a stage."""

    lab: Lab
    at: LabHost
    undo: ExitStack
    address: str = ""
    running: list[Running] = field(default_factory=list)
    """What was started, those that have ended included."""

    def __post_init__(self) -> None:
        self.address = self.address or self.at.address

    @property
    def name(self) -> str:
        return self.at.name

    @property
    def six(self) -> bool:
        """Whether the fault is made over IPv6."""
        return ":" in self.address

    @property
    def proc(self) -> Path:
        """The host's first process in /proc: its `net` is the host's."""
        return Path(f"/proc/{self.at.init_pid}")

    def run(self, *argv: str, text: str | None = None, check: bool = True) -> str:
        """Run a command as root, and give what it said."""
        return self.lab.run(self.name, argv, input=text, check=check).stdout

    def capture(self, file: BinaryIO, port: int, *, seconds: int) -> None:
        """Write the headers of what passes from or to a TCP port into a file."""
        seen = ("tcpdump", "-nn", "-p", "-s", "128", "-i", "any", "-U", "-w", "-", f"tcp port {port}")
        done = subprocess.run(
            self.lab.command(self.name, ("timeout", "--signal=INT", str(seconds), *seen)),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env=self.lab.environment,
            check=False,
        )
        # timeout(1) says 124 where it ended the command, as it should here.
        if done.returncode != 124:
            raise LabError(f"tcpdump on {self.name} ended by itself with code {done.returncode}: {done.stderr}")

    def value(self, key: str) -> str:
        """Give a kernel value, with single spaces."""
        return " ".join(self.run("cat", _path(key)).split())

    def set(self, key: str, value: str | int) -> None:
        """Set a kernel value, and put the one before it back at the end."""
        before = self.value(key)
        self.run("tee", _path(key), text=f"{value}\n")
        self.undo.callback(self.run, "tee", _path(key), text=f"{before}\n")

    def rules(self, text: str) -> None:
        """Load nft rules into the table `inet fault`, in place of those that are there; take them away at the end."""
        fresh = "table inet fault\n" not in self.run("nft", "list", "tables")
        self.run("nft", "-f", "-", text=f"table inet fault\ndelete table inet fault\ntable inet fault {{\n{text}\n}}\n")
        if fresh:
            self.undo.callback(self.run, "nft", "delete", "table", "inet", "fault")

    def ip(self, *words: str) -> None:
        """Add an address or a route, and delete it at the end: words without `add`, as in `route`, `DST`, …."""
        self.run("ip", words[0], "add", *words[1:])
        self.undo.callback(self.run, "ip", words[0], "delete", *words[1:])

    def start(self, *argv: str) -> Running:
        """Start a program, and end it at the end."""
        popen = subprocess.Popen(
            self.lab.command(self.name, argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            text=True,
            env=self.lab.environment,
        )
        running = Running(popen)
        self.running.append(running)
        self.undo.callback(running.stop)
        return running

    def program(self, name: str, prefix: Sequence[str] = (), **options: object) -> Running:
        """Start one of our programs."""
        return self.start(*prefix, PYTHON, "-c", (PROGRAMS / f"{name}.py").read_text(), json.dumps(options))

    def serve(self, prefix: Sequence[str] = (), **options: object) -> Running:
        """Start the small HTTP server, over the fault's IP, and wait until it listens."""
        running = self.program("serve", prefix, six=self.six, **options)
        self.wait_listening(int(str(options.get("port", 8080))))
        return running

    def wait_listening(self, port: int, timeout_s: float = 10.0) -> None:
        """Wait until something listens on `port`."""
        deadline_s = time.monotonic() + timeout_s
        while port not in reading.listening(self.proc):
            if time.monotonic() > deadline_s:
                raise LabError(f"nothing listens on port {port} of {self.name} after {timeout_s:.0f} s")
            time.sleep(0.02)

    @contextmanager
    def pausing(self, pids: Callable[[], Sequence[int]], *, from_s: float, until_s: float) -> Iterator[None]:
        """Stop processes once a second, from and until so long after each full second of the monotonic clock."""
        over = Event()
        lasts_s = (until_s - from_s) % 1.0

        def pulse() -> None:
            while not over.is_set():
                # The span may reach over the full second.
                since_s = (time.monotonic() - from_s) % 1.0
                stopped = since_s < lasts_s
                for pid in pids():
                    signal_if_there(pid, signal.SIGSTOP if stopped else signal.SIGCONT)
                over.wait((lasts_s if stopped else 1.0) - since_s + 0.001)
            for pid in pids():
                signal_if_there(pid, signal.SIGCONT)

        thread = Thread(target=pulse)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class Stage:
    """The hosts, and the way back."""

    def __init__(self, lab: Lab, hosts: Sequence[LabHost]) -> None:
        self.undo = ExitStack()
        self.server, self.client, *others = [Host(lab, host, self.undo) for host in hosts]
        self._third = others[0] if others else None

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo.close()

    @property
    def router(self) -> Host:
        """The third host."""
        if self._third is None:
            raise LabError("this fault needs a third host, as its router")
        return self._third

    @property
    def hosts(self) -> dict[str, Host]:
        """The hosts by what they are here."""
        hosts = {"server": self.server, "client": self.client}
        return hosts | ({"router": self._third} if self._third else {})

    def over_ipv6(self) -> None:
        """Give each host an IPv6 address, and let the fault use that one."""
        for number, host in enumerate(self.hosts.values(), 1):
            host.ip("address", f"{SIX}::{number}/64", "dev", "eth0", "nodad")
            host.address = f"{SIX}::{number}"

    def route(self) -> None:
        """Put the router between client and server: each has a new address that only the router leads to."""
        router = self.router
        for host, network, other in ((self.client, NEAR, FAR), (self.server, FAR, NEAR)):
            host.ip("address", f"{network}.2/24", "dev", "eth0")
            router.ip("address", f"{network}.1/24", "dev", "eth0")
            # Both networks are on one switch, and the router would say so.
            for name in ("all", "eth0"):
                host.set(f"net.ipv4.conf.{name}.accept_redirects", 0)
            host.ip("route", f"{other}.0/24", "via", f"{network}.1")
            host.address = f"{network}.2"
        router.set("net.ipv4.conf.all.send_redirects", 0)
        router.set("net.ipv4.conf.eth0.send_redirects", 0)
        router.set("net.ipv4.ip_forward", 1)


def signal_if_there(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _path(key: str) -> str:
    return f"/proc/sys/{key.replace('.', '/')}"
