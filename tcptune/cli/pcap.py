"""Commands about captures of packets: pcap, capture-plan. They change nothing and run nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tcptune.cli.console import deliver
from tcptune.cli.options import Format, FormatOption, Output
from tcptune.errors import EXIT_PENDING, InputError, UsageError

_PANEL = "Look (changes nothing)"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(rich_help_panel=_PANEL)(pcap)
    app.command(rich_help_panel=_PANEL)(capture_plan)


def pcap(
    file: Annotated[
        list[Path],
        typer.Argument(
            help="Capture as tcpdump writes it: pcap or pcapng, with gzip or without; or a folder of such files.",
            metavar="FILE",
        ),
    ],
    both: Annotated[
        bool,
        typer.Option(
            "--both", help="The two FILEs are of both ends of the same connections: the client's, the server's."
        ),
    ] = False,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Read captures of packets and say who ended connections, and why. Changes nothing.

    Several files are one capture in the order of their first packets, as tcpdump -C writes it. Each cause comes with
    the packets that show it, with what else it could be, and with what to do. Needs the extra: tcptune[pcap].

    Exits 0 if there is nothing to find, 10 if there is, 3 if a file is no capture, or nothing was found where not all
    could be judged: a file that broke off, or holds no TCP, or more flows at once than are remembered.

      tcptune pcap client.pcap
      tcptune pcap capture/ --format json
      tcptune pcap --both client.pcap server.pcap
    """
    from tcptune.adapters.captures import check_ends, packet_files
    from tcptune.domain.captures import BothEnds, CaptureReport
    from tcptune.workflows.pcap import analyse, analyse_both

    found: BothEnds | CaptureReport
    if both:
        if len(file) != 2:
            raise UsageError(
                "--both takes two: the client's capture and the server's", hint="a folder can hold several"
            )
        check_ends(*file)
        found = analyse_both(packet_files(file[:1]), packet_files(file[1:]))
    else:
        found = analyse(packet_files(file))
    deliver(found, format, output)
    if found.harmful:
        raise typer.Exit(EXIT_PENDING)
    raise typer.Exit(0 if found.judged else InputError.exit_code)


def capture_plan(
    host: Annotated[
        list[str],
        typer.Argument(help="The other end, whose packets to capture: its address or name.", metavar="[HOST]"),
    ] = [],  # noqa: B006  # typer reads the default, nobody changes it
    port: Annotated[list[int], typer.Option("--port", help="Only packets from or to this port. May be repeated.")] = [],  # noqa: B006
    on: Annotated[
        str | None, typer.Option("--on", help="Host to capture on, as ssh knows it. Default: this machine.")
    ] = None,
    both: Annotated[bool, typer.Option("--both", help="Capture on HOST as well, to compare both ends.")] = False,
    interface: Annotated[str, typer.Option("--interface", help="Interface to capture at.")] = "any",
    ends_only: Annotated[
        bool, typer.Option("--ends-only", help="Only SYN, FIN and RST: little data, and who ended what.")
    ] = False,
    snaplen: Annotated[
        int, typer.Option("--snaplen", min=96, max=65535, help="Bytes kept of each packet; 128 are headers alone.")
    ] = 128,
    seconds: Annotated[int, typer.Option("--seconds", min=1, max=86400, help="Longest time to capture.")] = 300,
    files: Annotated[
        int, typer.Option("--files", min=2, max=1000, help="Files that are filled one after another.")
    ] = 10,
    file_size: Annotated[int, typer.Option("--file-size", min=1, max=1000, help="Size of each, in MB.")] = 50,
    below: Annotated[str, typer.Option("--below", help="Folder to make one for the files in.")] = "/var/tmp",  # noqa: S108
    user: Annotated[
        str, typer.Option("--user", help="Whom tcpdump becomes once it has opened the interface.")
    ] = "tcpdump",
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Print tcpdump commands that are bounded in time, disk and what they see. Runs none of them. Changes nothing.

    Exits 0, or 2 if the command line makes no sense.

      tcptune capture-plan 192.0.2.7 --port 443 --on web1
      tcptune capture-plan db1 --on web1 --port 5432 --both --ends-only
    """
    from tcptune.captures.plan import Bounds, Wanted, plan_capture

    wanted = Wanted(tuple(host), tuple(port), on or "", both, interface, ends_only, below, user)
    deliver(plan_capture(wanted, Bounds(files, file_size, seconds, snaplen)), format, output)
