"""Judge files that set kernel settings, without any host: sysctl files, playbooks and roles. Pure.

Several sysctl files are taken for those of one host, as in `tcptune.dialects.sysctl_d`; tasks are judged one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from tcptune.dialects.lint import sysctl_files, tasks
from tcptune.dialects.lint.allowed import Allowances
from tcptune.dialects.lint.together import judge_tasks, judge_tree
from tcptune.dialects.lint.values import judge_value
from tcptune.dialects.sysctl_d import BOM
from tcptune.domain.lint import LintFinding, LintReport, Statement, UnreadFile

NEWEST_KERNEL = "6.18"
"""What is judged for where nobody names a release: the newest that the catalogue was compared with."""
_YAML = (".yml", ".yaml")


def lint(
    texts: Mapping[str, str], *, today: date, kernel: str = NEWEST_KERNEL, unread: Iterable[UnreadFile] = ()
) -> LintReport:
    """Judge files, text by path, for a kernel of that release.

    Raises ValueError for what is no release.
    """
    findings: list[LintFinding] = []
    statements: list[Statement] = []
    not_judged = list(unread)
    sysctl = {path: text for path, text in texts.items() if not is_tasks(path, text)}
    for path, text in texts.items():
        if path in sysctl:
            said, found = sysctl_files.read(path, text)
            other = not said and all(one.rule == sysctl_files.NO_ASSIGNMENT for one in found)
            if found and other and not text.startswith(BOM):
                not_judged.append(UnreadFile(path=path, why="no line of this file sets a kernel setting"))
                continue
        else:
            try:
                said, found = tasks.read(path, text)
            except ValueError as problem:
                not_judged.append(UnreadFile(path=path, why=str(problem)))
                continue
        statements += said
        findings += found
    for statement in statements:
        findings += judge_value(statement, kernel)
    findings += judge_tree(sysctl, [s for s in statements if s.path in sysctl], kernel)
    findings += judge_tasks([s for s in statements if s.path not in sysctl])
    allowances = Allowances(texts, today)
    left, allowed = allowances.sorted_out([*findings, *allowances.mistakes])
    return LintReport(
        kernel=kernel,
        files=tuple(texts),
        statements=len(statements),
        findings=tuple(sorted(dict.fromkeys(left), key=_place)),
        allowed=tuple(sorted(allowed, key=lambda one: _place(one.finding))),
        unread=tuple(not_judged),
    )


def is_tasks(path: str, text: str) -> bool:
    """Say whether a file is YAML rather than lines of sysctl.conf."""
    return path.lower().endswith(_YAML) or text.startswith(("---\n", "---\r\n"))


def _place(finding: LintFinding) -> tuple[str, int, int, str, str]:
    return finding.path, finding.line, finding.column, finding.rule, finding.key
