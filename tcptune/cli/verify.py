"""Commands that look at what runs have left on hosts, and change nothing: verify, doctor."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tcptune.adapters.files import check_place, read_facts
from tcptune.cli import wiring
from tcptune.cli.console import deliver
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    Forks,
    Format,
    FormatOption,
    Hosts,
    Inventory,
    Output,
    RunArg,
    Timeout,
)
from tcptune.cli.sudo import Sudo
from tcptune.errors import EXIT_PENDING, HostError, UsageError
from tcptune.knowledge.catalogue import catalogue

_PANEL = "Look (changes nothing)"
_SHORTEST_S = 5
_RUNS_LOOKED_AT = 200
"""How far back `doctor` reads the journal. Runs that nobody has ended are read however old they are."""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (verify, doctor):
        app.command(rich_help_panel=_PANEL)(command)


def verify(
    run: RunArg,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    limit: Hosts = None,
    window: Annotated[
        str | None,
        typer.Option("--window", help="Look at the counters over this time, too: the rates before the run and now."),
    ] = None,
    before: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--before",
            help="Two facts files from before the run; without them the journal is asked, where a gate looked.",
            metavar="FIRST LAST",
        ),
    ] = None,
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Look at the hosts of RUN again: is what it left still there, now and at the next boot? Changes nothing.

    With --window it also says what became of the counters since: fixed, better, unchanged or worse. Where there is too
    little traffic, or nothing is known from before, that is not judged.

    Exits 0 if so, 10 if something moved, a service waits for a restart or a rate got worse, 4 if a host could not be
    read, or a limit or the rates not be judged, 2 if the run changed none of these hosts.

      tcptune verify last
      tcptune verify last --window 60s
    """
    from tcptune.workflows.effect import from_facts, kept, measure
    from tcptune.workflows.verify import reached
    from tcptune.workflows.verify import verify as look_again

    if before is not None and window is None:
        raise UsageError("--before is what --window compares with", hint="--window 60s")
    window_s = wiring.seconds(window) if window is not None else None
    if window is not None and (window_s is None or window_s < _SHORTEST_S):
        raise UsageError(f"--window {window}: counters are looked at for {_SHORTEST_S} s or more", hint="60s")
    check_place(output)
    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    journal = wiring.journal()
    found, made = journal.find(run)
    hosts = wiring.hosts_of(made, inventory, limit, sudo.escalation())
    sudo.tell_unused(hosts)
    # The files are read before any host: a wrong one costs no time.
    known = from_facts(read_facts(before[0]), read_facts(before[1]), found) if before is not None else {}
    verdict = look_again(wiring.collector(forks, timeout), found, made, hosts, catalogue())
    if window_s is not None:
        known = known if before is not None else kept(journal.rollouts, found)
        effects = measure(wiring.watch(forks, timeout), reached(found, hosts), known, window_s, time.sleep)
        verdict = verdict.model_copy(update={"effects": effects})
    deliver(verdict, format, output)
    if verdict.unmeasured or any(host.error or host.unknown for host in verdict.hosts):
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if verdict.worse or not all(host.ok for host in verdict.hosts) else 0)


def doctor(
    host: Annotated[
        str | None, typer.Argument(help="Hosts to look at, an Ansible host pattern. Default: all.", metavar="HOST")
    ] = None,
    inventory: Inventory = [],  # noqa: B006
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Look for runs that nobody ended, on hosts and in the journal, and say how to settle each. Changes nothing.

    Without -i the hosts are those of the journal's runs, reached as their plans say. Needs root on the hosts.

    Exits 0 if nothing is left over, 10 if something is, 4 if a host's records could not be read.

      tcptune doctor web1 -i hosts.yml
    """
    from tcptune.workflows.doctor import doctor as look_for_leftovers

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    journal = wiring.journal()
    newest = journal.runs(limit=_RUNS_LOOKED_AT)
    found = {run.run_id for run in newest}
    runs = [*newest, *(run for run in journal.unsettled() if run.run_id not in found)]
    if inventory:
        hosts = wiring.inventory(inventory, host or "all", sudo.escalation())
    else:
        plans = [journal.find(run.run_id)[1] for run in runs]
        hosts = wiring.hosts_of_runs(plans, host, sudo.escalation())
    sudo.tell_unused(hosts)
    result = look_for_leftovers(wiring.collector(forks, timeout), hosts, runs, wiring.now())
    deliver(result, format, output)
    if result.unseen:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if result.leftovers else 0)
