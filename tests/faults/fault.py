"""What a fault is, and how it is measured.

A measurement is a flat table of numbers by name. Each name begins with whom it is of:

    server.TcpExt.ListenOverflows   how much a counter of that host rose
    server.state.CLOSE_WAIT         the most sockets that were in that state at one time
    server.listener.over_full       the most of a listener's numbers at one time: see reading.queues
    server.descriptors.at_limit     of the process that serves: see reading.descriptors
    server.conntrack.drop           how much a column of /proc/net/stat/nf_conntrack rose
    server.conntrack.used_percent   the most of the tracking table that was in use
    client.ports.used_percent       the most of the local ports that were in use
    load.done, load.timeout         exchanges by what became of them: see programs/load.py
    log.conntrack_full              lines of the kernel's log that have the pattern of that name
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import reading
from tests.faults.stage import Host, Running, Stage

LOG = {
    "conntrack_full": r"nf_conntrack: table full(?: in netns \d+)?, dropping packet",
    "possible_syn_flooding": r"[Pp]ossible SYN flooding on port",
}
"""The patterns of the kernel's log that faults can show here."""
TRACKED = tuple(f"/proc/sys/net/netfilter/nf_conntrack_{name}" for name in ("count", "max"))
EVERY_S = 0.05

Numbers = dict[str, float]


@dataclass(frozen=True)
class Load:
    """What became of the exchanges of a load."""

    seconds: float
    done: int
    errors: dict[str, int]
    """Class of error to count: a name of errno, `timeout`, `EOF`, `HTTP 5xx`."""
    by_second: tuple[dict[str, int], ...]
    slowest_s: float

    @property
    def error_rate(self) -> float:
        """The share of exchanges that failed, 0 to 1."""
        return self.failed / max(1, self.failed + self.done)

    @property
    def failed(self) -> int:
        """How many exchanges failed."""
        return sum(self.errors.values())


@dataclass
class Scene:
    """A stage with a fault on it, and a load that meets it."""

    stage: Stage
    load: dict[str, Any]
    """Options of programs/load.py; `address` is the server's unless given."""
    shows: Mapping[str, float]
    """Names of a measurement, and how much each is at least while the fault is there; without it, less than a tenth."""
    still: tuple[str, ...] = ()
    """Names of a measurement that are zero although one might expect them to rise."""
    besides: tuple[str, ...] = ()
    """Classes of error that the load meets with the fault and without it."""
    diagnosed: str = "server"
    """The host on which one would look."""
    cure: Callable[[], object] | None = None
    """Take the cause away by hand."""
    restart: Callable[[], object] | None = None
    """Start what serves again, with the configuration that it has."""
    served_by: Callable[[], int] | None = None
    """The process whose descriptors count, as this machine numbers it."""

    def start_load(self, **others: object) -> Running:
        """Start the load on the client. It ends by itself."""
        options = {"address": self.stage.server.address} | self.load | others
        return self.stage.client.program("load", **options)

    @contextmanager
    def under_load(self, **others: object) -> Iterator[Running]:
        """Keep the load going for `seconds`, or until the block ends."""
        running = self.start_load(**others)
        try:
            yield running
        finally:
            running.stop()

    @property
    def seconds(self) -> float:
        """How long the load starts exchanges; the last one may end later."""
        return float(self.load.get("seconds", 3.0))


@dataclass(frozen=True)
class Fault:
    """A fault that can be made, and what a diagnosis has to say of it."""

    name: str
    cause: str | None
    """The id of the cause to be named first; None for a host that is well."""
    remedy: str | None
    """The kind of the remedy that is closest: sysctl, limit, proxy, app, network."""
    key: str | None
    """The kernel key that cures it, or None where none does."""
    make: Callable[[Stage, bool], AbstractContextManager[Scene]]
    """Makes the scene on a stage: with the fault, or, with False, the same without it."""
    also: tuple[str, ...] = ()
    """Ids of causes that would be right besides, after the first."""
    hosts: int = 2


