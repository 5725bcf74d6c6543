"""Begin a rollout, take it up again or take it back: claim its hosts, do it, say how it ended, give the hosts back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tcptune.domain import journal as records
from tcptune.domain.changes import Plan
from tcptune.domain.events import EventWave, HostsClaimed, RolloutBegan, RolloutEnded, counted
from tcptune.domain.hosts import Host
from tcptune.domain.journal import Lease, WaveState
from tcptune.domain.rollout import Confirmation, Policy, Waves
from tcptune.domain.runs import Act, HostState, Run
from tcptune.errors import LeaseLost, TcptuneError, UsageError
from tcptune.planning.rollout import exit_code, settled
from tcptune.ports import Heart, Rollouts
from tcptune.workflows.change import Changer
from tcptune.workflows.claims import Claims
from tcptune.workflows.collect import Collector
from tcptune.workflows.gates import Watch
from tcptune.workflows.guard import Guarded
from tcptune.workflows.rollout.engine import TAKEN_BACK, Engine
from tcptune.workflows.rollout.state import Ended, Outside, Rolling
from tcptune.workflows.rollout.steps import Steps

_BEGUN = frozenset({WaveState.CHANGING, WaveState.SOAKING, WaveState.HELD, WaveState.PASSED})


@dataclass(frozen=True)
class Session:
    """What every command about rollouts shares."""

    changer: Changer
    watch: Watch
    rollouts: Rollouts
    claims: Claims
    collector: Collector
    outside: Outside

    def begin(
        self, rolling: Rolling, policy_text: str, *, skip_stale: bool = False, allow_risk: Sequence[str] = ()
    ) -> tuple[Run, int]:
        """Carry a plan to its hosts in waves. Return the run as it stands at the end, and the exit code.

        Raises HostsClaimed, UsageError or PlanStale with nothing begun: where somebody else changes one of the hosts,
        a danger is not allowed, or a host has moved since the plan was made.
        """
        run = rolling.run
        lease = self.claims.take(run, rolling.hosts)
        with self.claims.beating(lease) as heart:
            try:
                self.changer.look(
                    self.collector, rolling.plan, list(rolling.hosts.values()), allow_risk, skip_stale=skip_stale
                )
                policy = records.PolicyRecord(text=policy_text, digest=rolling.policy.digest)
                rollout = records.Rollout(policy=policy, waves=tuple(rolling.waves))
                self.changer.journal.begin(run, rolling.plan, rollout)
            except BaseException:
                # Nothing was begun, even where somebody ends the process: the next one need not wait for the claim.
                self.claims.locks.release(lease)
                raise
            return self._through(rolling, lease, heart, lambda engine: engine.go(), resumed=False)

    def resume(self, rolling: Rolling) -> tuple[Run, int]:
        """Go on with a rollout that was stopped, is held, or whose controller died.

        Hosts that hold the change, or may, are asked first. Raises UsageError where nothing is left to do, and
        HostsClaimed while somebody else changes one of the hosts.
        """
        _check_open(rolling)
        lease = self.claims.take(rolling.run, rolling.hosts)
        with self.claims.beating(lease) as heart:
            rolling = self._take_up(rolling, lease, Act.APPLY, _check_open)
            return self._through(rolling, lease, heart, lambda engine: engine.go(), resumed=True)

    def take_back(
        self, rolling: Rolling, names: Sequence[str], force_keys: Sequence[str] = (), *, end: bool
    ) -> tuple[Run, int]:
        """Take the change back on some hosts of a rollout. With `end` no further wave ever begins.

        The claim of a controller that may have died elsewhere gets the time to run out. Raises HostsClaimed where it
        is renewed: then somebody else changes the hosts.
        """
        interrupted = self.outside.interrupted
        lease = self.claims.take(rolling.run, names, waits=True, enough=lambda: interrupted() is not None)
        with self.claims.beating(lease) as heart:
            rolling = self._take_up(rolling, lease, Act.ROLLBACK)

            def work(engine: Engine) -> Ended:
                return self._back(engine.steps, names, force_keys, end=end)

            return self._through(rolling, lease, heart, work, resumed=True)

    def _back(self, steps: Steps, names: Sequence[str], force_keys: Sequence[str], *, end: bool) -> Ended:
        rolling, why = steps.rolling, f"{TAKEN_BACK}{self.changer.operator}"
        if end:
            # First, so that whoever takes up what dies in the middle goes on with the way back.
            for wave in list(rolling.waves):
                if wave.state in _BEGUN:
                    steps.move(wave.number, WaveState.FAILED, why)
            steps.leave_out_the_rest(why)
        steps.take_back(names, force_keys)
        steps.settle()
        left = rolling.changed(names)
        code = exit_code(rolling.results([host.name for host in left]))
        if left:
            told = ", ".join(host.name for host in left[:5])
            return Ended(code or 4, f"not taken back: {told}", f"tcptune rollback {rolling.run.run_id}")
        return Ended(0, f"taken back by {self.changer.operator}")

    def _take_up(
        self, rolling: Rolling, lease: Lease, act: Act, check: Callable[[Rolling], None] = lambda _rolling: None
    ) -> Rolling:
        """Return the rollout as it stands now that nobody else can move it, and record who works on it."""
        journal, run_id = self.changer.journal, rolling.run.run_id
        try:
            rollout = self.rollouts.rollout(run_id)
            waves = list(rollout.waves) if rollout else rolling.waves
            rolling = replace(rolling, run=journal.find(run_id)[0], waves=waves)
            check(rolling)
            journal.start(run_id, act, (), by=self.changer.operator, at=self.outside.clock())
        except TcptuneError:
            self.claims.locks.release(lease)
            raise
        return rolling

    def _through(
        self, rolling: Rolling, lease: Lease, heart: Heart, work: Callable[[Engine], Ended], *, resumed: bool
    ) -> tuple[Run, int]:
        run, emit, clock = rolling.run, self.outside.emit, self.outside.clock
        emit(
            RolloutBegan(
                at=clock(),
                run=run.run_id,
                plan_id=run.plan_id,
                profile=run.profile,
                policy=rolling.policy.policy,
                policy_digest=rolling.policy.digest,
                waves=tuple(EventWave(number=w.number, hosts=w.hosts, state=w.state) for w in rolling.waves),
                states={name: s for name, s in rolling.states().items() if s is not HostState.PLANNED},
                operator=self.changer.operator,
                tool_version=run.tool_version,
                resumed=resumed,
            )
        )
        emit(HostsClaimed(at=clock(), run=run.run_id, hosts=lease.hosts, until=lease.until))
        steps = Steps(
            rolling, self.changer, Guarded(self.changer.applier, heart), self.rollouts, self.collector, self.outside
        )
        try:
            ended = work(Engine(steps, self.watch))
            done = self.changer.ended(run, rolling.standing)
            self.claims.locks.release(lease)
        except TcptuneError as problem:
            # The claim runs out by itself, and what is held takes itself back: nobody knows how far the last step came.
            if not isinstance(problem, LeaseLost):
                problem.hint = _what_next(rolling)
            self._tell_end(rolling, problem.exit_code, str(problem), f"tcptune runs resume {run.run_id}")
            raise
        code = exit_code(done.results) if ended.code is None else ended.code
        self._tell_end(rolling, code, ended.why, ended.next)
        return done, code

    def _tell_end(self, rolling: Rolling, code: int, why: str, then: str | None) -> None:
        counts = counted(rolling.states().values())
        self.outside.emit(
            RolloutEnded(
                at=self.outside.clock(), run=rolling.run.run_id, exit_code=code, why=why, counts=counts, next=then
            )
        )


def _what_next(rolling: Rolling) -> str:
    """Return the one command, and how long there is time for it."""
    told = f"tcptune runs resume {rolling.run.run_id}, or tcptune rollback {rolling.run.run_id}"
    deadlines = [r.deadline for r in rolling.standing.values() if r.deadline is not None]
    if deadlines:
        told += f"; the first held host takes its change back by itself at {min(deadlines):%Y-%m-%d %H:%M:%S} UTC"
    return told


def settle_waves(rollouts: Rollouts, run: Run, clock: Callable[[], datetime]) -> None:
    """Bring the waves of a run, if it has some, into line with its hosts after a command that acted on these alone."""
    found = rollouts.rollout(run.run_id)
    for wave in found.waves if found else ():
        state = settled(wave, [run.result(host) for host in wave.hosts])
        if state is not wave.state:
            rollouts.move_wave(run.run_id, wave.number, state, at=clock(), why=wave.why)


def recorded_waves(waves: Waves) -> list[records.WaveRecord]:
    """Return the waves of a rollout that was not begun."""
    return [records.WaveRecord(number=wave.number, hosts=wave.hosts) for wave in waves.waves]


def rolling_again(
    run: Run,
    plan: Plan,
    rollout: records.Rollout,
    policy: Policy,
    hosts: Iterable[Host],
    confirm_within_s: int | None,
) -> Rolling:
    """Return a rollout as it stands in the journal."""
    return Rolling(run, plan, policy, {h.name: h for h in hosts}, list(rollout.waves), confirm_within_s)


def _check_open(rolling: Rolling) -> None:
    """Raise UsageError where nothing of a rollout is left to do."""
    run = rolling.run
    # A controller that died at the very end has left no wave open, and the run without an end.
    if not _open(rolling) and run.at_work is None:
        hint = f"tcptune confirm {run.run_id}" if rolling.held() else f"tcptune runs show {run.run_id}"
        raise UsageError(f"run {run.run_id} has come to its end: nothing is left to do", hint=hint)


def _open(rolling: Rolling) -> bool:
    by_person = rolling.policy.confirm is Confirmation.BY_PERSON
    over = {WaveState.CONFIRMED, WaveState.ROLLED_BACK, WaveState.LEFT_OUT}
    states = {wave.state for wave in rolling.waves} - over - ({WaveState.PASSED} if by_person else set())
    return bool(states) or any(result.doing is Act.ROLLBACK for result in rolling.standing.values())
