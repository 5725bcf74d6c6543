"""Commands about runs: list and show them, take a rollout up again, or take all of it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from tcptune.errors import UsageError

if TYPE_CHECKING:
    from tcptune.domain.hosts import Escalation
    from tcptune.workflows.rollout.state import Rolling


class _RunsOrCommand(TyperGroup):
    """`tcptune runs RUN` shows a run: what is no command is one."""

    # Any: which click it is, is a matter of typer's own.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the words name."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


runs = typer.Typer(
    name="runs",
    cls=_RunsOrCommand,
    help="List and show runs; finish a rollout that was stopped, or undo it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@runs.callback()
def _listed(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_runs()


@runs.command("list")
def list_runs(
    format: FormatOption = Format.TERMINAL,  # noqa: A002
    output: Output = None,
) -> None:
    """List the runs of the journal, newest first, 50 at most. Changes nothing.

    Exits 0.

      tcptune runs list
    """
    from tcptune.reports import terminal

    if format is not Format.TERMINAL:
        raise UsageError("the list of runs has no other format yet", hint="tcptune runs show RUN --format json")
    text(terminal.runs(wiring.journal().runs()), output)


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
    found = _again(run, inventory, escalation, wiring.seconds(confirm_within))
    changes = changer(inventory, escalation, timeout)
    code = rollout.resume(changes, found, events=events, forks=forks, timeout_s=timeout)
    rollout.deliver_story(wiring.journal(), found.run.run_id, format, output)
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
    found = _again(run, inventory, escalation, None)
    changes = changer(inventory, escalation, timeout)
    code = rollout.take_back(changes, found, (), end=True, events=events, forks=forks, timeout_s=timeout)
    rollout.deliver_story(wiring.journal(), found.run.run_id, format, output)
    raise typer.Exit(code)


def _again(run: str, inventory: list[str], escalation: Escalation, confirm_within_s: int | None) -> Rolling:
    return rollout.again(
        wiring.journal(),
        run,
        confirm_within_s,
        lambda plan: wiring.hosts_of(plan, inventory, None, escalation),
    )
