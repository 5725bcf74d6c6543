"""Commands about the journal: runs list, show, export, prune. They change no host."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tcptune.cli import wiring
from tcptune.cli.console import deliver, text
from tcptune.cli.options import Format, FormatOption, Output, RunArg


class _Runs(TyperGroup):
    """`tcptune runs` lists them, and `tcptune runs RUN` shows one."""

    # Which class a context has depends on the version of typer.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the command that was meant."""
        first = args[0] if args else ""
        if not first or (first.startswith("-") and first not in ctx.help_option_names):
            args = ["list", *args]
        elif not first.startswith("-") and first not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


runs = typer.Typer(
    name="runs",
    cls=_Runs,
    help="List, show, export and forget the runs of the journal. Changes no host.",
    rich_markup_mode=None,
)


@runs.command("list")
def list_runs(
    count: Annotated[int, typer.Option("--count", "-n", help="Most runs to list.", min=1)] = 50,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """List the runs of the journal, newest first. Changes nothing.

    Exits 0.

      tcptune runs list -n 10
    """
    deliver(wiring.journal().keeping.listed(count), format, output)


@runs.command()
def show(run: RunArg, format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """Show RUN as it stands in the journal. Changes nothing.

    Exits 0, or 2 if there is no such run.

      tcptune runs show last
    """
    from tcptune.planning.afterwards import with_afterwards

    deliver(with_afterwards(*wiring.journal().find(run)), format, output)


@runs.command()
def export(run: RunArg, output: Output = None) -> None:
    """Write all that the journal knows of RUN as one JSON document. Changes nothing.

    That is the run with its hosts, the plan, the policy, waves and what gates said, claims of hosts, and the log.

    Exits 0, or 2 if there is no such run.

      tcptune runs export last -o run.json
    """
    text(wiring.journal().keeping.record(run).model_dump_json(indent=2) + "\n", output)


@runs.command()
def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Age of the runs to forget: 90d or 12w.", metavar="AGE")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Forget nothing; say what would be.")] = False,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Forget runs that began longer ago than AGE, with all the journal knows of them. Changes no host.

    A run that is not over stays, with the reason: somebody works on it or died at it, a host is not settled, a wave is
    open, hosts are claimed. A run that is forgotten can be rolled back from its hosts' own records alone.

    Exits 0, or 2 if AGE is none.

      tcptune runs prune --older-than 90d --dry-run
    """
    before = wiring.now() - wiring.age(older_than)
    deliver(wiring.journal().keeping.prune(before, dry_run=dry_run), format, output)
