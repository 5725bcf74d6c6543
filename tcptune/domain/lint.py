"""What is wrong with files that set kernel settings, each thing with its place."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from tcptune.domain.concerns import Severity
from tcptune.domain.parameters import Verified
from tcptune.domain.values import Frozen, SysctlKey, numbers

LINT_FORMAT_VERSION: Literal[1] = 1


class How(StrEnum):
    """In which way a file sets a key."""

    FILE = "file"
    """A line of sysctl.conf or sysctl.d."""
    TASK = "task"
    """A module that sets keys, such as ansible.posix.sysctl, or an item of its loop."""
    VARIABLE = "variable"
    """A mapping of keys to values, as roles take them."""
    COMMAND = "command"
    """`sysctl -w`, or a write to /proc/sys."""
    EDIT = "edit"
    """A line that is put into a file: lineinfile, blockinfile, copy."""


class Statement(Frozen):
    """One place of a file that sets one key."""

    path: str
    line: int
    """Counted from 1, as an editor does; columns too."""
    column: int
    key: SysctlKey
    value: str | None
    """As written. None where it is not known, as in a template, or where the line takes a key out of patterns."""
    value_column: int = 1
    how: How
    conditional: bool = False
    """Below a `when`, or where tasks run now and then: then two values of one key are no mistake."""
    lenient: bool = False
    """A leading dash lets the loader pass over what the kernel refuses or lacks."""
    group: str = ""
    """What is set for the same hosts has the same: the hosts of a play, or one variable."""


class LintFinding(Frozen):
    """One thing that is wrong, or does not do what it seems to."""

    path: str
    line: int
    column: int
    key: str
    """Empty where it is about a file or a command."""
    rule: str
    severity: Severity
    why: str = Field(min_length=1)
    """One sentence."""
    instead: str
    source: str


class AllowedFinding(Frozen):
    """A finding that a comment in the file answers for."""

    finding: LintFinding
    until: date
    why: str


class UnreadFile(Frozen):
    """A file that could not be judged."""

    path: str
    why: str


class LintReport(Frozen):
    """What was found in a set of files."""

    tcptune: Literal["lint"] = "lint"
    format_version: Literal[1] = LINT_FORMAT_VERSION
    kernel: str
    """Release that the keys and values were judged for."""
    files: tuple[str, ...]
    statements: int
    """Places that set a key."""
    findings: tuple[LintFinding, ...]
    """By file, line and column."""
    allowed: tuple[AllowedFinding, ...] = ()
    unread: tuple[UnreadFile, ...] = ()


class When(Frozen):
    """For which values a habit is one. Without a bound: for every value."""

    element: int = 0
    """Which number of the value."""
    below: int | None = None
    above: int | None = None
    equals: str | None = None

    def holds(self, value: str | None) -> bool:
        """Say whether a value is meant. What is not known is not, unless every value is."""
        if self.below is None and self.above is None and self.equals is None:
            return True
        found = numbers(value or "") or ()
        if len(found) <= self.element:
            return False
        number = found[self.element]
        return (
            (self.below is None or number < self.below)
            and (self.above is None or number > self.above)
            and (self.equals is None or str(number) == self.equals)
        )


class Habit(Frozen):
    """A setting that is copied from guide to guide, and what is true of it."""

    key: SysctlKey
    when: When = When()
    rule: Literal["harmful", "myth", "unit"]
    severity: Severity
    why: str
    instead: str
    source: str
    verified: Verified

    @model_validator(mode="after")
    def _is_one_sentence(self) -> Self:
        if self.why.endswith(".") or "\n" in self.why:
            raise ValueError("write one sentence without its full stop")
        return self
