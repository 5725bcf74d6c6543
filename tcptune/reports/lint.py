"""What is wrong with files that set kernel settings, as text."""

from __future__ import annotations

from itertools import groupby

from tcptune.domain.concerns import Severity
from tcptune.domain.lint import LintFinding, LintReport
from tcptune.reports.layout import count, wrapped

_SIGNS = {Severity.HARM: "!", Severity.ADVICE: "~"}


def terminal(result: LintReport) -> str:
    """Return the findings by file, each with its place, then what is allowed and what could not be judged."""
    lines: list[str] = []
    for path, found in groupby(result.findings, key=lambda finding: finding.path):
        lines.append(path)
        for finding in found:
            what = f"{finding.key}: " if finding.key else ""
            lines += wrapped(
                f"{_SIGNS[finding.severity]} {path}:{finding.line}:{finding.column}  {what}{finding.why} "
                f"[{finding.rule}]",
                indent="  ",
            )
            lines += wrapped(f"instead: {finding.instead}", indent="      ")
            lines += wrapped(f"source: {finding.source}", indent="      ")
        lines.append("")
    for one in result.allowed:
        place = f"{one.finding.path}:{one.finding.line}"
        lines += wrapped(
            f"- {place}  {one.finding.key} [{one.finding.rule}] allowed until {one.until}: {one.why}", indent="  "
        )
    for file in result.unread:
        lines += wrapped(f"? {file.path}: {file.why}", indent="  ")
    return "\n".join([*lines, _summary(result), ""])


def markdown(result: LintReport) -> str:
    """Return the findings as a table."""
    lines = ["# Files that set kernel settings", "", _summary(result), ""]
    if result.findings:
        lines += ["| place | key | severity | what | instead | source |", "|---|---|---|---|---|---|"]
        lines += [_row(finding) for finding in result.findings]
        lines.append("")
    lines += [f"- `{_cell(one.path)}` could not be judged: {_cell(one.why)}" for one in result.unread]
    return "\n".join([*lines, ""])


def _row(finding: LintFinding) -> str:
    place = f"{finding.path}:{finding.line}:{finding.column}"
    key = f"`{finding.key}`" if finding.key else ""
    cells = (
        f"`{_cell(place)}`",
        key,
        finding.severity.value,
        f"{_cell(finding.why)} ({finding.rule})",
        _cell(finding.instead),
        _cell(finding.source),
    )
    return f"| {' | '.join(cells)} |"


def _summary(result: LintReport) -> str:
    harm = sum(finding.severity is Severity.HARM for finding in result.findings)
    files = count(len(result.files), "file")
    parts = [
        f"Lint: {count(len(result.findings), 'finding')}, {harm} of them harmful, in {files} "
        f"with {count(result.statements, 'setting')}, for Linux {result.kernel}"
    ]
    if result.allowed:
        parts.append(f", {len(result.allowed)} allowed")
    if result.unread:
        parts.append(f", {count(len(result.unread), 'file')} could not be judged")
    return "".join([*parts, "."])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("`", "'")
