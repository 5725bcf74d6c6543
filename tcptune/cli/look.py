"""Commands that look at hosts and plans, and change nothing: facts, audit, plan, show, render."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tcptune.adapters.files import facts_lines, read_captured, read_facts, read_plan, write_whole
from tcptune.cli import wiring
from tcptune.cli.console import deliver, emit, note, tracked
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    ConfirmWithin,
    Evidence,
    Facts,
    FactsFormat,
    FactsFormatOption,
    Forks,
    Format,
    FormatOption,
    Inventory,
    Kernel,
    Limit,
    Load,
    Output,
    PlanArg,
    Profiles,
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
from tcptune.probes import EVIDENCE, PROBES
from tcptune.reports.layout import visible

if TYPE_CHECKING:
    from tcptune.domain.findings import FleetAudit, HostAudit

_PANEL = "Look (changes nothing)"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (facts, audit, plan, show, render):
        app.command(rich_help_panel=_PANEL)(command)


def facts(
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    limit: Limit = "all",
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    facts: Facts = None,
    evidence: Evidence = False,
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
    With --evidence a host is also asked for its sockets and the programs that hold them, for memory, drops and the
    kernel's log: two such files are what a diagnosis compares.

    Exits 0, or 4 if a host could not be read.

      tcptune facts -i hosts.yml --limit 'web*' -o facts.jsonl
      tcptune facts -i hosts.yml --evidence -o before.jsonl
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

    with _collected(inventory, limit, facts, forks, timeout, sudo, via=via, evidence=evidence) as (stream, _):
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
    via: ViaOption = Via.SSH,
) -> None:
    """Write the plan that brings hosts to PROFILE, and show it. Changes nothing.

    Hosts whose changes are identical share a cohort. What cannot be changed is listed with the reason. Harm that the
    changes would do together, or with what runs on a host, is told beside it; it is not part of the plan.

    Exits 0 if there is nothing to change, 10 if there is, 4 if a host could not be read or judged.

      tcptune plan web-frontend -i hosts.yml -o plan.json
      tcptune plan web-frontend -i pods.yml --via ansible -o plan.json
    """
    from tcptune.reports.concerns import harm
    from tcptune.workflows.plan import plan as make

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    wanted = wiring.profile([profile, *more], waivers)
    given = wiring.load(load, wanted)
    audits: list[HostAudit] = []
    with _collected(inventory, limit, facts, forks, timeout, sudo, connections=True, via=via) as (collected, hosts):
        declared = wiring.declared(hosts, given)
        made = make(collected, hosts, wanted, catalogue(), wiring.now(), declared=declared, audited=audits.append)
    if output is not None:
        write_whole(output, [made.model_dump_json(indent=2), "\n"])
        typer.echo(f"wrote {output}", err=True)
    deliver(made, format, None)
    if elsewhere := [name for name, connection in made.hosts.items() if connection.kind == "plugin"]:
        typer.echo(
            f"{len(elsewhere)} of these hosts only Ansible reaches: `tcptune render` the plan for them", err=True
        )
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
    evidence: bool = False,
) -> Iterator[tuple[Iterable[Collected], list[Host]]]:
    """Yield facts from a file or from hosts, and the hosts where the caller needs to know how they are reached."""
    if evidence and facts_file is not None:
        raise UsageError("--evidence is read from hosts, and --facts reads none", hint="leave one out")
    if evidence and via is Via.ANSIBLE:
        raise UsageError("--evidence needs tcptune's own connection: it does not go with --via ansible")
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
        sudo.tell_unused(hosts)
        sections = (*PROBES, *EVIDENCE) if evidence else PROBES.keys()
        stream = wiring.collector(forks, timeout_s).stream(hosts, list(catalogue()), sections)
        yield tracked(stream, len(hosts), "reading hosts"), hosts
        return
    if not connections:
        if limit != "all" and not sources:
            raise UsageError("--limit needs an inventory", hint="give -i INVENTORY beside --facts")
        stored = read_facts(facts_file)
        hosts = wiring.inventory(sources, limit, any_connection=True) if sources else []
        yield (_those_of(hosts, stored) if sources else stored), hosts
        return
    if not sources:
        raise UsageError(
            "a plan records how its hosts are reached, and facts do not hold that",
            hint="give -i INVENTORY beside --facts",
        )
    hosts = wiring.inventory(sources, limit, sudo.without_password(), any_connection=True)
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
        note(visible(f"? {one.host}  could not be read: {one.error}"), typer.colors.RED)
        if one.hint:
            typer.echo(f"    try: {one.hint}", err=True)
