"""Commands about runs: list, show, export and forget them; finish a rollout, or take all of it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tcptune.cli import rollout, wiring
from tcptune.cli.change import changer
from tcptune.cli.console import deliver, text
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
    Inventory,
    Output,
    RunArg,
    Timeout,
)
from tcptune.cli.sudo import Sudo

if TYPE_CHECKING:
    from tcptune.adapters.journal.store import SqlJournal
    from tcptune.domain.hosts import Escalation
    from tcptune.workflows.rollout.state import Rolling


class _Runs(TyperGroup):
    """`tcptune runs` lists them, and `tcptune runs RUN` shows one."""

    # Which class a context has depends on the version of typer.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the command that was meant."""
        first = args[0] if args else ""
        if not first or (first.startswith("-") and first not in ctx.help_option_names):
            args = ["list", *args]
        elif not first.startswith("-") and first not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


runs = typer.Typer(
    name="runs",
    cls=_Runs,
    help="List, show, export and forget runs; finish a rollout that was stopped, or undo it.",
    rich_markup_mode=None,
)


@runs.command("list")
def list_runs(
    count: Annotated[int, typer.Option("--count", "-n", help="Most runs to list.", min=1)] = 50,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """List the runs of the journal, newest first. Changes nothing.

    Exits 0.

      tcptune runs list -n 10
    """
    deliver(wiring.journal().keeping.listed(count), format, output)


@runs.command()
def show(run: RunArg, format: FormatOption = Format.TERMINAL, output: Output = None) -> None:  # noqa: A002
    """Show RUN: its hosts, and for a rollout its waves and what stopped it. Changes nothing.

    Exits 0, or 2 if there is no such run.

      tcptune runs show last
    """
    from tcptune.planning.afterwards import with_afterwards

    journal = wiring.journal()
    told = rollout.story(journal, run)
    deliver(with_afterwards(*journal.find(run)) if told is None else told, format, output)


@runs.command()
def export(run: RunArg, output: Output = None) -> None:
    """Write all that the journal knows of RUN as one JSON document. Changes nothing.

    That is the run with its hosts, the plan, the policy, waves and what gates said, claims of hosts, and the log.

    Exits 0, or 2 if there is no such run.

      tcptune runs export last -o run.json
    """
    text(wiring.journal().keeping.record(run).model_dump_json(indent=2) + "\n", output)


@runs.command()
def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Age of the runs to forget: 90d or 12w.", metavar="AGE")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Forget nothing; say what would be.")] = False,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """Forget runs that began longer ago than AGE, with all the journal knows of them. Changes no host.

    A run that is not over stays, with the reason: somebody works on it or died at it, a host is not settled, a wave is
    open, hosts are claimed. A run that is forgotten can be rolled back from its hosts' own records alone.

    Exits 0, or 2 if AGE is none.

      tcptune runs prune --older-than 90d --dry-run
    """
    before = wiring.now() - wiring.age(older_than)
    deliver(wiring.journal().keeping.prune(before, dry_run=dry_run), format, output)


@runs.command()
def resume(
    run: RunArg,
    inventory: Inventory = [],  # noqa: B006  # typer reads the default, nobody changes it
    confirm_within: ConfirmWithin = "10m",
    events: Events = None,
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """Take the rollout RUN up again where it was stopped, is held, or lost its controller. CHANGES HOSTS.

    Hosts that hold the change, or may, are asked first. The gates of the wave that was under way are asked anew, and
    compared with what was read before its change; then the other waves follow. A way back that was begun is finished.

    Exits 0, 1 if another run works on one of the hosts, 2 if nothing is left to do, 4 if a host could not be reached or
    changed, 5 if a host has moved since the plan was made, 6 if a gate failed or too many hosts did, 10 if a person has
    to decide, 130 if it was stopped.

      tcptune runs resume last
    """
    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    escalation = sudo.escalation()
    journal = wiring.journal()
    found = _again(journal, run, inventory, escalation, wiring.seconds(confirm_within))
    sudo.tell_unused(list(found.hosts.values()))
    changes = changer(journal, inventory, escalation, timeout)
    code = rollout.resume(changes, journal, found, events=events, forks=forks, timeout_s=timeout)
    rollout.deliver_story(journal, found.run.run_id, format, output)
    raise typer.Exit(code)


@runs.command()
def abort(
    run: RunArg,
    inventory: Inventory = [],  # noqa: B006
    events: Events = None,
    become: Become = False,
    become_user: BecomeUser = None,
    ask_become_pass: AskBecomePass = False,
    become_password_file: BecomePasswordFile = None,
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
    forks: Forks = 8,
    timeout: Timeout = 30,
) -> None:
    """End the rollout RUN: take back all that is held or confirmed of it; no further wave begins. CHANGES HOSTS.

    Exits 0, 1 if another run works on one of the hosts, 2 if the run has no waves, 4 if a host could not be reached or
    something was left.

      tcptune runs abort last
    """
    sudo = Sudo(become, become_user, ask_become_pass, become_password_file)
    escalation = sudo.escalation()
    journal = wiring.journal()
    found = _again(journal, run, inventory, escalation, None)
    sudo.tell_unused(list(found.hosts.values()))
    changes = changer(journal, inventory, escalation, timeout)
    code = rollout.take_back(changes, journal, found, (), end=True, events=events, forks=forks, timeout_s=timeout)
    rollout.deliver_story(journal, found.run.run_id, format, output)
    raise typer.Exit(code)


def _again(
    journal: SqlJournal, run: str, inventory: list[str], escalation: Escalation, confirm_within_s: int | None
) -> Rolling:
    return rollout.again(
        journal,
        run,
        confirm_within_s,
        lambda plan: wiring.hosts_of(plan, inventory, None, escalation),
    )
