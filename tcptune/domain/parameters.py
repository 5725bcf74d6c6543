"""What is known of one kernel setting: the catalogue's type. A fact carries its source and how it was verified.

What differs between kernels (range, default, what a child namespace sees) is a list, newest first; `Parameter.at` gives
the view of one kernel.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from tcptune.domain import strict
from tcptune.domain.facts import kernel_version
from tcptune.domain.releases import ALWAYS, Release
from tcptune.domain.values import Frozen, KernelText, SysctlKey

INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
ULONG_MAX = 2**64 - 1
USUAL_HZ = 250
"""The timer rate that most distributions build with: taken where a host does not tell its own."""


class Shape(StrEnum):
    """How a value is written."""

    INT = "int"
    BOOL = "bool"
    ENUM = "enum"
    PAIR = "pair"
    TRIPLE = "triple"
    PORTS = "ports"
    """A list of ports and ranges: 8080,9000-9010."""
    NAME = "name"
    NAMES = "names"


ARITY = {Shape.PAIR: 2, Shape.TRIPLE: 3}
"""Shapes of several numbers, and how many."""
NUMERIC = frozenset({Shape.INT, Shape.BOOL, Shape.ENUM, Shape.PAIR, Shape.TRIPLE})


class Storage(StrEnum):
    """What the kernel makes of the text: its handler."""

    INT = "int"
    UINT = "unsigned int"
    U8 = "byte"
    ULONG = "unsigned long"
    SECONDS = "seconds in jiffies"
    MILLISECONDS = "milliseconds in jiffies"
    PORTS = "port bitmap"
    NAME = "name"
    NAMES = "names"
    NOTHING = "nothing"
    """It can only be read."""


class Effect(StrEnum):
    """When a change of the value reaches a connection."""

    IMMEDIATE = "immediate"
    NEW_SOCKETS = "new sockets"
    NEW_LISTENERS = "new listeners"
    NEW_CONNECTIONS = "new connections"
    NEXT_TIMER = "next timer"
    ON_CLOSE = "closing connections"
    NEW_INTERFACES = "new interfaces"
    NEW_NAMESPACES = "new namespaces"
    NEVER = "never"
    """The kernel ignores it, or it can only be read."""


class Risk(StrEnum):
    """How much harm a wrong value does."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    """It can strand a host, or take its services down."""


class View(StrEnum):
    """What a child network namespace (a container) has of a setting."""

    ABSENT = "absent"
    READ_ONLY = "read-only"
    WRITABLE = "writable"
    MACHINE = "the machine's own"
    """Visible everywhere; a write changes the whole machine."""


class Verified(StrEnum):
    """What stands behind an entry."""

    EXPERIMENT = "experiment"
    """Default, range or effect was measured on a running kernel."""
    SOURCE = "source"
    """Read in the kernel's source or documentation."""
    UNVERIFIED = "unverified"


class Default(Frozen):
    """A default of the kernel, from a release on."""

    since: Release = ALWAYS
    value: KernelText | None = None
    """None where it depends on the machine."""
    formula: str | None = None
    """A Jinja expression over memory_bytes, page_size_bytes and cpus with max(), min() and round_up_pow2().
    A list for a triple."""
    words: str | None = None
    """The same for people, or what the value depends on where no expression gives it."""

    def __str__(self) -> str:
        return self.value if self.value is not None else self.words or self.formula or "depends on the machine"


class Bounds(Frozen):
    """Inclusive limits of each number."""

    min: int
    max: int

    def __str__(self) -> str:
        return f"{self.min}..{self.max}"


_NATURAL = {
    Storage.INT: (-INT_MAX - 1, INT_MAX),
    Storage.UINT: (0, UINT_MAX),
    Storage.U8: (0, 255),
    Storage.ULONG: (0, ULONG_MAX),
    Storage.PORTS: (0, 65535),
}


