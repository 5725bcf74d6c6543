"""Commands about profiles: list, show, validate, schema, diff. They read no host and change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tcptune.cli.console import deliver, text
from tcptune.cli.options import Format, FormatOption, Output, ProfileArg
from tcptune.errors import EXIT_PENDING, ProfileError
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports.layout import count

profile = typer.Typer(
    name="profile",
    help="List, show, check and compare profiles. Changes nothing.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@profile.command("list")
def list_profiles(format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """List the built-in profiles. Changes nothing.

    Exits 0.

      tcptune profile list
    """
    from tcptune.adapters.profiles import list_built_in

    deliver(list_built_in(), format, output)


@profile.command()
def show(profile: ProfileArg, format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """Show PROFILE with everything it extends: operators, formulas, reasons, sources, origins. Changes nothing.

    Exits 0, or 3 if the profile is wrong.

      tcptune profile show web-frontend
    """
    from tcptune.adapters.profiles import load_profile

    deliver(load_profile(profile), format, output)


@profile.command()
def validate(files: Annotated[list[Path], typer.Argument(help="Profile files.", metavar="FILE...")]) -> None:
    """Check profile files, and what they extend. Every mistake is told, with line, column and a hint. Changes nothing.

    Exits 0 if all are right, 3 if one is not.

      tcptune profile validate profiles/*.yml
    """
    from tcptune.adapters.profiles import load_file

    wrong = []
    for path in files:
        try:
            found = load_file(path)
        except ProfileError as problem:
            wrong.append(problem)
        else:
            said = [count(len(found.groups()), "setting")]
            said += [count(len(found.limits), "limit")] if found.limits else []
            typer.echo(f"{path}: {', '.join(said)}, no mistake")
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        told = [f"{problem}\n  try: {problem.hint}" if problem.hint else str(problem) for problem in wrong]
        raise ProfileError("\n".join([f"{len(wrong)} of {len(files)} files are wrong", *told]))


@profile.command()
def schema(output: Output = None) -> None:
    """Print the JSON Schema of profile files, for completion in editors. Changes nothing.

    Exits 0.

      tcptune profile schema -o profile.schema.json
    """
    from tcptune.adapters.profile_schema import profile_schema

    text(json.dumps(profile_schema(catalogue()), indent=2) + "\n", output)


@profile.command()
def diff(
    left: Annotated[str, typer.Argument(help="Name or file of a profile.", metavar="A")],
    right: Annotated[str, typer.Argument(help="Name or file of another.", metavar="B")],
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Compare what two profiles ask, with everything they extend. Changes nothing.

    Exits 0 if they ask the same, 10 if they differ, 3 if one is wrong.

      tcptune profile diff web-frontend ./my-web.yml
    """
    from tcptune.adapters.profiles import load_profile
    from tcptune.domain.profile import compared

    found = compared(load_profile(left), load_profile(right))
    deliver(found, format, output)
    raise typer.Exit(EXIT_PENDING if found.changes else 0)
