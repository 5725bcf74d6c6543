"""Commands that look and change nothing: facts, audit, plan, show, render, verify, runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.adapters.files import facts_lines, read_captured, read_facts, read_plan, write_whole
from tcptune.cli import wiring
from tcptune.cli.console import deliver, emit, text, tracked
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    ConfirmWithin,
    Facts,
    FactsFormat,
    FactsFormatOption,
    Forks,
    Format,
    FormatOption,
    Hosts,
    Inventory,
    Kernel,
    Limit,
    Load,
    Output,
    PlanArg,
    Profiles,
    RunArg,
    SysctlA,
    Timeout,
    Via,
    ViaOption,
    Waivers,
    WantedArg,
)
from tcptune.cli.sudo import Sudo
from tcptune.domain.facts import Collected, Unread
from tcptune.domain.hosts import Declared, Host
from tcptune.errors import EXIT_PENDING, HostError, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports.layout import visible

if TYPE_CHECKING:
    from tcptune.domain.findings import FleetAudit, HostAudit

_PANEL = "Look (changes nothing)"
_RUNS_LOOKED_AT = 200
"""How far back `doctor` reads the journal."""


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (facts, audit, plan, show, render, verify, runs, doctor):
        app.command(rich_help_panel=_PANEL)(command)


def facts(
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    limit: Limit = "all",
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    facts: Facts = None,
    format: FactsFormatOption = FactsFormat.JSONL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
    via: ViaOption = Via.SSH,
) -> None:
    """Read hosts and write what they say: JSON lines, or a page per host. Changes nothing.

    One SSH connection and one command per host; the host needs a POSIX sh and no Python.
    With --via ansible, hosts are reached by Ansible's connection plugins: chroot, containers, pods.
    A host that cannot be read gets a line with the reason. Secrets are never read.

    Exits 0, or 4 if a host could not be read.

      tcptune facts -i hosts.yml --limit 'web*' -o facts.jsonl
      tcptune facts --facts facts.jsonl --format summary
    """
    from tcptune.reports import host_page

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    seen: list[str] = []
    unread: list[Unread] = []

    def noted(stream: Iterable[Collected]) -> Iterator[Collected]:
        for one in stream:
            seen.append(one.host)
            if isinstance(one, Unread):
                unread.append(one)
            yield one

    with _collected(inventory, limit, facts, forks, timeout, sudo, via=via) as (stream, _):
        if format is FactsFormat.JSONL:
            lines = facts_lines(noted(stream), wiring.now())
        else:
            lines = (host_page.render(one) for one in noted(stream))
        if output is None:
            for line in lines:
                emit(line)
        else:
            write_whole(output, lines)
    _tell(unread)
    where = f", wrote {output}" if output else ""
    typer.echo(f"read {len(seen) - len(unread)} of {len(seen)} hosts{where}", err=True)
    raise typer.Exit(HostError.exit_code if unread else 0)


def audit(
    profile: WantedArg = None,
    more: Profiles = [],  # noqa: B006
    load: Load = [],  # noqa: B006
    waivers: Waivers = None,
    inventory: Inventory = [],  # noqa: B006
    limit: Limit = "all",
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    facts: Facts = None,
    sysctl_a: SysctlA = None,
    kernel: Kernel = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
    via: ViaOption = Via.SSH,
) -> None:
    """Compare hosts with PROFILE: wanted, actual and at the next boot. Changes nothing.

    With several profiles an entry of each has to be met: they are solved to one value, or the clash is reported.
    With --sysctl-a no host is needed, and the next boot is not known: what is as wanted at runtime is then not judged.

    Concerns are what several settings, or what runs on the host, make wrong together.

    Exits 0 if every host meets it, 10 if one deviates or a concern does harm, 3 if a profile is wrong or two clash,
    4 if a host could not be read or judged.

      tcptune audit web-frontend -i hosts.yml --format markdown
      tcptune audit web-frontend -p database --load peak_connections_per_s=9000 --waivers waivers.yml
      tcptune audit web-frontend --sysctl-a web3.txt --kernel 5.10.0
    """
    from tcptune.workflows.audit import audit as compare

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    wanted = wiring.profile([profile, *more], waivers)
    given = wiring.load(load, wanted)

    def compared(collected: Iterable[Collected], hosts: Sequence[Host] = ()) -> FleetAudit:
        return compare(
            collected,
            wanted,
            catalogue(),
            today=wiring.now().date(),
            declared=wiring.declared(hosts, given),
            otherwise=Declared(load=given),
        )

    if sysctl_a is not None:
        if facts is not None or limit != "all":
            raise UsageError("--sysctl-a is of one host: it goes with neither --facts nor --limit")
        found = compared([read_captured(sysctl_a, wiring.now(), kernel)])
    elif kernel is not None:
        raise UsageError("--kernel is for --sysctl-a; hosts and facts files tell their kernel themselves")
    else:
        with _collected(inventory, limit, facts, forks, timeout, sudo, via=via) as (collected, hosts):
            found = compared(collected, hosts)
    deliver(found, format, output)
    if found.unread or found.undecided:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if found.deviating or found.harmed else 0)


def plan(
    profile: WantedArg = None,
    more: Profiles = [],  # noqa: B006
    load: Load = [],  # noqa: B006
    waivers: Waivers = None,
    inventory: Inventory = [],  # noqa: B006
    limit: Limit = "all",
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    facts: Facts = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write the plan to.")] = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Write the plan that brings hosts to PROFILE, and show it. Changes nothing.

    Hosts whose changes are identical share a cohort. What cannot be changed is listed with the reason. Harm that the
    changes would do together, or with what runs on a host, is told beside it; it is not part of the plan.

    Exits 0 if there is nothing to change, 10 if there is, 4 if a host could not be read or judged.

      tcptune plan web-frontend -i hosts.yml -o plan.json
    """
    from tcptune.reports.concerns import harm
    from tcptune.workflows.plan import plan as make

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    wanted = wiring.profile([profile, *more], waivers)
    given = wiring.load(load, wanted)
    audits: list[HostAudit] = []
    with _collected(inventory, limit, facts, forks, timeout, sudo, connections=True) as (collected, hosts):
        declared = wiring.declared(hosts, given)
        made = make(collected, hosts, wanted, catalogue(), wiring.now(), declared=declared, audited=audits.append)
    if output is not None:
        write_whole(output, [made.model_dump_json(indent=2), "\n"])
        typer.echo(f"wrote {output}", err=True)
    deliver(made, format, None)
    if warning := harm(audits):
        typer.echo(warning, err=True)
    if made.undecided:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if made.cohorts or made.out_of_reach else 0)