class Accepts(Frozen):
    """What the kernel takes, from a release on."""

    since: Release = ALWAYS
    storage: Storage
    min: int | None = None
    max: int | None = None
    round_up_to_power_of_two: bool = False

    def bounds(self, hz: int = USUAL_HZ) -> Bounds | None:
        """Return the limits of each number; None for what is no number. Seconds are limited by the timer rate."""
        if self.storage is Storage.SECONDS:
            natural = (-(INT_MAX // hz), INT_MAX // hz)
        elif self.storage is Storage.MILLISECONDS:
            natural = (0, INT_MAX)
        elif self.storage in _NATURAL:
            natural = _NATURAL[self.storage]
        else:
            return None
        return Bounds(
            min=natural[0] if self.min is None else self.min, max=natural[1] if self.max is None else self.max
        )


class Limit(Frozen):
    """A bound that another setting's value gives. The kernel refuses what breaks it, from a release on."""

    since: Release = ALWAYS
    relation: Literal["at least", "at most"]
    key: SysctlKey
    element: int = 0
    """Which number of the other value."""
    otherwise: int
    """The other setting's default, for when its value is not known."""


class Changed(Frozen):
    """What became different with a release."""

    release: str
    """Of the kernel, unless it names something else: `systemd 240`."""
    what: str


class ChildView(Frozen):
    """What a child network namespace has of the setting, from a release on."""

    since: Release = ALWAYS
    view: View


class Coupling(Frozen):
    """Another setting, or something outside the kernel, that this one works with."""

    key: str
    rule: str


class WriteOrder(Frozen):
    """When a write of this setting has to wait for another, or go first. Taking it back wants the reverse."""

    position: Literal["before", "after"]
    other: str
    """A key, a pattern of keys, or `module NAME`."""
    when: Literal["always", "raising", "lowering"] = "always"
    """Where it depends on whether this setting goes up or down."""
    why: str


class Rival(Frozen):
    """A program that is known to write this setting."""

    who: str
    what: str
    """What it does, and where to change it."""


class Myth(Frozen):
    """A claim that is passed on, and what is true."""

    claim: str
    correction: str
    heard: str = "field report"
    """Where: a field report, or common advice."""


class KubernetesSafe(Frozen):
    """From when on Kubernetes lets a pod set it without asking the node's owner."""

    since: str
    kernel: Release | None = None
    """The kernel it needs, where Kubernetes checks."""


class Parameter(Frozen):
    """One setting of the kernel."""

    key: SysctlKey
    summary: str = Field(min_length=10)
    shape: Shape
    elements: tuple[str, ...] = ()
    """What the numbers of a pair or triple are called."""
    unit: str
    """Empty for what has none."""
    meanings: dict[str, str] = {}
    """What each value stands for; for a bitmask, each bit."""
    accepts: tuple[Accepts, ...] = Field(min_length=1)
    """Newest first."""
    limits: tuple[Limit, ...] = ()
    sensible: Bounds = Bounds(min=0, max=INT_MAX)
    """What tcptune accepts of each number: the kernel takes more, such as negative times. Says nothing of names."""
    range_note: str
    """The range in words, with what the numbers cannot say."""
    defaults: tuple[Default, ...] = Field(min_length=1)
    """Newest first."""
    default_note: str | None = None
    """Who else sets it before anybody tunes, or how to read the default."""
    introduced: str
    """As the sources have it: some are older than any kernel we meet."""
    introduced_in: Release = ALWAYS
    removed_in: Release | None = None
    changes: tuple[Changed, ...] = ()
    namespaced_since: Release | None = None
    """None where one value serves the whole machine."""
    namespace_note: str
    in_child: tuple[ChildView, ...] = Field(min_length=1)
    """Newest first."""
    read_only: bool = False
    effect: Effect
    effect_note: str
    couplings: tuple[Coupling, ...] = ()
    write_order: tuple[WriteOrder, ...] = ()
    module: str | None = None
    """The kernel module without which the key does not exist."""
    rivals: tuple[Rival, ...] = ()
    counters: tuple[str, ...] = ()
    """Names as /proc/net/netstat and its like have them, that justify a change."""
    symptoms: tuple[str, ...] = ()
    risk: Risk
    risk_note: str
    myths: tuple[Myth, ...] = ()
    k8s_safe_since: KubernetesSafe | None = None
    sources: tuple[str, ...] = Field(min_length=1)
    verified: Verified
    evidence: str | None = None
    """What was measured."""

    @property
    def arity(self) -> int:
        """How many numbers it takes; 1 for what is no number."""
        return ARITY.get(self.shape, 1)

    @property
    def kernel_accepts(self) -> Bounds:
        """What the newest kernel accepts of each number."""
        return self.accepts[0].bounds() or Bounds(min=0, max=0)

    def accepted(self, release: str) -> Accepts:
        """Return how a kernel of this release reads the text. Before the oldest known way, it is the oldest."""
        version = kernel_version(release)
        return next((one for one in self.accepts if one.since.reached_by(version)), self.accepts[-1])

    def mistake(self, text: str) -> str | None:
        """Say what is wrong with a value written for this setting, or None where nothing is.

        Stricter than the kernel, which takes min > max, octal numbers and negative times.
        """
        found = strict.mistakes(self, text)
        return found[0].message if found else None

    def element_mistake(self, token: str) -> str | None:
        """Say what is wrong with one number of a value."""
        found = strict.element_mistakes(self, token)
        return found[0].message if found else None

    def default(self, release: str) -> str | None:
        """Return the value a fresh kernel of this release has; None where it depends on the machine."""
        found = self.at(release).default
        return found.value if found else None

    def at(self, release: str) -> AtKernel:
        """Return what holds on a kernel of this release. Raises ValueError for what is no release."""
        version = kernel_version(release)
        missing = None
        if self.removed_in and self.removed_in.reached_by(version):
            missing = f"removed in Linux {self.removed_in}"
        elif not self.introduced_in.reached_by(version):
            missing = f"new in Linux {self.introduced_in}"
        accepts = self.accepted(release)
        return AtKernel(
            release=release,
            missing=missing,
            certain=not self._doubtful(version),
            accepts=accepts,
            default=next((d for d in self.defaults if d.since.reached_by(version)), None),
            in_child=next((c.view for c in self.in_child if c.since.reached_by(version)), self.in_child[-1].view),
        )

    def _doubtful(self, version: tuple[int, int]) -> bool:
        """Say whether a release that nobody read in a source, one up or down, would change what holds here."""
        marks = [self.introduced_in, *(a.since for a in self.accepts), *(d.since for d in self.defaults)]
        marks += [c.since for c in self.in_child] + ([self.removed_in] if self.removed_in else [])
        near = {(version[0], version[1] - 1), version, (version[0], version[1] + 1)}
        return any(mark.approximate and mark.number[:2] in near for mark in marks)


class AtKernel(Frozen):
    """What holds of a setting on one kernel release."""

    release: str
    missing: str | None
    """Why this kernel has no such key; None where it has."""
    certain: bool
    """False where the release is next to one that is known only approximately."""
    accepts: Accepts
    default: Default | None
    in_child: View
