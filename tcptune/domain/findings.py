"""One rule on one host, judged. Each outcome is a type, and what could not be judged is never a pass."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tcptune.domain.concerns import Concern, NotJudged, Severity
from tcptune.domain.facts import Unread
from tcptune.domain.limits import ByHand, LimitLayers
from tcptune.domain.values import Frozen, SysctlKey

AUDIT_FORMAT_VERSION: Literal[1] = 1


class Boot(Frozen):
    """What one loader will have put there after the next boot."""

    value: str | None
    """None where no file sets the key and the kernel's own default depends on the machine."""
    by: str
    """'/etc/sysctl.d/60-web.conf:3', or 'kernel default'."""
    known: bool = True
    """False where nobody has read what a boot reads; `by` then says why, and `value` is None."""


class Layers(Frozen):
    """The three values that are always shown together."""

    wanted: str
    actual: str
    at_boot: Boot
    """Under the loader this host boots with."""
    other_loader: Boot | None = None
    """Under the other loader (systemd-sysctl or procps `sysctl --system`), where it says something else."""


class Where(StrEnum):
    """Which layer deviates."""

    RUNTIME = "runtime"
    BOOT = "at boot"
    BOTH = "runtime and at boot"


class Met(Frozen):
    """Runtime and next boot are as wanted."""

    outcome: Literal["met"] = "met"
    key: SysctlKey
    demand: str
    layers: Layers
    why: str
    source: str


class Deviates(Frozen):
    """Runtime, next boot or both are not as wanted."""

    outcome: Literal["deviates"] = "deviates"
    key: SysctlKey
    demand: str
    layers: Layers
    where: Where
    writable: bool
    shadowed_by: str | None
    """'file:line' that would win at boot even over our own drop-in. It is reported, not fought."""
    why: str
    source: str
    by_hand: str | None = None
    """What a person has to do, where no write of ours can bring it about."""
    lost_at_boot: str | None = None
    """Why no sysctl.d file can set it for the next boot, ours included, and what to do."""
    note: str | None = None
    """For example that a waiver has run out."""


class NotApplicable(Frozen):
    """The rule has no meaning here."""

    outcome: Literal["not_applicable"] = "not_applicable"
    key: SysctlKey
    why: str
    """For example 'removed in Linux 4.12'."""


class Waived(Frozen):
    """Somebody answers for the deviation until a day."""

    outcome: Literal["waived"] = "waived"
    key: SysctlKey
    who: str
    until: date
    why: str
    demand: str
    layers: Layers


class Unknown(Frozen):
    """The rule could not be judged."""

    outcome: Literal["unknown"] = "unknown"
    key: SysctlKey
    why: str


Finding = Annotated[Met | Deviates | NotApplicable | Waived | Unknown, Field(discriminator="outcome")]


class LimitMet(Frozen):
    """The processes may open enough files, now and after their next start."""

    outcome: Literal["met"] = "met"
    limit: Literal["nofile"] = "nofile"
    process: str
    unit: str | None
    demand: str
    layers: LimitLayers
    why: str
    source: str
    note: str | None = None


class LimitDeviates(Frozen):
    """The processes may open fewer files than wanted, now, after their next start, or both."""

    outcome: Literal["deviates"] = "deviates"
    limit: Literal["nofile"] = "nofile"
    process: str
    unit: str | None
    demand: str
    layers: LimitLayers
    where: Where
    why: str
    source: str
    by_hand: ByHand
    notes: tuple[str, ...] = ()
    """That fs.nr_open is lower; how many files are open where that is near the limit; a waiver that ran out."""


class LimitNotApplicable(Frozen):
    """The entry has no meaning here."""

    outcome: Literal["not_applicable"] = "not_applicable"
    limit: Literal["nofile"] = "nofile"
    process: str
    """The processes of the entry, in words."""
    unit: str | None = None
    why: str


class LimitUnknown(Frozen):
    """The limit could not be judged."""

    outcome: Literal["unknown"] = "unknown"
    limit: Literal["nofile"] = "nofile"
    process: str
    unit: str | None = None
    why: str


class LimitWaived(Frozen):
    """Somebody answers for the deviation until a day."""

    outcome: Literal["waived"] = "waived"
    limit: Literal["nofile"] = "nofile"
    process: str
    unit: str | None
    who: str
    until: date
    why: str
    demand: str
    layers: LimitLayers


LimitFinding = Annotated[
    LimitMet | LimitDeviates | LimitNotApplicable | LimitUnknown | LimitWaived, Field(discriminator="outcome")
]


class HostAudit(Frozen):
    """All findings of one host, in the order of the profile."""

    host: str
    kernel: str
    findings: tuple[Finding, ...]
    limits: tuple[LimitFinding, ...] = ()
    """One for each service that listens and the profile speaks of, by name; then what could not be judged."""
    concerns: tuple[Concern, ...] = ()
    """What keys make wrong together, or with what runs here."""
    not_judged: tuple[NotJudged, ...] = ()
    """Checks that lacked their facts."""

    @property
    def harms(self) -> tuple[Concern, ...]:
        """The concerns by which somebody suffers."""
        return tuple(c for c in self.concerns if c.severity is Severity.HARM)

    @property
    def deviations(self) -> tuple[Deviates, ...]:
        """The findings that call for a change."""
        return tuple(f for f in self.findings if isinstance(f, Deviates))

    @property
    def waived(self) -> tuple[Waived, ...]:
        """The deviations that somebody answers for."""
        return tuple(f for f in self.findings if isinstance(f, Waived))

    @property
    def unknowns(self) -> tuple[Unknown, ...]:
        """The findings that could not be judged."""
        return tuple(f for f in self.findings if isinstance(f, Unknown))

    @property
    def deviating_limits(self) -> tuple[LimitDeviates, ...]:
        """The limits that are too low."""
        return tuple(f for f in self.limits if isinstance(f, LimitDeviates))

    @property
    def unknown_limits(self) -> tuple[LimitUnknown, ...]:
        """The limits that could not be judged."""
        return tuple(f for f in self.limits if isinstance(f, LimitUnknown))


class FleetAudit(Frozen):
    """What an audit found, host by host, and the hosts it could not read."""

    tcptune: Literal["audit"] = "audit"
    format_version: Literal[1] = AUDIT_FORMAT_VERSION
    profile: str
    hosts: tuple[HostAudit, ...]
    unread: tuple[Unread, ...]

    @property
    def deviating(self) -> tuple[HostAudit, ...]:
        """Hosts with at least one deviation."""
        return tuple(h for h in self.hosts if h.deviations or h.deviating_limits)

    @property
    def harmed(self) -> tuple[HostAudit, ...]:
        """Hosts with at least one concern that does harm."""
        return tuple(h for h in self.hosts if h.harms)

    @property
    def undecided(self) -> tuple[HostAudit, ...]:
        """Hosts that were read, with at least one rule that could not be judged."""
        return tuple(h for h in self.hosts if h.unknowns or h.unknown_limits)
