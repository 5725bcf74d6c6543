"""Two samples of one host, as the detectors see them: differences, rates, limits; or why there is none.

What a kernel does not count is not a zero: a detector that asks for it stops, and is listed as not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address

from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, NofileProposal, Proposal, Source
from tcptune.domain.facts import Absent, HostFacts, Unreadable, Value
from tcptune.domain.rates import NotMeasured, Rates, began_again, rates, reading, seconds_between
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import Sockets
from tcptune.domain.state import Listener, Listeners, Process
from tcptune.domain.strain import Drops, KernelMessage, Pressure
from tcptune.domain.values import numbers
from tcptune.knowledge.causes import thresholds

NOT_HELD = "these facts do not hold it; `tcptune facts --evidence` asks for it"


def known_as(names: Iterable[str]) -> frozenset[str]:
    """Return names and addresses of a host as they are compared. Those that every host has are left out.

    >>> sorted(known_as(["Web1", "2001:DB8::0:1", "::ffff:192.0.2.1", "127.0.0.1", "*"]))
    ['192.0.2.1', '2001:db8::1', 'web1']
    """
    found = set()
    for name in names:
        try:
            address = ip_address(name.partition("%")[0])
        except ValueError:
            found.add(name.lower())
            continue
        address = getattr(address, "ipv4_mapped", None) or address
        if not address.is_loopback and not address.is_unspecified:
            found.add(str(address))
    return frozenset(found - {"", "*", "localhost", "unknown"})


def names_of(facts: HostFacts, also: Iterable[str] = ()) -> frozenset[str]:
    """Return what others may call a host: by its facts, and by what else is known of it."""
    links = facts.links.addresses if facts.links else ()
    bound = (one.address for one in facts.listeners.listeners) if facts.listeners else ()
    local = (one.local for one in facts.sockets.peers) if facts.sockets else ()
    return known_as((facts.host, facts.system.hostname, *also, *links, *bound, *local))


class NotKnown(Exception):
    """A detector lacks a fact; the text says which, and why. `root`: a login of root would have been told."""

    def __init__(self, why: str, *, root: bool = False) -> None:
        super().__init__(why)
        self.root = root


@dataclass(frozen=True)
class Seen:
    """What a detector saw: a cause, the numbers, and what they mean here."""

    cause: str
    confidence: Confidence
    because: str
    evidence: tuple[Evidence, ...]
    about: str | None = None
    here: Mapping[RemedyKind, str] = field(default_factory=dict)
    """The first remedy of a kind with the names and numbers of this host."""
    settings: tuple[Proposal, ...] = ()
    nofile: NofileProposal | None = None
    ruled_out: tuple[str, ...] = ()
    """Other causes that look the same, and that these numbers exclude."""
    harmless: bool = False


@dataclass(frozen=True)
class Clue:
    """Evidence from elsewhere that names a cause: the kernel's log, an application's log, a capture, a probe."""

    cause: str
    confidence: Confidence
    """What the clue is worth alone."""
    because: str
    evidence: Evidence
    about: str | None = None
    alone: bool = True
    """False for what may be of somebody else: it supports a cause that was found, and makes none."""
    ended: datetime | None = None
    """When the last of it happened; None where that is not known, or is now."""
    fresh: bool = True
    """False for what is older than the samples: it names a cause, and makes none surer."""
    port: int | None = None
    """Of the host that was looked at, where the clue is about one of its listeners; else None."""
    at: frozenset[str] = frozenset()
    """That host, by the names and addresses that the clue knows of it: see `known_as`."""
    here: tuple[tuple[RemedyKind, str], ...] = ()
    """The first remedy of a kind with the names and numbers of this clue."""

    def stale(self) -> Clue:
        """Return the clue as one of the past: a cause that it names alone is merely possible."""
        when = f"; the last of it was at {self.ended:%Y-%m-%d %H:%M} UTC" if self.ended else ""
        return replace(self, confidence=Confidence.POSSIBLE, because=f"{self.because}{when}", fresh=False)


@dataclass(frozen=True)
class Case:
    """All that a detector may look at. Only for samples that can be compared: see `incomparable`."""

    first: HostFacts
    second: HostFacts
    also: tuple[str, ...] = ()
    """Other names and addresses of the host, such as the inventory's."""

    @classmethod
    def of(cls, sampled: Sampled, also: Iterable[str] = ()) -> Case:
        """Return the case of two samples."""
        return cls(sampled.first, sampled.second, tuple(also))

    @cached_property
    def names(self) -> frozenset[str]:
        """What others may call the host."""
        return names_of(self.second, self.also)

    @cached_property
    def elapsed_s(self) -> float:
        """Time between the samples, by the host's own clock where it tells."""
        return seconds_between(self.first, self.second)

    @cached_property
    def rates(self) -> Rates:
        """What grew. Raises NotKnown where the samples cannot be compared."""
        found = rates(Sampled(first=self.first, second=self.second))
        if isinstance(found, NotMeasured):
            raise NotKnown(found.why)
        return found

    def incomparable(self) -> str | None:
        """Say why no difference of the two samples means anything; None where they can be compared."""
        if self.first.host != self.second.host:
            return f"the samples are of two hosts, {self.first.host} and {self.second.host}"
        if self.second.collected_at < self.first.collected_at:
            return "the second sample is older than the first: are the two files in the wrong order?"
        before, after = self.first.counters, self.second.counters
        if before is None or after is None:
            gaps = (self.second if after is None else self.first).gaps
            return f"no counters: {gaps.get('counters', 'the facts hold none')}"
        if unfit := began_again(reading(self.first), reading(self.second)):
            return unfit.why
        # Only now: a host's clock since its boot tells nothing across one.
        if self.elapsed_s < self.bound("window"):
            return f"{self.elapsed_s:g} s lie between the samples, {self.bound('window'):g} s are asked for"
        return None

    @staticmethod
    def bound(name: str) -> float:
        """Return a threshold."""
        return thresholds()[name].value

    def has(self, name: str) -> bool:
        """Say whether this kernel counts it."""
        return name in (self.first.counters or {}) and name in (self.second.counters or {})

    def grown(self, name: str) -> int:
        """Return by how much a counter grew. Raises NotKnown."""
        found = self.rates.counters.get(name)
        if found is None and name in self.rates.fell:
            raise NotKnown(f"{name} went backwards")
        if found is None:
            raise NotKnown(f"{name} is not among its counters: an older kernel, or what counts it is not loaded")
        return found.grew

    def grown_if_counted(self, name: str) -> int:
        """Return by how much a counter grew; 0 where this kernel does not count it, for what only adds to a sum."""
        return self.grown(name) if self.has(name) else 0

    def rate(self, name: str) -> float:
        """Return a counter's growth per second. Raises NotKnown."""
        return self.grown(name) / self.elapsed_s

    @cached_property
    def opens(self) -> int:
        """Connections that began, in either direction. Raises NotKnown."""
        return self.grown("Tcp.ActiveOpens") + self.grown("Tcp.PassiveOpens")

    def share_of_opens(self, events: float) -> float:
        """Return events in percent of the connections that began; more than 100 where it hits older ones."""
        return 100.0 * events / max(self.opens, 1)

    def number(self, key: str) -> int | None:
        """Return a setting's first number; None where this kernel lacks it. Raises NotKnown."""
        found = self.numbers(key)
        return found[0] if found else None

    def numbers(self, key: str) -> tuple[int, ...] | None:
        """Return a setting's numbers; None where this kernel lacks it. Raises NotKnown."""
        return _numbers(self.second, key)

    def number_before(self, key: str) -> int | None:
        """Return what a setting's first number was in the first sample. Raises NotKnown."""
        found = _numbers(self.first, key)
        return found[0] if found else None

    def text(self, key: str) -> str | None:
        """Return a setting's value as it is, or None where it is not there or was not read."""
        reading = self.second.sysctl.get(key)
        return reading.text if isinstance(reading, Value) else None

    @property
    def plain(self) -> bool:
        """Whether the login was not root: then it sees its own processes alone."""
        return self.second.system.user.isdecimal() and self.second.system.user != "0"

    @property
    def listeners(self) -> Listeners:
        """What listens now. Raises NotKnown."""
        if self.second.listeners is None:
            raise NotKnown(f"listeners were not read: {self._gap('listeners')}")
        return self.second.listeners

    @property
    def listeners_before(self) -> tuple[Listener, ...]:
        """What listened in the first sample. Raises NotKnown."""
        if self.first.listeners is None:
            raise NotKnown("listeners were not read the first time")
        return self.first.listeners.listeners

    @property
    def sockets(self) -> Sockets:
        """Connections now. Raises NotKnown."""
        if self.second.sockets is None:
            raise NotKnown(f"connections were not read: {self._gap('sockets')}")
        return self.second.sockets

    @property
    def sockets_before(self) -> Sockets:
        """Connections in the first sample. Raises NotKnown."""
        if self.first.sockets is None:
            raise NotKnown("connections were not read the first time")
        return self.first.sockets

    @property
    def pressure(self) -> Pressure:
        """Memory and tables now. Raises NotKnown."""
        if self.second.pressure is None:
            raise NotKnown(f"memory and tables were not read: {self._gap('pressure')}")
        return self.second.pressure

    @property
    def pressure_before(self) -> Pressure:
        """Memory and tables in the first sample. Raises NotKnown."""
        if self.first.pressure is None:
            raise NotKnown("memory and tables were not read the first time")
        return self.first.pressure

    @property
    def drops(self) -> tuple[Drops, Drops]:
        """What was lost before TCP, first and second. Raises NotKnown."""
        if self.first.drops is None or self.second.drops is None:
            raise NotKnown(f"drops of processors and links were not read: {self._gap('drops')}")
        return self.first.drops, self.second.drops

    @cached_property
    def processes(self) -> dict[int, Process]:
        """Processes that listen or hold connections now, by pid; empty where none was seen."""
        found: dict[int, Process] = {}
        if self.second.listeners is not None:
            found |= {one.pid: one for one in self.second.listeners.processes}
        if self.second.sockets is not None:
            found |= {one.pid: one for one in self.second.sockets.processes}
        return found

    @property
    def memory_bytes(self) -> int | None:
        """RAM of the host; None where it was not read."""
        pressure = self.second.pressure
        return self.second.system.memory_bytes or (pressure.memory_bytes if pressure is not None else None)

    def logged(self, message: KernelMessage) -> int:
        """Return how many lines of the kernel's log came in the window, where the log is this host's alone; else 0."""
        return 0 if self.shares_log else self.lines(message)

    @property
    def shares_log(self) -> bool:
        """Whether the kernel's log is of other network namespaces as well: a container reads that of its machine."""
        space = self.second.system.namespace
        return space is not None and bool(space.child)

    def lines(self, message: KernelMessage) -> int:
        """Return how many lines of the kernel's log came in the window; 0 where the log was not read, too."""
        log, before = self.second.kernel_log, self.first.kernel_log
        if log is None:
            return 0
        now = next((one for one in log.counts if one.message is message), None)
        if now is None:
            return 0
        if before is not None and before.source == log.source:
            # The clock of the log is not slewed, so after weeks it is minutes off: only two looks tell what is new.
            was = next((one for one in before.counts if one.message is message), None)
            if was is None:
                return now.lines
            newer = now.last_s is not None and was.last_s is not None and now.last_s > was.last_s
            return max(now.lines - was.lines, int(newer))
        started = self.first.pressure.uptime_s if self.first.pressure else self.first.system.uptime_s
        return now.lines if now.last_s is not None and started is not None and now.last_s >= started else 0

    def seen(self, name: str, threshold: str | None = None) -> Evidence:
        """Return a counter's rate as evidence. Raises NotKnown."""
        return Evidence(
            source=Source.COUNTER,
            name=name,
            value=round(self.rate(name), 2),
            unit="per second",
            threshold=self.bound(threshold) if threshold else None,
        )

    def seen_if_counted(self, *names: str) -> Iterator[Evidence]:
        """Yield those counters' rates that this kernel has and that grew."""
        yield from (self.seen(name) for name in names if self.has(name) and self.grown(name) > 0)

    def setting(self, key: str) -> Evidence:
        """Return a setting as evidence."""
        text = self.text(key)
        return Evidence(source=Source.SETTING, name=key, value=text if text is not None else "not known here")

    def _gap(self, section: str) -> str:
        return self.second.gaps.get(section, NOT_HELD)


def _numbers(facts: HostFacts, key: str) -> tuple[int, ...] | None:
    reading = facts.sysctl.get(key)
    if isinstance(reading, Absent):
        return None
    if not isinstance(reading, Value):
        raise NotKnown(f"{key} was not read", root=isinstance(reading, Unreadable) and facts.system.user != "0")
    found = numbers(reading.text)
    if not found:
        raise NotKnown(f"{key} is no number here")
    return found


def power_of_two(least: float) -> int:
    """Return the smallest power of two that is not below.

    >>> power_of_two(5000)
    8192
    """
    return 1 << max(0, int(least) - 1).bit_length() if least > 1 else 1
