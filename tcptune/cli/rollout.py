"""What the commands about rollouts share: who is told, who may interrupt, and the story at the end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tcptune.cli import wiring
from tcptune.cli.console import Stopped, deliver, painted
from tcptune.cli.options import Format
from tcptune.errors import UsageError

if TYPE_CHECKING:
    from tcptune.adapters.journal.store import SqlJournal
    from tcptune.domain.hosts import Host
    from tcptune.domain.journal import HostLock
    from tcptune.domain.rollout import Policy
    from tcptune.domain.story import RolloutStory
    from tcptune.workflows.change import Changer
    from tcptune.workflows.rollout.session import Session
    from tcptune.workflows.rollout.state import Outside, Rolling

_SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class Interruptions:
    """The first signal is noted, and the rollout comes to a safe point; Ctrl-C or SIGTERM after it ends it at once.

    SIGHUP never does: a session that is lost sends it twice, from the terminal and from the shell.
    """

    def __init__(self) -> None:
        self.why: str | None = None

    def noted(self) -> str | None:
        """Return what came, once."""
        why, self.why = self.why, None
        return why

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Note signals for as long as the block lasts."""
        came = 0

        def note(number: int, _frame: object) -> None:
            nonlocal came
            came += 1
            if came > 1:
                if number == signal.SIGHUP:
                    return
                raise Stopped
            self.why = _SIGNALS[signal.Signals(number)]
            _say(f"\n{self.why}: the step that is under way is finished first; once more ends it at once\n")

        before = {number: signal.signal(number, note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def outside(events: str | None, policy: Policy) -> Iterator[Outside]:
    """Give what surrounds a rollout: who is told of it, Ctrl-C, and the person at a terminal."""
    from tcptune.adapters.events import observers
    from tcptune.workflows.rollout.state import Outside

    interruptions = Interruptions()
    told = observers(events=events, notify=policy.notify, environment=os.environ, clock=wiring.now, warn=_warn)
    with told, interruptions.caught():
        yield Outside(wiring.now, wiring.elapsed, time.sleep, told.tell, interruptions.noted, _ask, wiring.operator())


def _warn(line: str) -> None:
    _say(painted(line, typer.colors.YELLOW) + "\n")


def _say(text: str) -> None:
    """Write to standard error. A terminal that is gone is no reason to stop: what matters is in the journal."""
    with suppress(OSError):
        typer.echo(text, nl=False, err=True)
        sys.stderr.flush()


def _ask(question: str, choices: Sequence[str]) -> str | None:
    """Ask at the terminal. None where there is none, or it has ended."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    for _ in range(3):
        listed = ", ".join(f"{at}: {choice}" for at, choice in enumerate(choices, start=1))
        _say(f"{question} {listed}? ")
        try:
            said = sys.stdin.readline()
        except OSError:
            return None  # the terminal went away while we asked
        if not said:
            return None
        if said.strip() in {str(at) for at in range(1, len(choices) + 1)}:
            return choices[int(said) - 1]
    return None


def session(changer: Changer, journal: SqlJournal, around: Outside, forks: int, timeout_s: float) -> Session:
    """Return what begins, takes up and takes back rollouts."""
    from tcptune.domain.events import Waiting
    from tcptune.workflows.claims import waited_for
    from tcptune.workflows.rollout.session import Session

    def waits(locks: Sequence[HostLock]) -> None:
        until = max(lock.until for lock in locks)
        around.emit(
            Waiting(at=around.clock(), run=locks[0].run_id, waits_for="lease", why=waited_for(locks), until=until)
        )

    return Session(
        changer,
        wiring.watch(forks, timeout_s),
        journal.rollouts,
        wiring.claims(journal, waits),
        wiring.collector(forks, timeout_s),
        around,
    )


def again(journal: SqlJournal, run_id: str, confirm_within_s: int | None, hosts: HostsOf) -> Rolling:
    """Return a rollout as the journal has it. Raises UsageError for a run that was none."""
    from tcptune.adapters.policies import recorded_policy
    from tcptune.workflows.rollout.session import rolling_again

    run, plan = journal.find(run_id)
    found = journal.rollouts.rollout(run.run_id)
    if found is None:
        raise UsageError(
            f"run {run.run_id} was applied without a policy, so it has no waves",
            hint=f"tcptune confirm {run.run_id}, or tcptune rollback {run.run_id}",
        )
    policy = recorded_policy(found.policy.text, f"the policy of run {run.run_id}")
    named = {result.host for result in run.results}
    reached = [host for host in hosts(plan) if host.name in named]
    return rolling_again(run, plan, found, policy, reached, confirm_within_s)


if TYPE_CHECKING:
    from tcptune.domain.changes import Plan

    HostsOf = Callable[[Plan], Sequence[Host]]


def story(journal: SqlJournal, run_id: str) -> RolloutStory | None:
    """Return the story of a rollout as the journal tells it; None for a run that was none."""
    from tcptune.adapters.policies import recorded_policy
    from tcptune.planning.afterwards import with_afterwards
    from tcptune.planning.rollout import story_of

    run, plan = journal.find(run_id)
    found = journal.rollouts.rollout(run.run_id)
    if found is None:
        return None
    policy = recorded_policy(found.policy.text, f"the policy of run {run.run_id}")
    return story_of(with_afterwards(run, plan), policy, found.waves, journal.rollouts.samples(run.run_id))


def deliver_story(journal: SqlJournal, run_id: str, format_: Format, output: Path | None) -> None:
    """Render the story of a rollout."""
    told = story(journal, run_id)
    assert told is not None  # noqa: S101  # whoever calls has just worked on its waves
    deliver(told, format_, output)


def roll_out(
    changer: Changer,
    journal: SqlJournal,
    rolling: Rolling,
    policy_text: str,
    *,
    skip_stale: bool,
    allow_risk: Sequence[str],
    events: str | None,
    forks: int,
    timeout_s: float,
) -> int:
    """Begin a rollout. Return the exit code."""
    with outside(events, rolling.policy) as around, _working(journal, around, rolling.run.run_id):
        found = session(changer, journal, around, forks, timeout_s)
        return found.begin(rolling, policy_text, skip_stale=skip_stale, allow_risk=allow_risk)[1]


def take_back(
    changer: Changer,
    journal: SqlJournal,
    rolling: Rolling,
    force_keys: Sequence[str],
    *,
    end: bool,
    events: str | None,
    forks: int,
    timeout_s: float,
) -> int:
    """Take a rollout back on the hosts that it is asked for. Return the exit code."""
    with outside(events, rolling.policy) as around, _working(journal, around, rolling.run.run_id):
        found = session(changer, journal, around, forks, timeout_s)
        return found.take_back(rolling, list(rolling.hosts), force_keys, end=end)[1]


def resume(
    changer: Changer, journal: SqlJournal, rolling: Rolling, *, events: str | None, forks: int, timeout_s: float
) -> int:
    """Take a rollout up again. Return the exit code."""
    with outside(events, rolling.policy) as around, _working(journal, around, rolling.run.run_id):
        return session(changer, journal, around, forks, timeout_s).resume(rolling)[1]


@contextmanager
def _working(journal: SqlJournal, around: Outside, run_id: str) -> Iterator[None]:
    """Tell who looks on where the journal's server is waited for; say the one command, where it ends at once."""
    from tcptune.domain.events import Waiting

    def waits(why: str, seconds: float) -> None:
        now = wiring.now()
        until = now + timedelta(seconds=seconds)
        around.emit(Waiting(at=now, run=run_id, waits_for="database", why=why, until=until))

    before, journal.database.on_wait = journal.database.on_wait, waits
    try:
        yield
    except Stopped:
        _say(f"finish it: tcptune runs resume {run_id}   undo it: tcptune rollback {run_id}\n")
        raise
    finally:
        # The view is closed by then, and whoever waits for the story sees nothing of it.
        journal.database.on_wait = before
