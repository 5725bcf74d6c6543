"""What is taken from a foreign file, what is written to one, and what could not be: each line has its place."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from tcptune.domain.demands import AtLeast, AtMost, Exactly, Leave
from tcptune.domain.values import Frozen, KernelText, SysctlKey

_SECRET_NAME = re.compile(r"tcp_fastopen_key|stable_secret")
_HIDDEN = " (value not shown)"


def without_secret(text: str) -> str:
    """Cut a line after the name of a secret: its value is never repeated.

    >>> without_secret("net.ipv4.tcp_fastopen_key = 0-0-0-1")
    'net.ipv4.tcp_fastopen_key (value not shown)'
    """
    found = _SECRET_NAME.search(text)
    return text if found is None or text.endswith(_HIDDEN) else f"{text[: found.end()]}{_HIDDEN}"


def _reason_without_secret(text: str) -> str:
    found = _SECRET_NAME.search(text)
    return f"{found.group()} is a secret; its value is never taken" if found else text


ShownText = Annotated[str, AfterValidator(without_secret)]


class Operator(StrEnum):
    """What foreign formats can ask of one setting."""

    EXACTLY = "exactly"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    LEAVE = "leave"


class Setting(Frozen):
    """One setting that was read, and the line that says so."""

    key: SysctlKey
    operator: Operator = Operator.EXACTLY
    value: KernelText = ""
    """Empty for `leave`."""
    path: str
    line: int
    """Counted from 1, as an editor does."""
    note: str = ""

    @property
    def demand(self) -> Exactly | AtLeast | AtMost | Leave:
        """Return what this asks, as a profile says it."""
        match self.operator:
            case Operator.EXACTLY:
                return Exactly(value=self.value)
            case Operator.AT_LEAST:
                return AtLeast(value=self.value)
            case Operator.AT_MOST:
                return AtMost(value=self.value)
            case Operator.LEAVE:
                return Leave()

    @property
    def place(self) -> str:
        """Return path:line."""
        return f"{self.path}:{self.line}"


class LeftOut(Frozen):
    """Something that did not get across, and why."""

    path: str
    line: int
    """The first, where this stands for several. 0 for a whole file."""
    text: ShownText
    """As written; what is secret is cut."""
    why: Annotated[str, AfterValidator(_reason_without_secret)]
    lines: int = Field(default=1, ge=0)
    """How many lines of the source this stands for, comments and blank ones not counted."""

    @property
    def place(self) -> str:
        """Return path:line, or the path alone for a whole file."""
        return f"{self.path}:{self.line}" if self.line else self.path


class Followed(Frozen):
    """A line that shaped the result and sets nothing itself: an include, a variable, the summary."""

    path: str
    line: int
    text: ShownText


class Imported(Frozen):
    """What a foreign file says. Every line of it that is no comment is in one of the three."""

    settings: tuple[Setting, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    followed: tuple[Followed, ...] = ()
    summary: str = ""
    """What the file says of itself, where its format has a place for that."""


class Exported(Frozen):
    """Foreign files, and what of the profile they do not say."""

    files: dict[str, str]
    """Text by relative path. Empty where nothing can be written."""
    left_out: tuple[LeftOut, ...] = ()
    """`path` is the profile's name and `text` the demand; `line` is 0."""
