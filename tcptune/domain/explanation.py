"""What `explain` answers: the page of a setting or a cause, or the settings or causes that a word leads to."""

from __future__ import annotations

from typing import Literal

from tcptune.domain.boot import BootValue, Definition
from tcptune.domain.causes import Advice, Cause, ErrorText, KernelPattern, Look
from tcptune.domain.counters import Counter
from tcptune.domain.facts import Reading, Unread
from tcptune.domain.parameters import AtKernel, Parameter
from tcptune.domain.state import Rival
from tcptune.domain.values import Frozen, SysctlKey

EXPLAIN_FORMAT_VERSION: Literal[1] = 1


class RivalHere(Frozen):
    """A program that is known to write the setting, and was found on a host."""

    found: Rival
    what: str
    """What it does to the setting."""

    @property
    def active(self) -> bool:
        """Whether it runs, or may, or starts at boot; otherwise it has left files here and no more."""
        return self.found.running is not False or self.found.enabled


class OnHost(Frozen):
    """The setting on one host."""

    host: str
    here: AtKernel
    """What holds on the host's kernel."""
    reading: Reading | None
    """None where the facts do not hold the key."""
    definitions: tuple[Definition, ...]
    """Every line that speaks of it, in the order they are read."""
    systemd: BootValue
    procps: BootValue
    boots_with_systemd: bool | None
    """None where nobody looked."""
    late: str | None = None
    """Why a boot loses what the files say, and what to do."""
    hz: int | None = None
    """The host's timer rate, where it is known."""
    rivals: tuple[RivalHere, ...] = ()
    rivals_gap: str | None = None
    """Why nothing is known of those who may write it here, where somebody may."""


class Explanation(Frozen):
    """All that is known of one setting."""

    tcptune: Literal["explanation"] = "explanation"
    format_version: Literal[1] = EXPLAIN_FORMAT_VERSION
    asked: str
    """The key as it was asked for: it may name one interface, where the page speaks of all."""
    page: Parameter
    here: AtKernel
    """What holds on the kernel asked for."""
    hosts: tuple[OnHost, ...] = ()
    unread: tuple[Unread, ...] = ()


class Hit(Frozen):
    """A setting that a word leads to."""

    key: SysctlKey
    summary: str
    where: str
    """Which part of its page the word is in."""
    text: str
    """That part, where it is not the summary."""


class Hits(Frozen):
    """What a search found, the closest first."""

    tcptune: Literal["explanations"] = "explanations"
    format_version: Literal[1] = EXPLAIN_FORMAT_VERSION
    word: str
    hits: tuple[Hit, ...]
    causes: tuple[str, ...] = ()
    """Causes whose pages hold the word, too."""


class CausePage(Frozen):
    """All that is known of one cause of trouble."""

    tcptune: Literal["cause"] = "cause"
    format_version: Literal[1] = EXPLAIN_FORMAT_VERSION
    cause: Cause
    errors: tuple[ErrorText, ...] = ()
    """What programs see of it."""
    lines: tuple[KernelPattern, ...] = ()
    """What the kernel logs of it."""
    brought_by: tuple[str, ...] = ()
    """Causes that bring it about."""
    advice: tuple[Advice, ...] = ()
    """What to write in programs."""


class CauseLine(Frozen):
    """A cause in a list."""

    id: str
    summary: str
    kernel_change_helps: bool
    shown_by: tuple[Look, ...]


class CauseList(Frozen):
    """The causes that a word or the text of an error leads to."""

    tcptune: Literal["causes"] = "causes"
    format_version: Literal[1] = EXPLAIN_FORMAT_VERSION
    word: str
    errors: tuple[ErrorText, ...] = ()
    """Errors that the word names. None where it was found in the pages of the causes."""
    corrections: tuple[str, ...] = ()
    """What the word is taken for, and is not."""
    causes: tuple[CauseLine, ...] = ()
    settings: tuple[SysctlKey, ...] = ()
    """Settings whose pages hold the word, too."""


class CounterPage(Frozen):
    """All that is known of one counter of the kernel."""

    tcptune: Literal["counter"] = "counter"
    format_version: Literal[1] = EXPLAIN_FORMAT_VERSION
    counter: Counter
    causes: tuple[CauseLine, ...] = ()
    """Causes that it is a sign of."""
    settings: tuple[SysctlKey, ...] = ()
    """Settings whose pages speak of it."""
