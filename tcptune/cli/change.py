"""Commands that change hosts: apply, confirm, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tcptune import __version__
from tcptune.adapters.files import read_plan
from tcptune.cli import rollout, wiring
from tcptune.cli.console import deliver, told
from tcptune.cli.options import (
    AskBecomePass,
    Become,
    BecomePasswordFile,
    BecomeUser,
    ConfirmWithin,
    Events,
    Forks,
    Format,
    FormatOption,
    Hosts,
    Inventory,
    Output,
    PlanArg,
    PolicyOption,
    Reach,
    RunArg,
    Timeout,
)
from tcptune.cli.sudo import Sudo
from tcptune.domain.hosts import Escalation, Host
from tcptune.errors import UsageError

if TYPE_CHECKING:
    from tcptune.adapters.journal.store import SqlJournal
    from tcptune.domain.changes import Plan
    from tcptune.domain.runs import Run
    from tcptune.workflows.change import Changer

_PANEL = "Change hosts"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (apply, confirm, extend, rollback):
        app.command(rich_help_panel=_PANEL)(command)


def apply(
    plan: PlanArg,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    auto_confirm: Annotated[
        bool, typer.Option("--auto-confirm", help="Keep the change at once instead of holding it.")
    ] = False,
    skip_stale: Annotated[
        bool, typer.Option("--skip-stale", help="Leave out hosts that have moved since, and change the others.")
    ] = False,
    allow_risk: Annotated[
        list[str], typer.Option("--allow-risk", help="Setting whose change may strand a host; as the plan says.")
    ] = [],  # noqa: B006
    confirm_within: ConfirmWithin = "10m",
    policy: PolicyOption = None,
    events: Events = None,
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
    """Apply PLAN at runtime, and hold it until it is confirmed. CHANGES HOSTS.

    Every host is read first; if one has moved since the plan was made, nothing is changed anywhere. Each host takes the
    change back by itself, whatever became of the network or of us, unless `tcptune confirm` comes in time. So does a
    reboot: nothing that a boot reads is written until then. Without -i hosts are reached as when the plan was made;
    passwords are never in a plan, so give -i where the inventory has some.

    With --policy the hosts are changed in waves. Each is watched, and the next begins only where its gates have passed;
    a wave that fails is taken back, and kept once it has passed, as the policy says. Who presses Ctrl-C decides about
    the wave that is under way.

    Exits 0, 1 if another run works on one of the hosts, 2 if a danger is not allowed, 4 if a host could not be read or
    changed, 5 if a host has moved since the plan was made; with --auto-confirm, 10 and 4 as confirm. With --policy also
    3 if the policy is wrong, 6 if a gate failed or too many hosts did, 10 if a person has to decide, 130 if it was
    stopped.

      tcptune apply plan.json && tcptune confirm last
      tcptune apply plan.json --policy standard -i hosts.yml
    """
    from tcptune.workflows.change import new_run

    if policy is None and events is not None:
        raise UsageError("--events tells of waves, and without --policy there are none", hint="--policy standard")
    if policy is not None and auto_confirm:
        raise UsageError("--auto-confirm and --policy: the policy says who keeps the change", hint="leave one out")
    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    revert_after_s = wiring.seconds(confirm_within)
    read = read_plan(plan)
    escalation = sudo.escalation() if read.hosts else sudo.without_password()
    hosts = wiring.hosts_of(read, inventory, limit, escalation)
    sudo.tell_unused(hosts)
    if not hosts:
        typer.echo("the plan changes nothing", err=True)
        return
    run = new_run(
        read, run_id=wiring.run_id(), operator=wiring.operator(), tool_version=__version__, started_at=wiring.now()
    )
    names = {host.name for host in hosts}
    run = run.model_copy(update={"results": tuple(r for r in run.results if r.host in names)})
    journal = wiring.journal()
    changes = changer(journal, inventory, escalation, timeout)
    if policy is not None:
        code = _in_waves(
            changes, journal, read, hosts, run, policy, skip_stale, allow_risk, revert_after_s, events, forks, timeout
        )
        rollout.deliver_story(journal, run.run_id, format, output)
        raise typer.Exit(code)
    with wiring.claims(journal).alone(changes, run, hosts) as alone:
        done = alone.apply(
            wiring.collector(forks, timeout),
            read,
            hosts,
            run,
            skip_stale=skip_stale,
            confirm=auto_confirm,
            allow_risk=allow_risk,
            revert_after_s=revert_after_s,
        )
    deliver(done, format, output)
    _exit(done, hosts)


def confirm(
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
    """Keep what RUN changed: write the files that the next boot reads. CHANGES HOSTS.

    Each host's files are read again first: what wins over ours by now is told with its result.

    Exits 0, 10 if a change is kept and something wins over it at the next boot, 4 if a host could not be reached, its
    files not written or its next boot not judged, 2 if no host of the run is held, 1 if somebody else works on one.

      tcptune confirm last
    """
    from tcptune.domain.runs import HostState
    from tcptune.workflows.rollout.session import settle_waves

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    journal = wiring.journal()
    found, plan = journal.find(run)
    escalation = sudo.escalation()
    hosts = wiring.hosts_of(plan, inventory, limit, escalation)
    sudo.tell_unused(hosts)
    hosts = [host for host in hosts if any(r.host == host.name for r in found.results)]
    held = [host for host in hosts if found.result(host.name).state is HostState.HELD]
    changes = changer(journal, inventory, escalation, timeout)
    with wiring.claims(journal).alone(changes, found, hosts, waits=True) as alone:
        # Whoever had the hosts until now may have moved them.
        found = journal.find(found.run_id)[0]
        done = alone.confirm(wiring.collector(forks, timeout), found, plan, hosts)
        settle_waves(journal.rollouts, done, wiring.now)
    deliver(done, format, output)
    _exit(done, held)


def extend(
    run: RunArg,
    time: Annotated[
        str, typer.Argument(help="How long from now: 90s, 10m or 2h. Never less than it has.", metavar="TIME")
    ],
    inventory: Inventory = [],  # noqa: B006
    limit: Hosts = None,
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    timeout: Reach = 30,
) -> None:
    """Give the held hosts of RUN more time before they take it back by themselves. CHANGES HOSTS.

    Exits 0, 4 if a host could not be reached or had taken it back already, 2 if no host of the run is held, 1 if
    somebody else works on one.

      tcptune extend last 30m
    """
    from tcptune.domain.runs import HostState

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    time_s = wiring.seconds(time)
    if time_s is None:
        raise UsageError("a held run cannot wait for ever", hint="tcptune confirm RUN, or a time such as 30m")
    journal = wiring.journal()
    found, plan = journal.find(run)
    escalation = sudo.escalation()
    hosts = wiring.hosts_of(plan, inventory, limit, escalation)
    sudo.tell_unused(hosts)
    hosts = [host for host in hosts if any(r.host == host.name for r in found.results)]
    held = [host for host in hosts if found.result(host.name).state is HostState.HELD]
    changes = changer(journal, inventory, escalation, timeout)
    with wiring.claims(journal).alone(changes, found, hosts, waits=True) as alone:
        done = alone.extend(journal.find(found.run_id)[0], plan, hosts, time_s)
    deliver(done, format, output)
    _exit(done, held)


def rollback(
    run: RunArg,
    inventory: Inventory = [],  # noqa: B006
    limit: Hosts = None,
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    force_key: Annotated[
        list[str], typer.Option("--force-key", help="Restore this setting even if somebody else changed it since.")
    ] = [],  # noqa: B006
    events: Events = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    timeout: Reach = 30,
) -> None:
    """Take RUN back: values and files as each host's own record says they were. CHANGES HOSTS.

    What somebody else changed since is named and left, unless --force-key says otherwise. The claim of a controller
    that may have died on another machine gets a minute to run out.

    Exits 0, 4 if a host could not be reached or something was left, 2 if no host holds a change of the run, 1 if
    somebody else works on one.

      tcptune rollback last --limit 'web*'
    """
    from tcptune.domain.runs import CHANGED_STATES
    from tcptune.workflows.change import check_keys

    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    journal = wiring.journal()
    found, plan = journal.find(run)
    escalation = sudo.escalation()
    hosts = wiring.hosts_of(plan, inventory, limit, escalation)
    sudo.tell_unused(hosts)
    hosts = [host for host in hosts if any(r.host == host.name for r in found.results)]
    changed = [host for host in hosts if found.result(host.name).state in CHANGED_STATES]
    changes = changer(journal, inventory, escalation, timeout)
    # A controller that died when the last host was back has not said so of its waves.
    if (changed or found.at_work is not None) and journal.rollouts.rollout(found.run_id) is not None:
        check_keys(found, plan, force_key)
        rolling = rollout.again(journal, found.run_id, None, lambda _plan: hosts)
        rollout.take_back(
            changes,
            journal,
            rolling,
            force_key,
            end=limit is None,
            events=events,
            forks=min(len(hosts), 16),
            timeout_s=timeout,
        )
        rollout.deliver_story(journal, found.run_id, format, output)
        return _exit(journal.find(found.run_id)[0], changed)
    if events is not None and journal.rollouts.rollout(found.run_id) is None:
        raise UsageError(f"--events tells of waves, and run {found.run_id} has none", hint="leave it out")
    check_keys(found, plan, force_key)
    with wiring.claims(journal).alone(changes, found, hosts, waits=True) as alone:
        found = journal.find(found.run_id)[0]
        done = alone.roll_back(wiring.collector(1, timeout), found, plan, hosts, force_key)
    deliver(done, format, output)
    return _exit(done, changed)


def changer(journal: SqlJournal, inventory: list[str], escalation: Escalation, timeout_s: float) -> Changer:
    """Return what changes hosts."""
    from tcptune.knowledge.catalogue import catalogue
    from tcptune.workflows.change import Changer

    return Changer(
        wiring.applier(inventory, escalation, timeout_s),
        journal,
        wiring.now,
        told,
        catalogue(),
        wiring.operator(),
    )


def _in_waves(
    changes: Changer,
    journal: SqlJournal,
    plan: Plan,
    hosts: list[Host],
    run: Run,
    policy: str,
    skip_stale: bool,
    allow_risk: list[str],
    confirm_within_s: int | None,
    events: str | None,
    forks: int,
    timeout_s: float,
) -> int:
    from tcptune.adapters.policies import read_policy
    from tcptune.planning.waves import cut_waves
    from tcptune.workflows.rollout.session import recorded_waves
    from tcptune.workflows.rollout.state import Rolling

    wanted, text = read_policy(policy)
    by_name = {host.name: host for host in hosts}
    waves = cut_waves(plan, wanted, {host.name: host.declared for host in hosts}, by_name)
    return rollout.roll_out(
        changes,
        journal,
        Rolling(run, plan, wanted, by_name, recorded_waves(waves), confirm_within_s),
        text,
        skip_stale=skip_stale,
        allow_risk=allow_risk,
        events=events,
        forks=forks,
        timeout_s=timeout_s,
    )


def _exit(run: Run, hosts: list[Host]) -> None:
    from tcptune.planning.rollout import exit_code

    if code := exit_code(run.result(host.name) for host in hosts):
        raise typer.Exit(code)
