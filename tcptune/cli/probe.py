"""The command that tries services: probe. It reads nothing of them but their answers, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.adapters.files import check_place
from tcptune.cli import wiring
from tcptune.cli.console import deliver
from tcptune.cli.options import Format, FormatOption, Inventory, Output
from tcptune.errors import EXIT_PENDING, HostError, UsageError
from tcptune.reports.layout import names

if TYPE_CHECKING:
    from tcptune.adapters.services import Probing
    from tcptune.domain.service import Target, Try

_PANEL = "Look (changes nothing)"
_MOST_TRIES = 5_000


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=_PANEL)(probe)


def probe(
    context: typer.Context,
    services: Annotated[
        list[str],
        typer.Argument(
            help="What to try: HOST:PORT, [ADDRESS]:PORT, or a URL of http, https or tls.", metavar="SERVICE..."
        ),
    ],
    tls: Annotated[bool, typer.Option("--tls", help="Agree on TLS with HOST:PORT, too.")] = False,
    http: Annotated[
        str | None, typer.Option("--http", help="Ask HOST:PORT for this path by HTTP, too.", metavar="PATH")
    ] = None,
    server_name: Annotated[
        str | None,
        typer.Option("--server-name", help="Name to ask for and to verify in TLS. Default: the host.", metavar="NAME"),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", help="Certificates to trust instead of the system's, on the machine that tries."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="Rounds.")] = 5,
    interval: Annotated[
        float, typer.Option("--interval", min=0.05, max=60, help="Seconds from the beginning of a round to the next.")
    ] = 1.0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, max=120, help="Seconds that each stage may take.")
    ] = 10.0,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=64, help="Tries at once.")] = 16,
    ipv4: Annotated[bool, typer.Option("--ipv4", "-4", help="Try IPv4 addresses alone.")] = False,
    ipv6: Annotated[bool, typer.Option("--ipv6", "-6", help="Try IPv6 addresses alone.")] = False,
    origin: Annotated[
        str | None,
        typer.Option("--from", help="Try from this host of the inventory, which needs Python 3.8.", metavar="HOST"),
    ] = None,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Try services stage by stage: name, connection, TLS, HTTP. Changes nothing.

    Every address of a name is tried on its own, in rounds. Certificates are verified. Each failure has its class, and
    what may be behind it; a SYN that had to be sent again is told, too.

    Exits 0 if all answered every time, 10 if one did not, 2 if a service makes no sense, 4 if one could not be tried.

      tcptune probe https://shop.example/health db.example:5432 --count 20
    """
    from tcptune.adapters.services import Probing
    from tcptune.domain.service import target
    from tcptune.knowledge.service_errors import service_errors
    from tcptune.planning.service import summary

    if ipv4 and ipv6:
        raise UsageError("-4 and -6 leave no address", hint="leave one out, or both")
    try:
        targets = [target(text, tls=tls, path=http, server_name=server_name) for text in services]
    except ValueError as problem:
        raise UsageError(str(problem), hint="web1.example:443, [2001:db8::1]:80 or https://shop.example/") from None
    if len(targets) * count > _MOST_TRIES:
        raise UsageError(f"{len(targets)} services in {count} rounds are more than {_MOST_TRIES} tries", hint="--count")
    source = context.get_parameter_source("inventory")
    if origin is None and source is not None and source.name == "COMMANDLINE":
        raise UsageError("-i is for --from: without it this machine tries", hint="--from HOST, or leave -i out")
    check_place(output)
    family = "4" if ipv4 else "6" if ipv6 else "any"
    probing = Probing(count, interval, timeout, at_once, family, ca_file)
    found = summary(targets, _tries(targets, probing, origin, inventory), service_errors(), count=count, origin=origin)
    deliver(found, format, output)
    if any(one.untried for one in found.services):
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if any(one.unhealthy for one in found.services) else 0)


def _tries(targets: list[Target], probing: Probing, origin: str | None, sources: list[str]) -> list[Try]:
    from tcptune.adapters.services import try_from_here, try_from_host

    if origin is None:
        return try_from_here(targets, probing)
    from tcptune.adapters.transport import FleetTransport

    try:
        hosts = wiring.inventory(sources, origin)
    except UsageError as problem:
        # An inventory speaks of the option that names hosts elsewhere.
        raise UsageError(str(problem).replace("--limit", "--from", 1), hint=problem.hint) from None
    if len(hosts) != 1:
        named = names([host.name for host in hosts])
        raise UsageError(f"--from {origin} is {len(hosts)} hosts of the inventory, not one", hint=f"one of {named}")
    return try_from_host(FleetTransport(), hosts[0], targets, probing)
