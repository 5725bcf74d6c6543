"""Lines of sysctl.conf and sysctl.d: what each sets, and what is wrong with the line itself."""

from __future__ import annotations

import re

from tcptune.dialects.sysctl_d import assignments
from tcptune.domain.concerns import Severity
from tcptune.domain.exchange import without_secret
from tcptune.domain.lint import How, LintFinding, Statement
from tcptune.domain.values import is_secret
from tcptune.planning.boot_globs import is_glob
from tcptune.planning.boot_lines import systemd_lines

_TEMPLATE = re.compile(r"\{[{%#]")
SYSCTL_D = "sysctl.d(5)"
NO_ASSIGNMENT = "no-assignment"


def read(path: str, text: str, *, line_offset: int = 0) -> tuple[list[Statement], list[LintFinding]]:
    """Return what the lines set, and mistakes of the lines themselves. `line_offset` is added to their numbers."""
    statements: list[Statement] = []
    findings: list[LintFinding] = []
    for said in assignments(text):
        line = said.line + line_offset
        begin = len(said.text) - len(said.text.lstrip()) + 1
        if said.key is not None:
            after = said.text.partition("=")[2]
            value = None if said.value is None or _TEMPLATE.search(said.value) else said.value
            statements.append(
                Statement(
                    path=path,
                    line=line,
                    column=begin,
                    key=said.key,
                    value=value,
                    value_column=len(said.text) - len(after.lstrip()) + 1,
                    how=How.FILE,
                    lenient=said.text.lstrip().startswith("-"),
                )
            )
        elif (why := _mistake(said.text, said.why)) is not None:
            findings.append(
                LintFinding(
                    path=path,
                    line=line,
                    column=begin,
                    key="",
                    rule="secret" if "is a secret" in why else NO_ASSIGNMENT,
                    severity=Severity.HARM,
                    why=without_secret(why),
                    instead="write 'key = value', or begin a comment with #",
                    source=SYSCTL_D,
                )
            )
    return statements, findings


def _mistake(text: str, why: str) -> str | None:
    """Return what is wrong with a line that names no key; None for patterns and templates, which are fine."""
    found = next(iter(systemd_lines(text)), None)
    if _TEMPLATE.search(text) or (found is not None and is_glob(found.path)):
        return None
    if found is not None and is_secret(found.path):
        return f"{found.path.rpartition('/')[2]} is a secret, and this file is for everybody to read"
    return why