def show(plan: PlanArg, format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """Show a plan again. Changes nothing.

    Exits 0, or 3 if the file is no plan or was edited.

      tcptune show plan.json --format markdown
    """
    deliver(read_plan(plan), format, output)


def render(
    plan: PlanArg,
    directory: Annotated[Path, typer.Option("--directory", "-d", help="New folder for the project.")],
    confirm_within: ConfirmWithin = "10m",
) -> None:
    """Write a plan as an Ansible project that runs without tcptune. Changes no host.

    Exits 0, 1 if the folder cannot be written, 3 if the file is no plan.

      tcptune render plan.json -d project && cd project && ansible-playbook site.yml --check --diff
    """
    from tcptune.adapters.bundle import write_project
    from tcptune.planning import playbook

    read = read_plan(plan)
    options = playbook.RenderOptions(revert_after_s=wiring.seconds(confirm_within))
    write_project(directory, playbook.render(read, f"plan-{read.plan_id[:12]}", options))
    typer.echo(f"wrote {directory}; next: cd {directory} && ansible-playbook site.yml --check --diff", err=True)


def verify(
    run: RunArg,
    inventory: Inventory = [],  # noqa: B006
    limit: Hosts = None,
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

    Exits 0 if so, 10 if something moved or a service waits for a restart, 4 if a host could not be read or a limit not
    be judged, 2 if the run changed none of these hosts.

      tcptune verify last
    """
    from tcptune.workflows.verify import verify as look_again

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    found, made = wiring.journal().find(run)
    hosts = wiring.hosts_of(made, inventory, limit, sudo.escalation())
    verdict = look_again(wiring.collector(forks, timeout), found, made, hosts, catalogue())
    deliver(verdict, format, output)
    if any(host.error or host.unknown for host in verdict.hosts):
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(0 if all(host.ok for host in verdict.hosts) else EXIT_PENDING)


def runs(
    run: Annotated[str | None, typer.Argument(help="Run to show; without one, the list.", metavar="[RUN]")] = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """List the runs of the journal, newest first, or show one. Changes nothing.

    Exits 0, or 2 if there is no such run.

      tcptune runs last
    """
    from tcptune.reports import terminal

    journal = wiring.journal()
    if run is not None:
        from tcptune.planning.afterwards import with_afterwards

        deliver(with_afterwards(*journal.find(run)), format, output)
    elif format is Format.TERMINAL:
        text(terminal.runs(journal.runs()), output)
    else:
        raise UsageError("the list of runs has no other format yet", hint="tcptune runs RUN --format json")


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
    runs = journal.runs(limit=_RUNS_LOOKED_AT)
    if inventory:
        hosts = wiring.inventory(inventory, host or "all", sudo.escalation())
    else:
        plans = [journal.find(run.run_id)[1] for run in runs]
        hosts = wiring.hosts_of_runs(plans, host, sudo.escalation())
    result = look_for_leftovers(wiring.collector(forks, timeout), hosts, runs, wiring.now())
    deliver(result, format, output)
    if result.unseen:
        raise typer.Exit(HostError.exit_code)
    raise typer.Exit(EXIT_PENDING if result.leftovers else 0)


@contextmanager
def _collected(
    sources: list[str],
    limit: str,
    facts_file: Path | None,
    forks: int,
    timeout_s: float,
    sudo: Sudo,
    *,
    connections: bool = False,
    via: Via = Via.SSH,
) -> Iterator[tuple[Iterable[Collected], list[Host]]]:
    """Yield facts from a file or from hosts, and the hosts where the caller needs to know how they are reached."""
    if via is Via.ANSIBLE:
        if facts_file is not None:
            raise UsageError("--via ansible reads hosts, and --facts reads none", hint="leave one out")
        escalation = sudo.escalation()
        hosts = wiring.inventory_of_ansible(sources, limit, escalation)
        reader = wiring.collector_of_ansible(sources, escalation, forks, timeout_s)
        yield tracked(reader.stream(hosts, list(catalogue())), len(hosts), "reading hosts"), hosts
        return
    if facts_file is None:
        hosts = wiring.inventory(sources, limit, sudo.escalation())
        stream = wiring.collector(forks, timeout_s).stream(hosts, list(catalogue()))
        yield tracked(stream, len(hosts), "reading hosts"), hosts
        return
    if not connections:
        if limit != "all" and not sources:
            raise UsageError("--limit needs an inventory", hint="give -i INVENTORY beside --facts")
        stored = read_facts(facts_file)
        hosts = wiring.inventory(sources, limit) if sources else []
        yield (_those_of(hosts, stored) if sources else stored), hosts
        return
    if not sources:
        raise UsageError(
            "a plan records how its hosts are reached, and facts do not hold that",
            hint="give -i INVENTORY beside --facts",
        )
    hosts = wiring.inventory(sources, limit, sudo.without_password())
    yield _those_of(hosts, read_facts(facts_file)), hosts


def _those_of(hosts: list[Host], collected: Iterable[Collected]) -> Iterator[Collected]:
    missing = {host.name for host in hosts}
    for one in collected:
        if one.host in missing:
            missing.discard(one.host)
            yield one
    for name in sorted(missing):
        yield Unread(host=name, error="the facts file does not hold it", hint="tcptune facts")


def _tell(unread: Iterable[Unread]) -> None:
    for one in unread:
        typer.secho(visible(f"? {one.host}  could not be read: {one.error}"), fg="red", err=True)
        if one.hint:
            typer.echo(f"    try: {one.hint}", err=True)
