"""Commands that judge files which others wrote: logs."""

from __future__ import annotations

from typing import Annotated

import typer

from tcptune.cli.console import deliver
from tcptune.cli.options import Format, FormatOption, Output
from tcptune.errors import EXIT_PENDING, InputError

_PANEL = "Look (changes nothing)"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(logs)


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

    Exits 0 if no line tells of an error, 10 if one does, 3 if a file could not be read.

      tcptune logs /var/log/nginx/error.log*
    """
    from tcptune.adapters.logs import read_logs

    found = read_logs(files)
    deliver(found, format, output)
    if found.unread:
        raise typer.Exit(InputError.exit_code)
    raise typer.Exit(EXIT_PENDING if found.lines else 0)
