"""Apply, confirm and roll back: carry a plan to its hosts and record every step."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from tcptune.domain.changes import Plan
from tcptune.domain.facts import Unread
from tcptune.domain.hosts import Host
from tcptune.domain.parameters import Parameter
from tcptune.domain.runs import CHANGED_STATES, Act, BootCheck, HostResult, HostState, Run
from tcptune.errors import PlanStale, UsageError
from tcptune.planning.afterwards import with_afterwards
from tcptune.planning.plan import moved
from tcptune.planning.winning import check_at_boot
from tcptune.ports import Applier, HostOutcome, Journal
from tcptune.workflows.collect import Collector, keys_of, sections_of

_NOT_SURE = frozenset({HostState.APPLYING, HostState.BROKEN})
"""States in which the journal cannot say whether the host was changed."""

_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""How long a host is waited for that another process changes right now, such as one whose controller has died."""

Standing = dict[str, HostResult]
"""Host -> where it stands; kept up with every move."""

OnMove = Callable[[HostResult], None]
"""Told of every host that reaches a new state."""


@dataclass(frozen=True)
class Changer:
    """What apply, confirm and roll back share."""

    applier: Applier
    journal: Journal
    clock: Callable[[], datetime]
    on_move: OnMove
    parameters: Mapping[str, Parameter]
    operator: str
    """Login name and machine of who is at work."""
    pause: Callable[[float], None] = time.sleep

    def apply(
        self,
        collector: Collector,
        plan: Plan,
        hosts: Sequence[Host],
        run: Run,
        *,
        skip_stale: bool = False,
        confirm: bool = False,
        allow_risk: Sequence[str] = (),
        revert_after_s: int | None = None,
    ) -> Run:
        """Apply a plan and return how it went, host by host.

        A host that is not confirmed within `revert_after_s` takes the change back by itself.

        Raises UsageError, before any host is touched, where the plan has a danger on these hosts that `allow_risk`
        does not name. Every host is read first. Raises PlanStale, with nothing changed anywhere, where one has moved
        since the plan was made and `skip_stale` does not say that the others may go on. The module checks again on the
        host, under the host's lock, before it writes.
        """
        lost, stale = self.look(collector, plan, hosts, allow_risk, skip_stale=skip_stale)
        self.journal.begin(run, plan)
        by_host = {result.host: result for result in run.results}
        going = self.leave_out(run, by_host, hosts, lost, stale)
        self.change(run, plan, by_host, going, revert_after_s)
        if confirm:
            held = [host for host in going if by_host[host.name].state is HostState.HELD]
            self.keep(collector, run, plan, by_host, held)
        return self.ended(run, by_host)

    def confirm(self, collector: Collector, run: Run, plan: Plan, hosts: Sequence[Host]) -> Run:
        """Keep the changes of the hosts that are held. Raises UsageError where none is, or one is being rolled back.

        What a boot reads there is looked at again before: what wins over our files by now is told with the host.
        """
        by_host = {result.host: result for result in run.results}
        self.keep(collector, run, plan, by_host, _held(run, by_host, hosts))
        return self.ended(run, by_host)

    def extend(self, run: Run, plan: Plan, hosts: Sequence[Host], revert_after_s: int) -> Run:
        """Give the hosts that are held more time. Raises UsageError where none is, or one is being rolled back."""
        by_host = {result.host: result for result in run.results}
        self.give_time(run, plan, by_host, _held(run, by_host, hosts), revert_after_s)
        return self.ended(run, by_host)

    def roll_back(
        self, collector: Collector, run: Run, plan: Plan, hosts: Sequence[Host], force_keys: Sequence[str]
    ) -> Run:
        """Take the changes back on every host that may hold some.

        A host whose record of the run is gone is looked at: where all is as before the plan, nothing is left to do.

        Raises UsageError where none does, or where the plan does not change one of `force_keys`.
        """
        check_keys(run, plan, force_keys)
        by_host = {result.host: result for result in run.results}
        changed = [host for host in hosts if by_host[host.name].state in CHANGED_STATES]
        if not changed:
            raise UsageError(
                f"run {run.run_id}: no host of these holds a change of it",
                hint=f"tcptune runs {run.run_id}",
            )
        self.take_back(collector, run, plan, by_host, changed, force_keys)
        return self.ended(run, by_host)

    def look(
        self,
        collector: Collector,
        plan: Plan,
        hosts: Sequence[Host],
        allow_risk: Sequence[str] | None = None,
        *,
        skip_stale: bool = True,
    ) -> tuple[dict[str, Unread], dict[str, str]]:
        """Return which hosts cannot be read, and which have moved since the plan was made, with the reason.

        Raises UsageError where the plan has a danger on these hosts that `allow_risk` does not name, and PlanStale
        where one has moved and `skip_stale` does not say that the others may go on.
        """
        if allow_risk is not None:
            _check_allowed(plan, hosts, allow_risk)
        lost: dict[str, Unread] = {}
        stale: dict[str, str] = {}
        for one in collector.stream(hosts, keys_of(plan), sections_of(plan, boot=False)):
            if isinstance(one, Unread):
                lost[one.host] = one
            elif why := moved(plan.cohort_of(one.host), one):
                stale[one.host] = why
        if stale and not skip_stale:
            raise _stale(stale, plan)
        return lost, stale

    def leave_out(
        self, run: Run, by_host: Standing, hosts: Sequence[Host], lost: Mapping[str, Unread], stale: Mapping[str, str]
    ) -> list[Host]:
        """Record the hosts that cannot be changed, and return the others."""
        for host in hosts:
            if unread := lost.get(host.name):
                self._move(run, by_host, host.name, HostState.UNREACHABLE, error=unread.error, hint=unread.hint)
            elif why := stale.get(host.name):
                self._move(run, by_host, host.name, HostState.STALE, error=why, hint="tcptune plan")
        return [host for host in hosts if host.name not in lost and host.name not in stale]

    def change(
        self, run: Run, plan: Plan, by_host: Standing, hosts: Sequence[Host], revert_after_s: int | None
    ) -> None:
        """Change hosts at runtime, and hold them. A host that holds the change of this run already stays as it is."""
        for host in hosts:
            self._move(run, by_host, host.name, HostState.APPLYING)
        self._carry(run, by_host, hosts, lambda some: self.applier.apply(run.run_id, plan, some, revert_after_s))

    def give_time(self, run: Run, plan: Plan, by_host: Standing, held: Sequence[Host], revert_after_s: int) -> None:
        """Give held hosts at least so many seconds from now."""
        self._start(run, by_host, Act.EXTEND, held)
        self._carry(run, by_host, held, lambda some: self.applier.extend(run.run_id, plan, some, revert_after_s))

    def take_back(
        self,
        collector: Collector,
        run: Run,
        plan: Plan,
        by_host: Standing,
        changed: Sequence[Host],
        force_keys: Sequence[str] = (),
    ) -> None:
        """Take the changes back on hosts that may hold some. One that has no record of the run is looked at.

        Where it is as before, the run never began there, or has been taken back: either way nothing is left to do.
        """
        # Where the run may never have begun, what is still on its way there must not begin after the way back.
        unsure = [host.name for host in changed if by_host[host.name].state in _NOT_SURE]
        self._start(run, by_host, Act.ROLLBACK, changed)

        def back(some: Sequence[Host]) -> Iterator[HostOutcome]:
            at = {host.name: host for host in some}
            for outcome in self.applier.roll_back(run.run_id, plan, some, force_keys, unsure):
                yield _without_record(collector, plan, at[outcome.host], outcome) if outcome.no_record else outcome

        self._carry(run, by_host, changed, back)

    def keep(self, collector: Collector, run: Run, plan: Plan, by_host: Standing, held: Sequence[Host]) -> None:
        """Confirm hosts, and note with each what a boot would make of it."""
        seen: dict[str, BootCheck] = {}
        for one in collector.stream(held, keys_of(plan), sections_of(plan, boot=True)):
            if isinstance(one, Unread):
                seen[one.host] = BootCheck(unknown=(f"what wins at the next boot was not looked at: {one.error}",))
            else:
                seen[one.host] = check_at_boot(one, plan.cohort_of(one.host), self.parameters)
        self._start(run, by_host, Act.CONFIRM, held)
        self._carry(run, by_host, held, lambda some: self.applier.confirm(run.run_id, plan, some), seen)

    def _start(self, run: Run, by_host: Standing, act: Act, hosts: Sequence[Host]) -> None:
        self.journal.start(run.run_id, act, [host.name for host in hosts], by=self.operator, at=self.clock())
        for host in hosts:
            by_host[host.name] = by_host[host.name].model_copy(update={"doing": act})

    def _carry(
        self,
        run: Run,
        by_host: Standing,
        hosts: Sequence[Host],
        act: Callable[[Sequence[Host]], Iterator[HostOutcome]],
        seen: Mapping[str, BootCheck] = MappingProxyType({}),
    ) -> None:
        """Act on the hosts and record the outcomes. Those that somebody else changes right now are asked again."""
        waiting = list(hosts)
        for pause_s in (*_PAUSES_S, None):
            busy = set()
            for outcome in act(waiting):
                again = outcome.busy and pause_s is not None
                if again:
                    busy.add(outcome.host)
                self._record(run, by_host, outcome, again=again, at_boot=seen.get(outcome.host))
            waiting = [host for host in waiting if host.name in busy]
            if not waiting or pause_s is None:
                return
            self.pause(pause_s)

    def _record(
        self,
        run: Run,
        by_host: Standing,
        outcome: HostOutcome,
        *,
        again: bool,
        at_boot: BootCheck | None,
    ) -> None:
        before = by_host[outcome.host]
        # A confirm or rollback that did not get through leaves the host where it was, with a note.
        stays = outcome.state is HostState.BROKEN and (before.state is not HostState.APPLYING or outcome.busy)
        # Whoever changes the host right now may be what is left of a controller that died at this very run.
        stays = stays or (again and outcome.busy)
        state = before.state if stays else outcome.state
        self._move(
            run,
            by_host,
            outcome.host,
            state,
            replaced=outcome.replaced,
            error=outcome.error,
            hint=outcome.error and outcome.hint,
            deadline=outcome.deadline,
            at_boot=at_boot,
            doing=before.doing if again else None,
            warnings=outcome.warnings,
        )

    def _move(
        self,
        run: Run,
        by_host: Standing,
        host: str,
        state: HostState,
        *,
        replaced: dict[str, str] | None = None,
        error: str | None = None,
        hint: str | None = None,
        deadline: datetime | None = None,
        at_boot: BootCheck | None = None,
        doing: Act | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        before = by_host[host]
        after = HostResult(
            host=host,
            cohort=before.cohort,
            state=state,
            # What the apply replaced is what a rollback restores: what a rollback replaced does not count.
            replaced=before.replaced or replaced or {},
            # An attempt that did not get through leaves the timer as it was.
            deadline=(deadline or before.deadline) if state is HostState.HELD else None,
            # Whoever looks at the run later still has to know; a host that gives the change back has nothing to lose.
            at_boot=((at_boot if at_boot and at_boot.said else None) or before.at_boot)
            if state is HostState.CONFIRMED
            else None,
            doing=Act.APPLY if state is HostState.APPLYING and error is None else doing,
            error=error,
            hint=re.sub(r"\bRUN\b", run.run_id, hint) if hint else None,
            # A host that is asked again says the same again.
            warnings=tuple(dict.fromkeys([*before.warnings, *warnings])),
        )
        note = "; ".join([*([error] if error else []), *warnings]) if warnings else ""
        self.journal.move(run.run_id, after, at=self.clock(), note=note)
        by_host[host] = after
        self.on_move(after)

    def ended(self, run: Run, by_host: Standing) -> Run:
        """Record that nobody works on the run any more. Return it as the journal has it, with what the hosts said."""
        self.journal.end(run.run_id, at=self.clock())
        found, plan = self.journal.find(run.run_id)
        results = tuple(r.model_copy(update={"warnings": by_host[r.host].warnings}) for r in found.results)
        return with_afterwards(found.model_copy(update={"results": results}), plan)


def _without_record(collector: Collector, plan: Plan, host: Host, outcome: HostOutcome) -> HostOutcome:
    """Return what a look at a host says of a run that it has no record of any more."""
    [found] = collector.stream([host], keys_of(plan), sections_of(plan, boot=False))
    if isinstance(found, Unread):
        return replace(outcome, error=f"{outcome.error}, and it could not be read: {found.error}", hint=found.hint)
    if why := moved(plan.cohort_of(host.name), found):
        hint = "put it back by hand, or reboot where nothing was confirmed; then tcptune rollback RUN records it"
        return replace(outcome, error=f"{outcome.error}, and it is not as before: {why}", hint=hint)
    return HostOutcome(host.name, HostState.ROLLED_BACK, {}, warnings=outcome.warnings)


def _held(run: Run, by_host: Standing, hosts: Sequence[Host]) -> list[Host]:
    """Return the hosts that are held. Raises UsageError where none is, or one may be rolled back at any moment."""
    held = [host for host in hosts if by_host[host.name].state is HostState.HELD]
    if not held:
        raise UsageError(f"run {run.run_id}: no host of these is held", hint=f"tcptune runs {run.run_id}")
    backwards = [host.name for host in held if by_host[host.name].doing is Act.ROLLBACK]
    if backwards:
        raise UsageError(
            f"run {run.run_id}: a rollback was begun on {', '.join(backwards)}, and nobody knows how far it came",
            hint=f"tcptune rollback {run.run_id}",
        )
    return held


def check_keys(run: Run, plan: Plan, force_keys: Sequence[str]) -> None:
    """Raise UsageError where the plan of a run does not change one of these settings or files."""
    known = {c.key for cohort in plan.cohorts for c in cohort.changes}
    known |= {f.path for cohort in plan.cohorts for f in cohort.files}
    if unknown := sorted(set(force_keys) - known):
        raise UsageError(f"run {run.run_id} does not change {', '.join(unknown)}", hint=", ".join(sorted(known)))


def new_run(plan: Plan, *, run_id: str, operator: str, tool_version: str, started_at: datetime) -> Run:
    """Return the run that applies a plan, with every host still to do."""
    return Run(
        run_id=run_id,
        plan_id=plan.plan_id,
        profile=plan.profile,
        started_at=started_at,
        ended_at=None,
        operator=operator,
        tool_version=tool_version,
        results=tuple(
            HostResult(host=host, cohort=cohort.name, state=HostState.PLANNED)
            for cohort in plan.cohorts
            for host in cohort.hosts
        ),
    )


def _check_allowed(plan: Plan, hosts: Sequence[Host], allowed: Sequence[str]) -> None:
    named = {host.name for host in hosts}
    changes = [change for cohort in plan.cohorts if named & set(cohort.hosts) for change in cohort.changes]
    dangers = {change.key: change.danger for change in changes if change.danger and change.key not in allowed}
    if dangers:
        told = "\n  ".join(f"{key}: {why}" for key, why in dangers.items())
        raise UsageError(
            f"{len(dangers)} of the changes can strand a host; nothing was changed anywhere\n  {told}",
            hint=" ".join(f"--allow-risk {key}" for key in dangers),
        )


def _stale(stale: dict[str, str], plan: Plan) -> PlanStale:
    lines = [f"{host}: {why}" for host, why in sorted(stale.items())]
    head = f"{len(stale)} of {len(plan.hosts)} hosts moved since the plan was made; nothing was changed anywhere"
    return PlanStale(
        "\n  ".join([head, *lines]),
        hint="make the plan again, or leave these hosts out with --skip-stale",
    )
