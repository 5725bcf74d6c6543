"""The command that says what is wrong with hosts, and why: diagnose."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.adapters.files import check_place, read_facts, read_probe, write_whole
from tcptune.cli import wiring
from tcptune.cli.chain_files import Haproxy, Nginx, assessed
from tcptune.cli.console import deliver, text, tracked
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    Forks,
    Format,
    Inventory,
    Limit,
    Output,
    Timeout,
)
from tcptune.cli.sudo import Sudo
from tcptune.domain.samples import HostSamples
from tcptune.errors import EXIT_PENDING, HostError, UsageError
from tcptune.knowledge.catalogue import catalogue

if TYPE_CHECKING:
    from tcptune.detectors.clues import Heard
    from tcptune.domain.hosts import Host

_PANEL = "Look (changes nothing)"
_SHORTEST_S = 5
_OF_HOSTS = ("inventory", "limit", "window", "become")
"""Options that ask for hosts to be read."""


class DiagnosisFormat(StrEnum):
    """What a diagnosis is written as."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"
    PROMETHEUS = "prometheus"


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
    nginx: Nginx = [],  # noqa: B006
    haproxy: Haproxy = [],  # noqa: B006
    probe: Annotated[
        list[Path],
        typer.Option("--probe", help="Report of tcptune probe in JSON. May be repeated.", metavar="FILE"),
    ] = [],  # noqa: B006
    emit_profile: Annotated[
        Path | None,
        typer.Option("--emit-profile", help="File to write a profile to: the settings that help, and nothing else."),
    ] = None,
    format: Annotated[  # noqa: A002
        DiagnosisFormat, typer.Option("--format", help="How to write the diagnosis; metrics for a textfile collector.")
    ] = DiagnosisFormat.TERMINAL,
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Look at hosts twice and name the causes of resets, timeouts, refusals and loss. Changes nothing.

    What logs, captures, chains of timeouts and probes say is evidence, too; with these, and none of -i, --limit,
    --window, --become and --facts, no host is read. Each cause comes with the numbers that were read, how sure it is,
    what else it could be, and what to do: by whom, the closest to the cause first. Where no kernel setting helps, that
    is said. What could not be judged is listed, with what it may hide; a host with such a line is never called well.
    Without root, the open files of others' programs and the kernel's log are not seen: -b.

    Exits 0 if all was judged and nothing is wrong, 10 if something is, 4 if a host or a file could not be read or
    judged in full, 3 if a file is not what it is given for.

      tcptune diagnose -i hosts.yml --limit web1 --window 30s
      tcptune diagnose --facts before.jsonl after.jsonl --format markdown
      tcptune diagnose -i hosts.yml --limit proxy1 --log error.log --chain shop.yml --nginx nginx.conf
      tcptune diagnose --log error.log --pcap client.pcap
      tcptune diagnose -i hosts.yml --emit-profile fix.yml; tcptune plan fix.yml -i hosts.yml
    """
    from tcptune.reports import prometheus
    from tcptune.reports.fix_profile import concerned, overlay
    from tcptune.reports.layout import count
    from tcptune.workflows.diagnose import diagnose as judge
    from tcptune.workflows.diagnose import paired

    for place in (output, emit_profile):
        check_place(place)
    heard = _heard(log, pcap, probe)
    if chain or nginx or haproxy:
        heard += _of_chains(chain, nginx, haproxy)
    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    if facts is not None:
        _alone(context)
        before, after = facts
        found = judge(paired(read_facts(before), read_facts(after)), heard)
    elif (log or pcap or chain or probe) and not _given(context, *_OF_HOSTS):
        found = judge((), heard)
    else:
        window_s = _seconds(window)
        hosts = wiring.inventory(inventory, limit, sudo.escalation())
        sudo.tell_unused(hosts)
        known = {host.name: (host.connection.address,) for host in hosts}
        found = judge(_samples(hosts, window_s, forks, timeout), heard, known)
    if format is DiagnosisFormat.PROMETHEUS:
        text(prometheus.render(found), output)
    else:
        deliver(found, Format(format.value), output)
    if emit_profile is not None:
        profile = overlay(found, emit_profile.stem if emit_profile.stem.isidentifier() else "fix")
        if profile is None:
            typer.echo(f"no kernel setting helps: {emit_profile} was not written", err=True)
        else:
            write_whole(emit_profile, [profile])
            told = f"{len(concerned(found))} of {count(len(found.hosts) + len(found.unread), 'host')}"
            next_ = f"tcptune plan {emit_profile} -i INVENTORY"
            typer.echo(f"wrote {emit_profile} for {told}; next: {next_}", err=True)
    if found.unread or found.in_part:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if found.found else 0)


def _alone(context: typer.Context) -> None:
    """Refuse what is for hosts that are read."""
    for name in _given(context, *_OF_HOSTS, "become_user", "ask_become_pass", "become_password_file"):
        option = name.replace("_", "-")
        raise UsageError(f"--{option} is for hosts that are read, and --facts reads none", hint="leave one out")


def _given(context: typer.Context, *names: str) -> list[str]:
    """Return which options for hosts stand on the command line. The environment may name an inventory for all."""
    sources = {name: context.get_parameter_source(name) for name in names}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def _heard(logs: list[str], captures: list[Path], probes: list[Path]) -> Heard:
    """Return what files of what happened say. They are read before any host: a wrong one costs no time."""
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


def _of_chains(chains: list[Path], nginx: list[str], haproxy: list[str]) -> Heard:
    """Return what the timeouts of chains, with the configurations of their proxies, make."""
    from tcptune.detectors import NOTHING, clues

    return sum((clues.from_chain(one) for one in assessed(chains, nginx, haproxy)), NOTHING)


def _seconds(window: str) -> float:
    seconds = wiring.seconds(window)
    if seconds is None or not _SHORTEST_S <= seconds <= 3600:
        raise UsageError(f"--window {window}: two samples lie between {_SHORTEST_S} s and an hour apart", hint="30s")
    return float(seconds)


def _samples(hosts: list[Host], window_s: float, forks: int, timeout_s: float) -> Iterable[HostSamples]:
    return tracked(
        wiring.sampler(forks, timeout_s).stream(hosts, list(catalogue()), window_s), len(hosts), "looking at hosts"
    )
