"""The typer application."""

from __future__ import annotations

from inspect import getdoc
from typing import Annotated

import typer

from tcptune import __version__
from tcptune.cli import change, diagnose, exchange, learn, look, pcap, probe, read_files, verify
from tcptune.cli.console import error_boundary
from tcptune.cli.policy import policy
from tcptune.cli.profile import profile
from tcptune.cli.runs import runs
from tcptune.cli.timeouts import timeouts

app = typer.Typer(
    name="tcptune",
    help="Plan, apply, confirm and roll back the TCP settings of a Linux fleet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tcptune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


look.register(app)
diagnose.register(app)
verify.register(app)
probe.register(app)
change.register(app)
learn.register(app)
read_files.register(app)
exchange.register(profile)
pcap.register(app)
app.add_typer(profile, rich_help_panel="Look (changes nothing)")
app.add_typer(policy, rich_help_panel="Look (changes nothing)")
app.add_typer(timeouts, rich_help_panel="Look (changes nothing)")
app.add_typer(runs, rich_help_panel="Change hosts")
for _command in (
    *app.registered_commands,
    *profile.registered_commands,
    *policy.registered_commands,
    *runs.registered_commands,
    *timeouts.registered_commands,
):
    # A paragraph that begins with this mark is not wrapped: each example keeps its line.
    _command.help = (getdoc(_command.callback) or "").replace("\n\n  tcptune ", "\n\n\b\n  tcptune ")


def main() -> None:
    """Run the command line."""
    with error_boundary():
        app()
