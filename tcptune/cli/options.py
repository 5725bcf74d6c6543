"""Options that commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What a report is written as."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


ProfileArg = Annotated[
    str, typer.Argument(help="Name of a built-in profile (baseline, web-frontend), or a YAML file.", metavar="PROFILE")
]
PlanArg = Annotated[Path, typer.Argument(help="Plan file, as written by `tcptune plan`.", metavar="PLAN")]
RunArg = Annotated[str, typer.Argument(help="Run id, a unique start of it, or 'last'.", metavar="RUN")]
Inventory = Annotated[
    list[str],
    typer.Option(
        "--inventory",
        "-i",
        envvar="TCPTUNE_INVENTORY",
        help="Ansible inventory: a file, a folder or a list such as 'web1,web2,'. Default: what ansible.cfg names.",
    ),
]
Limit = Annotated[str, typer.Option("--limit", "-l", help="Ansible host pattern: 'web*', 'group1:!host3', '@FILE'.")]
Facts = Annotated[Path | None, typer.Option("--facts", help="Facts file to use instead of reading hosts.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the report.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write to instead of standard output.")]
Forks = Annotated[int, typer.Option("--forks", "-f", min=1, max=128, help="Hosts read at once.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds a host may take to be read.")]
Hosts = Annotated[
    str | None,
    typer.Option("--limit", "-l", help="Only these hosts of the run: names or wildcards, with commas between."),
]
