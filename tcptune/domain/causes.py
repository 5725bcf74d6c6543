"""What is known of the causes of trouble: what shows them, what helps, what else looks so. No host is here."""

from __future__ import annotations

import re
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from tcptune.domain.concerns import Owner
from tcptune.domain.parameters import Verified
from tcptune.domain.values import Frozen

CAUSE_ID = r"^[a-z0-9_]+(?:\.[a-z0-9_]+)?$"


class Confidence(StrEnum):
    """How sure a cause is."""

    HIGH = "high"
    """The kernel counts or logs this very thing, or a limit was read at its end. What else gives these numbers was
    looked at and is not there."""
    LIKELY = "likely"
    """It is what usually gives these numbers. One other cause that is named beside it gives them, too."""
    POSSIBLE = "possible"
    """The numbers fit several causes, or a state was seen that has done no harm yet."""

    @property
    def rank(self) -> int:
        """0 for the surest."""
        return list(Confidence).index(self)

    @property
    def surer(self) -> Confidence:
        """One step surer."""
        return list(Confidence)[max(0, self.rank - 1)]

    @property
    def less_sure(self) -> Confidence:
        """One step less sure."""
        return list(Confidence)[min(len(Confidence) - 1, self.rank + 1)]


class RemedyKind(StrEnum):
    """What a remedy changes."""

    SYSCTL = "sysctl"
    LIMIT = "limit"
    PROXY = "proxy"
    APP = "app"
    NETWORK = "network"
    NONE = "none"
    """Nothing is to be changed, or the change that is usually made does not help; the text says which."""

    @property
    def owner(self) -> Owner:
        """Whose work it is."""
        return _OWNERS[self]


_OWNERS = {
    RemedyKind.SYSCTL: Owner.KERNEL,
    RemedyKind.LIMIT: Owner.LIMIT,
    RemedyKind.PROXY: Owner.PROXY,
    RemedyKind.APP: Owner.APPLICATION,
    RemedyKind.NETWORK: Owner.NETWORK,
    RemedyKind.NONE: Owner.OPERATOR,
}


class SignKind(StrEnum):
    """Where a sign of a cause is to be seen."""

    ERRNO = "errno"
    LOG = "log"
    DMESG = "dmesg"
    COUNTER = "counter"
    STATE = "state"
    FACT = "fact"
    PCAP = "pcap"
    LIMIT = "limit"


class Look(StrEnum):
    """What can show a cause."""

    HOST = "host"
    """Two samples of a host: `tcptune diagnose -i`."""
    LOG = "log"
    PCAP = "pcap"
    PROBE = "probe"


class Sign(Frozen):
    """One thing that speaks for a cause."""

    kind: SignKind
    match: str = Field(min_length=1)


class Known(Frozen):
    """A remedy as it is known, for any host."""

    kind: RemedyKind
    action: str = Field(min_length=1)


class Apart(Frozen):
    """Another cause that looks the same, and what tells the two apart."""

    cause: str
    how: str = Field(min_length=1)
    """What is to be seen where it is the other one."""


class Cause(Frozen):
    """One cause of resets, timeouts, refusals, ends of streams or slowness."""

    id: str = Field(pattern=CAUSE_ID)
    summary: str = Field(min_length=10)
    symptoms: tuple[str, ...] = Field(min_length=1)
    evidence: tuple[Sign, ...] = Field(min_length=1)
    cause: str = Field(min_length=1)
    """What really happens."""
    confirm: tuple[str, ...] = ()
    """What to look at to be sure."""
    remedies: tuple[Known, ...] = Field(min_length=1)
    """The closest to the cause first."""
    kernel_change_helps: bool
    """False: no sysctl is ever proposed for it, and that is said."""
    not_this: tuple[str, ...] = ()
    """What is often said of it and is wrong."""
    apart: tuple[Apart, ...] = ()
    errors: tuple[str, ...] = ()
    """Names of the errors that programs see: ECONNRESET, EOF."""
    leads_to: tuple[str, ...] = ()
    """Causes that this one brings about: found together, this one is the root."""
    shown_by: tuple[Look, ...] = Field(min_length=1)
    field_reports: int = 0
    """How many of the reports that this project began with tell of it."""
    sources: tuple[str, ...] = Field(min_length=1)
    verified: Verified

    @model_validator(mode="after")
    def _kernel_remedy(self) -> Cause:
        if self.kernel_change_helps and not any(
            one.kind in {RemedyKind.SYSCTL, RemedyKind.LIMIT, RemedyKind.APP} for one in self.remedies
        ):
            raise ValueError(f"{self.id}: a kernel change helps, and no remedy names one")
        return self


class NotThis(Frozen):
    """A text that is taken for an error and is none."""

    text: str
    what: str


class ErrorText(Frozen):
    """An error, as programs print it."""

    name: str = Field(pattern=r"^[A-Z]+$")
    """As errno(3) has it; EOF is no errno."""
    number: int | None = None
    """On Linux for x86 and ARM."""
    texts: tuple[str, ...] = Field(min_length=1)
    not_this: tuple[NotThis, ...] = ()
    when: str = Field(min_length=1)
    """What the kernel has done then."""


class KernelPattern(Frozen):
    """A line of the kernel's log that tells of a cause."""

    id: str
    regex: str
    cause: str = Field(pattern=CAUSE_ID)
    note: str = ""

    @field_validator("regex")
    @classmethod
    def _compiles(cls, text: str) -> str:
        re.compile(text)
        return text


class LogMyth(Frozen):
    """A line that guides tell to look for, and what the kernel really says."""

    text: str
    finding: str
    real: bool = False
    """The one of them that the kernel does say."""


class Claim(Frozen):
    """What guides say or tell to look for, and what is so."""

    texts: tuple[str, ...] = Field(min_length=1)
    truth: str = Field(min_length=10)
    causes: tuple[str, ...] = ()
    """What it is said of."""
    source: str = Field(min_length=3)
    verified: Verified


class Advice(Frozen):
    """What to write in a program against some causes."""

    causes: tuple[str, ...] = Field(min_length=1)
    language: str = Field(min_length=2)
    """'any' where it is the same in all."""
    do: str = Field(min_length=10)
    source: str = Field(min_length=3)
    verified: Verified


class Threshold(Frozen):
    """From where on a number counts as trouble."""

    name: str = Field(pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$")
    value: float
    unit: str
    why: str = Field(min_length=10)
    source: str = Field(min_length=3)
