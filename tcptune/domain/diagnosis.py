"""What a diagnosis found on hosts: causes with the numbers that were read, what to do, and what could not be judged.

A host is well only where everything was judged and nothing was found. One that could not be read never is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from tcptune.domain.causes import CAUSE_ID, Apart, Confidence, RemedyKind
from tcptune.domain.concerns import Owner
from tcptune.domain.facts import Unread
from tcptune.domain.values import Frozen, KernelText, SysctlKey

DIAGNOSIS_FORMAT_VERSION: Literal[1] = 1
FILES = "files"
"""What `elsewhere` is called: no host, but files that were given."""


class Source(StrEnum):
    """Where a number or fact was read."""

    COUNTER = "counter"
    SOCKETS = "sockets"
    LISTENER = "listener"
    LIMIT = "limit"
    SETTING = "setting"
    CONNTRACK = "conntrack"
    KERNEL_LOG = "kernel log"
    LINK = "link"
    PROCESSOR = "processor"
    MEMORY = "memory"
    SYSTEM = "system"
    LOG = "log"
    PCAP = "pcap"
    PROBE = "probe"
    CHAIN = "chain"

    @property
    def look(self) -> Source | None:
        """Which independent look it belongs to: None is the host's own numbers, whichever they are."""
        return self if self in _LOOKS else None


_LOOKS = frozenset({Source.KERNEL_LOG, Source.LOG, Source.PCAP, Source.PROBE, Source.CHAIN})


class Evidence(Frozen):
    """One number or fact that was read."""

    source: Source
    name: str = Field(min_length=1)
    """'TcpExt.ListenOverflows', 'nginx on 0.0.0.0:80, queue'."""
    value: float | str
    unit: str = ""
    threshold: float | None = None
    """What the value was compared with, in the same unit. None for what is told beside it."""


class Operator(StrEnum):
    """How a proposed value is meant, as a profile says it."""

    EXACTLY = "exactly"
    AT_LEAST = "at_least"
    """Of each number, where there are several."""
    AT_MOST = "at_most"
    WIDEN = "widen"
    """A range of two numbers: the first at most, the second at least."""
    INCLUDES = "includes"
    """These ports on a list, beside those that are there."""


class Proposal(Frozen):
    """A setting that would help, with a value made from the host's numbers."""

    key: SysctlKey
    operator: Operator
    value: KernelText
    actual: str | None
    """What the host has now."""
    why: str


class NofileProposal(Frozen):
    """A limit of open files that would help."""

    process: str
    """Name of the process, or its unit of systemd."""
    at_least: int
    actual: int | None
    why: str


class Remedy(Frozen):
    """Something to do."""

    kind: RemedyKind
    owner: Owner
    action: str
    here: str | None = None
    """The same with the names and numbers of this host."""


class CauseFound(Frozen):
    """One cause on one host."""

    cause: str = Field(pattern=CAUSE_ID)
    summary: str
    about: str | None = None
    """Which listener, process, destination or link. None where it is the host as a whole."""
    confidence: Confidence
    because: str
    """Why that sure."""
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    follows_from: str | None = None
    """Another cause found on the host that brings this one about."""
    alternatives: tuple[Apart, ...] = ()
    remedies: tuple[Remedy, ...]
    """The closest to the cause first."""
    kernel_change_helps: bool
    settings: tuple[Proposal, ...] = ()
    nofile: NofileProposal | None = None


class NotExplained(Frozen):
    """Numbers that no healthy host has, and that fit no cause this host could show."""

    what: str
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    next: str
    """What would show the cause."""


class Gap(Frozen):
    """What was not judged, and why. It is no sign of health."""

    group: str
    """The group of causes, by the name of its detector."""
    why: str
    causes: tuple[str, ...] = ()
    """Causes that can be there unseen. Empty where that is not known."""
    behind: tuple[str, ...] = ()
    """What was found all the same and one of these may be behind, or be mistaken for. What is not here stands."""
    root: bool = False
    """Whether a login of root would have been told."""


class HostDiagnosis(Frozen):
    """What was found on one host."""

    host: str
    window_s: float
    """Seconds between the two samples; 0 where they cannot be compared."""
    causes: tuple[CauseFound, ...] = ()
    """Roots first, each followed by what it brings about; the surest first."""
    harmless: tuple[CauseFound, ...] = ()
    """What is often taken for trouble, was seen, and is none."""
    unexplained: tuple[NotExplained, ...] = ()
    not_judged: tuple[Gap, ...] = ()

    @property
    def found(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.causes or self.unexplained)

    @property
    def well(self) -> bool:
        """Whether all was judged and nothing is wrong."""
        return not self.found and not self.not_judged


class FleetDiagnosis(Frozen):
    """What was found on all hosts."""

    tcptune: Literal["diagnosis"] = "diagnosis"
    format_version: Literal[1] = DIAGNOSIS_FORMAT_VERSION
    hosts: tuple[HostDiagnosis, ...]
    unread: tuple[Unread, ...] = ()
    elsewhere: HostDiagnosis | None = None
    """What files say that no host here shows. None where there was no file, or a single host has all of it."""

    @property
    def judged(self) -> tuple[HostDiagnosis, ...]:
        """The hosts, and the files where they have something of their own to say."""
        return (*self.hosts, self.elsewhere) if self.elsewhere is not None else self.hosts

    @property
    def found(self) -> tuple[HostDiagnosis, ...]:
        """Where something is wrong."""
        return tuple(one for one in self.judged if one.found)

    @property
    def in_part(self) -> tuple[HostDiagnosis, ...]:
        """What was not judged in full."""
        return tuple(one for one in self.judged if one.not_judged)