def over_ipv6(make: Callable[[Stage, bool], AbstractContextManager[Scene]]) -> Callable[..., Any]:
    """Give what makes the same scene over IPv6."""

    @contextmanager
    def scene(stage: Stage, faulty: bool) -> Iterator[Scene]:
        stage.over_ipv6()
        with make(stage, faulty) as made:
            yield made

    return scene


@dataclass(frozen=True)
class Measurement:
    """One load on one scene."""

    load: Load
    numbers: Numbers = field(repr=False)

    def __getitem__(self, name: str) -> float:
        """Give a number; one that was never seen is 0."""
        return self.numbers.get(name, 0)


def measure(scene: Scene, meanwhile: Callable[[], object] | None = None, **others: object) -> Measurement:
    """Put the scene's load on it, and read the hosts before, after and meanwhile.

    The load ends by itself, or as soon as `meanwhile` has, which runs beside it; what that raises is raised.
    """
    watched = {who: _Watched(host.proc, host) for who, host in scene.stage.hosts.items()}
    log = reading.KernelLog()
    try:
        running = scene.start_load(**others)
        beside = _Beside(meanwhile)
        while running.popen.poll() is None and not beside.over:
            for host in watched.values():
                host.look()
            if scene.served_by:
                watched[scene.diagnosed].note(reading.descriptors(scene.served_by()))
            time.sleep(EVERY_S)
        load = _load(running.said(timeout_s=10))
        beside.result()
        seen = {f"{who}.{name}": number for who, host in watched.items() for name, number in host.summary().items()}
        lines = log.lines()
    finally:
        log.close()
    seen |= {"load.done": load.done} | {f"load.{kind}": count for kind, count in load.errors.items()}
    seen |= {f"log.{name}": sum(bool(re.search(text, line)) for line in lines) for name, text in LOG.items()}
    return Measurement(load, seen)


class _Beside:
    """Something that is done in a thread of its own; nothing where there is nothing to do."""

    def __init__(self, work: Callable[[], object] | None) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._done = self._pool.submit(work) if work else None

    @property
    def over(self) -> bool:
        return self._done is not None and self._done.done()

    def result(self) -> None:
        """Wait for its end, and raise what it raised."""
        self._pool.shutdown()
        if self._done:
            self._done.result()


class _Watched:
    """What is read of a host. `look` reads files alone: it has to be there at the worst moment."""

    def __init__(self, proc: Path, host: Host) -> None:
        self.proc = proc
        self.host = host
        self.before = reading.counters(proc)
        self.most: Numbers = {}
        self.limits = reading.queue_limits(host.run("ss", "-Hltn"))
        first, last = map(int, host.value("net.ipv4.ip_local_port_range").split())
        self.ports = range(first, last + 1)

    def look(self) -> None:
        """Note states, queues and ports as they are now."""
        self.note(reading.states(self.proc))
        self.note(reading.queues(self.proc, self.limits))
        used = sum(port in self.ports for port in reading.local_ports(self.proc))
        self.note({"ports.used_percent": 100 * used // len(self.ports)})

    def note(self, numbers: dict[str, int]) -> None:
        """Keep the most of each number."""
        for name, number in numbers.items():
            self.most[name] = max(self.most.get(name, 0), number)

    def summary(self) -> Numbers:
        """Give the most of what `look` saw, and how much the counters rose since the beginning."""
        if tracked := self.host.run("cat", *TRACKED, check=False).split():
            used, most = map(int, tracked)
            self.note({"conntrack.used_percent": 100 * used // most})
        after = reading.counters(self.proc)
        return self.most | {name: number - self.before.get(name, 0) for name, number in after.items()}


def _load(said: dict[str, Any]) -> Load:
    return Load(said["seconds"], said["done"], said["errors"], tuple(said["by_second"]), said["slowest_s"])
