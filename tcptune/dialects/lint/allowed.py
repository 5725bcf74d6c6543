"""Comments by which somebody answers for a finding: `# tcptune: allow KEY until 2027-01-31 why`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from tcptune.domain.concerns import Severity
from tcptune.domain.lint import AllowedFinding, LintFinding
from tcptune.domain.values import sysctl_key

_COMMENT = re.compile(r"#\s*tcptune:\s*(?P<what>.*)$")
_ALLOW = re.compile(r"allow\s+(?P<key>\S+)\s+until\s+(?P<until>\d{4}-\d\d-\d\d)\s+(?P<why>\S.*)")
_FORM = "# tcptune: allow KEY until 2027-01-31 why"
_MAY_STAND = 512
"""Characters of a line in which such a comment is looked for."""


class _Allowance(NamedTuple):
    path: str
    key: str
    until: date
    why: str


class Allowances:
    """What the comments of a set of files allow, each in its own file."""

    def __init__(self, texts: Mapping[str, str], today: date) -> None:
        self.mistakes: list[LintFinding] = []
        """Comments that allow nothing, and why."""
        self._known: dict[tuple[str, str], _Allowance] = {}
        for path, text in texts.items():
            for number, line in enumerate(text.split("\n"), start=1):
                if "tcptune:" in line and (found := _COMMENT.search(line[:_MAY_STAND])):
                    self._take(path, number, found, today)

    def sorted_out(self, findings: Iterable[LintFinding]) -> tuple[list[LintFinding], list[AllowedFinding]]:
        """Return the findings that nobody answers for, and the others."""
        left: list[LintFinding] = []
        allowed: list[AllowedFinding] = []
        for finding in findings:
            answer = self._known.get((finding.path, finding.key)) if finding.key else None
            if answer is None:
                left.append(finding)
            else:
                allowed.append(AllowedFinding(finding=finding, until=answer.until, why=answer.why))
        return left, allowed

    def _take(self, path: str, number: int, found: re.Match[str], today: date) -> None:
        parts = _ALLOW.fullmatch(found["what"].strip())
        if parts is None:
            self._refuse(path, number, found, "", f"this comment allows nothing: it is written {_FORM}")
            return
        try:
            key, until = sysctl_key(parts["key"]), date.fromisoformat(parts["until"])
        except ValueError as problem:
            self._refuse(path, number, found, "", f"this comment allows nothing: {problem}")
            return
        if until < today:
            self._refuse(path, number, found, "", f"this comment was good until {until}, and allows {key} no longer")
            return
        self._known[path, key] = _Allowance(path, key, until, parts["why"].strip())

    def _refuse(self, path: str, number: int, found: re.Match[str], key: str, why: str) -> None:
        self.mistakes.append(
            LintFinding(
                path=path,
                line=number,
                column=found.start() + 1,
                key=key,
                rule="allow",
                severity=Severity.ADVICE,
                why=why,
                instead=f"{_FORM}, or take the comment out",
                source="tcptune's manual, lint",
            )
        )
