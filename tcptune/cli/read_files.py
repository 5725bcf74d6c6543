"""Commands that judge files which others wrote: logs, lint."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tcptune.cli.console import deliver, text
from tcptune.cli.options import Format, FormatOption, Output
from tcptune.errors import EXIT_PENDING, InputError, UsageError


class LintFormat(StrEnum):
    """What findings in files are written as."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"
    SARIF = "sarif"


_PANEL = "Look (changes nothing)"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(logs)
    app.command(rich_help_panel=_PANEL)(lint)


def logs(
    files: Annotated[
        list[str], typer.Argument(help="Log files, packed or not; '-' is standard input.", metavar="FILE...")
    ],
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Find what logs say of connections: which errors, when, with whom, and which causes they fit. Changes nothing.

    Knows the wording of nginx, HAProxy, Envoy, Go, Java, Python and Node.js, in plain files, JSON and the journal's
    export. Memory stays the same for logs of any size. What looks like a secret is not shown.

    Exits 0 if no line tells of an error, 10 if one does, 3 if a file could not be read to its end.

      tcptune logs /var/log/nginx/error.log*
    """
    from tcptune.adapters.logs import read_logs

    found = read_logs(files)
    deliver(found, format, output)
    if found.unread:
        raise typer.Exit(InputError.exit_code)
    raise typer.Exit(EXIT_PENDING if found.lines else 0)


def lint(
    files: Annotated[
        list[Path],
        typer.Argument(help="sysctl files, playbooks, roles, variables; or folders of them.", metavar="FILE..."),
    ],
    kernel: Annotated[
        str | None, typer.Option("--kernel", "-k", help="Kernel release to judge for. Default: the newest known.")
    ] = None,
    format: Annotated[  # noqa: A002
        LintFormat, typer.Option("--format", help="How to write the findings.")
    ] = LintFormat.TERMINAL,
    output: Output = None,
) -> None:
    """Find what is wrong with files that set kernel settings, without any host. Changes nothing.

    Keys that are gone, values that no kernel takes or that mean something else, lines that another one overrides, the
    order of writes, and settings that harm or do not do what they are set for. Several sysctl files are taken for those
    of one host. A comment `# tcptune: allow KEY until 2027-01-31 why` answers for a finding in its file.

    Exits 0 if nothing is found, 10 if something is, 3 if a file could not be judged, 2 if the release is none.

      tcptune lint /etc/sysctl.conf /etc/sysctl.d roles/
    """
    from tcptune.adapters.lint import lint_texts
    from tcptune.dialects.lint import NEWEST_KERNEL
    from tcptune.dialects.lint import lint as judge
    from tcptune.reports import sarif

    texts, unread = lint_texts(files)
    try:
        found = judge(texts, today=datetime.now(UTC).date(), kernel=kernel or NEWEST_KERNEL, unread=unread)
    except ValueError as problem:
        raise UsageError(str(problem), hint="--kernel 5.10") from None
    if format is LintFormat.SARIF:
        text(sarif.render(found), output)
    else:
        deliver(found, Format(format.value), output)
    if found.unread:
        raise typer.Exit(InputError.exit_code)
    raise typer.Exit(EXIT_PENDING if found.findings else 0)
