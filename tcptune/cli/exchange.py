"""Commands that take settings from other tools' files and write them: profile import, profile export."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.adapters.files import read_facts, write_whole
from tcptune.cli import wiring
from tcptune.cli.console import emit, text
from tcptune.cli.options import Facts, Load, Output, Profiles, WantedArg
from tcptune.domain.facts import HostFacts
from tcptune.errors import InputError, TcptuneError, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports.layout import count

if TYPE_CHECKING:
    from tcptune.domain.exchange import LeftOut


class From(StrEnum):
    """The formats that are read."""

    SYSCTL = "sysctl"
    TUNED = "tuned"
    SAPTUNE = "saptune"
    KERNEL_SETTINGS = "kernel-settings"
    SYSCTL_A = "sysctl-a"


class To(StrEnum):
    """The formats that are written."""

    SYSCTL_D = "sysctl.d"
    TUNED = "tuned"
    KERNEL_SETTINGS = "kernel-settings"
    KUBERNETES = "kubernetes"


def register(app: typer.Typer) -> None:
    """Add the commands to the sub-application `profile`."""
    app.command(name="import")(import_)
    app.command()(export)


def import_(
    path: Annotated[Path, typer.Argument(help="File, sysctl.d folder, tuned profile folder or root of a file tree.")],
    source: Annotated[From | None, typer.Option("--from", help="Format; recognised where it is not given.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the profile. Default: that of the file.")] = None,
    output: Output = None,
) -> None:
    """Make a profile of another tool's settings. Changes no host.

    What a profile cannot say, and what is a mistake, is listed on standard error with its line and the reason.

    Exits 0, or 3 if the file cannot be read or nothing of it can be taken.

      tcptune profile import /etc/sysctl.d -o found.yml
    """
    from tcptune.adapters.dialects import gather
    from tcptune.dialects import READERS
    from tcptune.dialects.profile_text import checked, to_yaml

    dialect, files = gather(path, source.value if source else None)
    known = catalogue()
    imported = checked(READERS[dialect].read(files, known), known)
    _tell(imported.left_out)
    if not imported.settings:
        raise InputError(f"{path}: read as {dialect}, this sets nothing that tcptune knows", hint="see what is listed")
    text(to_yaml(name or _name(path), imported), output)
    lines = sum(one.lines for one in imported.left_out)
    told = f"{count(len(imported.settings), 'setting')}, {count(lines, 'line')} left out"
    typer.echo(f"read {path} as {dialect}: {told}", err=True)


def export(
    to: Annotated[To, typer.Option("--to", help="Format to write.")],
    profile: WantedArg = None,
    more: Profiles = [],  # noqa: B006  # typer reads the default, nobody changes it
    load: Load = [],  # noqa: B006
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File or folder to write to.")] = None,
    facts: Facts = None,
    host: Annotated[str | None, typer.Option("--host", help="Host of the facts whose values decide.")] = None,
    bounds: Annotated[bool, typer.Option("--bounds", help="Write a bound as a fixed value.")] = False,
) -> None:
    """Write PROFILE as another tool's file. Changes no host.

    Most formats can only set values. There, 'at least 4096' is settled with what --host has, written as 4096 with
    --bounds, or left out. So are guards, and formulas over more than declared load. What is left out, or not said in
    full, is listed on standard error with the reason.

    Exits 0, or 3 if nothing of the profile can be written or two profiles clash.

      tcptune profile export web-frontend --to tuned -o /etc/tuned/
    """
    from tcptune.dialects.export import export as write_profile
    from tcptune.domain.hosts import Declared

    wanted = wiring.profile([profile, *more])
    exported = write_profile(
        wanted,
        to.value,
        catalogue(),
        facts=_facts_of(facts, host),
        declared=Declared(load=wiring.load(load, wanted)),
        bounds=bounds,
    )
    _tell(exported.left_out)
    if not exported.files:
        hint = "--facts FILE --host NAME, or --bounds"
        raise InputError(f"{wanted.name}: {to.value} can say nothing of it", hint=hint)
    for name, content in exported.files.items():
        _write(output, name, content)


def _name(path: Path) -> str:
    from tcptune.dialects.writing import slug

    named = path.resolve()
    return slug(named.parent.name if named.name == "tuned.conf" else named.stem)


def _facts_of(facts: Path | None, host: str | None) -> HostFacts | None:
    if (facts is None) != (host is None):
        raise UsageError("--facts and --host belong together", hint="--facts facts.jsonl --host web1")
    if facts is None or host is None:
        return None
    found = next((one for one in read_facts(facts) if one.host == host), None)
    if not isinstance(found, HostFacts):
        raise InputError(f"{facts}: it holds no values of {host}", hint="tcptune facts")
    return found


def _write(output: Path | None, name: str, content: str) -> None:
    if output is None:
        emit(content)
        return
    path = output / name if output.is_dir() else output
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise TcptuneError(f"{path.parent}: {problem.strerror}", hint="name another place with --output") from None
    write_whole(path, [content])
    typer.echo(f"wrote {path}", err=True)


def _tell(left_out: Sequence[LeftOut]) -> None:
    if left_out:
        typer.echo("left out:", err=True)
    for one in left_out:
        count = f" ({one.lines} lines)" if one.lines > 1 else ""
        said = f"  {one.place}  {one.text}{count}: {one.why}"
        # A file may hold what a terminal obeys.
        typer.echo("".join(char if char.isprintable() else "?" for char in said), err=True)
