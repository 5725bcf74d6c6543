"""One host as a whole, as the checks see it: its facts, and its values now and once the wanted ones are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tcptune.domain.boot import AtBoot
from tcptune.domain.facts import Absent, HostFacts, Unreadable, Value
from tcptune.domain.findings import Deviates, Finding, Where
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.parameters import Parameter
from tcptune.domain.ports import ports
from tcptune.domain.profile import Profile
from tcptune.domain.state import Conntrack, Listeners, Process, Rivals
from tcptune.domain.values import numbers
from tcptune.planning.boot import BootModel


class NotKnown(Exception):
    """A check lacks a fact; the text says which, and why."""


class Values:
    """Every setting's value at one time: None for a key this kernel lacks, NotKnown for one that nobody read."""

    def __init__(self, facts: HostFacts, instead: Mapping[str, str]) -> None:
        self._facts = facts
        self._instead = instead

    def text(self, key: str) -> str | None:
        """Return the value. Raises NotKnown."""
        if key in self._instead:
            return self._instead[key]
        match self._facts.sysctl.get(key):
            case Value() as reading:
                return reading.text
            case Absent():
                return None
            case Unreadable():
                raise NotKnown(f"{key} may not be read")
            case None:
                raise NotKnown(f"these facts do not hold {key}")

    def said(self, key: str) -> str:
        """Return 'key = value' as evidence: where the value is one that is wanted, with the one that was read."""
        reading = self._facts.sysctl.get(key)
        read = reading.text if isinstance(reading, Value) else None
        text = self.text(key)
        shown = f"{key} = {text or 'none'}" if text is not None else f"{key}: not in this kernel"
        return shown if read == text or read is None else f"{shown} wanted, {read or 'none'} now"

    def numbers(self, key: str) -> tuple[int, ...] | None:
        """Return the value's numbers. Raises NotKnown, for what is no number too."""
        text = self.text(key)
        if text is None:
            return None
        found = numbers(text)
        if not found:
            raise NotKnown(f"{key} is no number here")
        return found

    def number(self, key: str) -> int | None:
        """Return the first number of the value. Raises NotKnown."""
        found = self.numbers(key)
        return found[0] if found else None

    def ports(self, key: str) -> frozenset[int]:
        """Return the ports of a list; none where the kernel has no such key. Raises NotKnown."""
        try:
            return ports(self.text(key) or "")
        except ValueError:
            raise NotKnown(f"{key} is no list of ports here") from None


@dataclass(frozen=True)
class Scene:
    """All that a check may look at."""

    facts: HostFacts
    profile: Profile
    parameters: Mapping[str, Parameter]
    findings: Sequence[Finding]
    model: BootModel
    declared: Declared = NOTHING_DECLARED
    now: Values = field(init=False)
    then: Values = field(init=False)
    """Once the plan is applied."""
    changes: Mapping[str, str] = field(init=False)
    """Key -> its value then, where that is another than now."""
    _at_boot: dict[str, AtBoot] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", _changes(self.findings))
        object.__setattr__(self, "now", Values(self.facts, {}))
        object.__setattr__(self, "then", Values(self.facts, self.changes))

    def at_boot(self, key: str) -> AtBoot:
        """Return what the next boot gives a key. Checks ask twice, and it is what takes longest."""
        if key not in self._at_boot:
            self._at_boot[key] = self.model.at_boot(key)
        return self._at_boot[key]

    @property
    def listeners(self) -> Listeners:
        """What listens. Raises NotKnown."""
        if self.facts.listeners is None:
            raise NotKnown(f"listeners were not read: {self.gap('listeners')}")
        return self.facts.listeners

    @cached_property
    def processes(self) -> dict[int, Process]:
        """Processes that listen, by pid."""
        return {process.pid: process for process in self.listeners.processes}

    @property
    def conntrack(self) -> Conntrack:
        """Connection tracking. Raises NotKnown."""
        if self.facts.conntrack is None:
            raise NotKnown(f"connection tracking was not read: {self.gap('conntrack')}")
        return self.facts.conntrack

    @property
    def rivals(self) -> Rivals:
        """Who else writes settings. Raises NotKnown."""
        if self.facts.rivals is None:
            raise NotKnown(f"other programs were not looked for: {self.gap('rivals')}")
        return self.facts.rivals

    @property
    def memory_bytes(self) -> int:
        """RAM. Raises NotKnown."""
        if self.facts.system.memory_bytes is None:
            raise NotKnown("it is not known how much memory this host has")
        return self.facts.system.memory_bytes

    def gap(self, section: str) -> str:
        """Say why a section of the facts is missing."""
        return self.facts.gaps.get(section, "these facts do not hold it")


def _changes(findings: Sequence[Finding]) -> dict[str, str]:
    """Return what a plan would write to the kernel: not what is waived, out of reach, or wrong at boot alone."""
    return {
        finding.key: finding.layers.wanted
        for finding in findings
        if isinstance(finding, Deviates)
        and finding.where is not Where.BOOT
        and finding.writable
        and finding.by_hand is None
    }
