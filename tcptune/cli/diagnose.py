"""The command that says what is wrong with hosts, and why: diagnose."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.adapters.files import read_facts, read_probe, write_whole
from tcptune.cli import wiring
from tcptune.cli.console import deliver, tracked
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    Forks,
    Format,
    FormatOption,
    HaproxyFiles,
    Inventory,
    Limit,
    NginxFiles,
    Output,
    Timeout,
)
from tcptune.cli.sudo import Sudo
from tcptune.domain.samples import HostSamples
from tcptune.errors import EXIT_PENDING, HostError, UsageError
from tcptune.knowledge.catalogue import catalogue

if TYPE_CHECKING:
    from tcptune.detectors.clues import Heard

_PANEL = "Look (changes nothing)"
_SHORTEST_S = 5


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=_PANEL)(diagnose)


def diagnose(
    context: typer.Context,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    limit: Limit = "all",
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    window: Annotated[str, typer.Option("--window", help="Time between the two samples: 30s, 5m.")] = "30s",
    facts: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--facts", help="Two facts files to compare instead of reading hosts.", metavar="BEFORE AFTER"),
    ] = None,
    log: Annotated[
        list[str], typer.Option("--log", help="Log of a program or proxy. May be repeated.", metavar="FILE")
    ] = [],  # noqa: B006
    pcap: Annotated[
        list[Path],
        typer.Option("--pcap", help="Capture of packets, or a folder of them. May be repeated.", metavar="FILE"),
    ] = [],  # noqa: B006
    chain: Annotated[
        list[Path], typer.Option("--chain", help="Chain of timeouts, in YAML. May be repeated.", metavar="CHAIN")
    ] = [],  # noqa: B006
    nginx: NginxFiles = [],  # noqa: B006
    haproxy: HaproxyFiles = [],  # noqa: B006
    probe: Annotated[
        list[Path],
        typer.Option("--probe", help="Report of tcptune probe in JSON. May be repeated.", metavar="FILE"),
    ] = [],  # noqa: B006
    emit_profile: Annotated[
        Path | None,
        typer.Option("--emit-profile", help="File to write a profile to: the settings that help, and nothing else."),
    ] = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Look at hosts twice and name the causes of resets, timeouts, refusals and loss. Changes nothing.

    What logs, captures, chains of timeouts and probes say is evidence, too; with these and neither -i, --limit nor
    --facts no host is read. Each cause comes with the numbers that were read, how sure it is, what else it could be,
    and what to do: by whom, the closest to the cause first. Where no kernel setting helps, that is said. What could
    not be judged is listed; a host with such a line is never called well. Without root, programs' sockets and the
    kernel's log are not seen.

    Exits 0 if all was judged and nothing is wrong, 10 if something is, 4 if a host or a file could not be read or
    judged in full, 3 if a file is not what it is given for.

      tcptune diagnose -i hosts.yml --limit web1 --window 30s
      tcptune diagnose --facts before.jsonl after.jsonl --format markdown
      tcptune diagnose -i hosts.yml --limit proxy1 --log error.log --chain shop.yml --nginx nginx.conf
      tcptune diagnose --log error.log --pcap client.pcap
      tcptune diagnose -i hosts.yml --emit-profile fix.yml && tcptune plan fix.yml -i hosts.yml
    """
    from tcptune.reports.fix_profile import overlay
    from tcptune.workflows.diagnose import diagnose as judge
    from tcptune.workflows.diagnose import paired

    if (nginx or haproxy) and len(chain) != 1:
        raise UsageError("--nginx and --haproxy are files of the hops of one --chain", hint="--chain CHAIN.yml")
    heard = _heard(log, pcap, probe) + _chained(chain, nginx, haproxy)
    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    if facts is not None:
        _alone(context)
        before, after = facts
        found = judge(paired(read_facts(before), read_facts(after)), heard)
    elif (log or pcap or chain or probe) and not _given(context):
        found = judge((), heard)
    else:
        found = judge(_samples(inventory, limit, _seconds(window), forks, timeout, sudo), heard)
    deliver(found, format, output)
    if emit_profile is not None:
        profile = overlay(found, emit_profile.stem if emit_profile.stem.isidentifier() else "fix")
        if profile is None:
            typer.echo(f"no kernel setting helps: {emit_profile} was not written", err=True)
        else:
            write_whole(emit_profile, [profile])
            typer.echo(f"wrote {emit_profile}; next: tcptune plan {emit_profile} -i INVENTORY", err=True)
    if found.unread or found.in_part:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if found.found else 0)


def _alone(context: typer.Context) -> None:
    """Refuse what is for hosts that are read."""
    for name in _given(context):
        raise UsageError(f"--{name} is for hosts that are read, and --facts reads none", hint="leave one out")


def _given(context: typer.Context) -> list[str]:
    """Return which options for hosts stand on the command line. The environment may name an inventory for all."""
    sources = {name: context.get_parameter_source(name) for name in ("inventory", "limit", "window", "become")}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def _heard(logs: list[str], captures: list[Path], probes: list[Path]) -> Heard:
    """Return what logs, captures and probes say. They are read before any host: a wrong one costs no time."""
    from tcptune.detectors import NOTHING, clues

    heard = NOTHING
    if logs:
        from tcptune.adapters.logs import read_logs

        heard += clues.from_logs(read_logs(logs))
    if captures:
        from tcptune.adapters.captures import packet_files
        from tcptune.workflows.pcap import analyse

        heard += clues.from_capture(analyse(packet_files(captures)))
    for file in probes:
        heard += clues.from_probe(read_probe(file))
    return heard


def _chained(chains: list[Path], nginx: list[str], haproxy: list[str]) -> Heard:
    """Return what chains say, with the configurations that the hops of the only one really have."""
    from tcptune.cli.chain_files import assessed
    from tcptune.detectors import NOTHING, clues

    return sum((clues.from_chain(assessed(one, nginx, haproxy)) for one in chains), start=NOTHING)


def _seconds(window: str) -> float:
    seconds = wiring.seconds(window)
    if seconds is None or not _SHORTEST_S <= seconds <= 3600:
        raise UsageError(f"--window {window}: two samples lie between {_SHORTEST_S} s and an hour apart", hint="30s")
    return float(seconds)


def _samples(
    sources: list[str], limit: str, window_s: float, forks: int, timeout_s: float, sudo: Sudo
) -> Iterable[HostSamples]:
    hosts = wiring.inventory(sources, limit, sudo.escalation())
    sudo.tell_unused(hosts)
    return tracked(
        wiring.sampler(forks, timeout_s).stream(hosts, list(catalogue()), window_s), len(hosts), "looking at hosts"
    )
