"""Carry a plan to its hosts wave by wave, as a policy says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tcptune.domain.events import Answered, Asked, Interrupted, SoakBegan, Waiting
from tcptune.domain.gates import Baseline, GateTable, Treat
from tcptune.domain.hosts import Host
from tcptune.domain.journal import WaveState
from tcptune.domain.rollout import Confirmation, OnFailure
from tcptune.domain.runs import Act, HostState
from tcptune.errors import EXIT_PENDING, GateFailed
from tcptune.planning.rollout import controls, looks_s, soak_s, why_of, window_s
from tcptune.workflows.gates import Watch
from tcptune.workflows.rollout.looking import Looking
from tcptune.workflows.rollout.state import Ended
from tcptune.workflows.rollout.steps import Steps

TAKEN_BACK = "taken back by "
"""How the reason begins of a wave that a person takes back."""
EXIT_INTERRUPTED = 130
_AT_ONCE = 200
"""Most hosts that one Ansible process changes: between two of them held hosts are looked after."""
_FINISH, _BACK, _HOLD, _STOP = "finish the wave", "take the wave back", "hold the wave", "stop"
_OVER = frozenset({WaveState.CONFIRMED, WaveState.ROLLED_BACK, WaveState.LEFT_OUT})


@dataclass
class Engine:
    """Takes the waves of a rollout in their order."""

    steps: Steps
    watch: Watch
    stopping: str | None = None
    """What an interruption leads to, once one came."""

    def __post_init__(self) -> None:
        self.rolling, self.outside = self.steps.rolling, self.steps.outside
        self.policy = self.rolling.policy
        self.looking = Looking(self.watch, self.policy, self._pause)

    def go(self) -> Ended:
        """Begin with the first wave that is not over, or go on where somebody stopped."""
        steps = self.steps
        # Before the hosts are settled: a wave that failed must not look like one that is over, and let the next begin.
        failed = next((wave for wave in self.rolling.waves if wave.state is WaveState.FAILED), None)
        steps.take_back([r.host for r in self.rolling.standing.values() if r.doing is Act.ROLLBACK])
        if failed is not None:
            return self._after_failure(failed.number, failed.why, GateFailed.exit_code)
        steps.settle()
        steps.tend(all_of_them=True)
        for number in range(1, len(self.rolling.waves) + 1):
            wave = self.rolling.wave(number)
            ended: Ended | None = None
            if wave.state is WaveState.PASSED:
                ended = self._keep(number)
            elif wave.state not in _OVER:
                ended = self._wave(number)
            if ended is None and self.stopping is not None and number < len(self.rolling.waves):
                ended = self._stopped()
            if ended is not None:
                return ended
        return self._through()

    def _wave(self, number: int) -> Ended | None:
        wave, steps = self.rolling.wave(number), self.steps
        if wave.state is WaveState.PLANNED:
            self._wait_for_window(number)
            if self._interrupted(None):
                return self._stopped()
            baseline = self._baseline(number)
            if self._interrupted(None):
                return self._stopped()
            # Whoever takes the rollout up again compares with it.
            steps.rollouts.keep_baseline(steps.run_id, number, baseline)
            steps.move(number, WaveState.CHANGING)
        else:
            baseline = steps.rollouts.baseline(steps.run_id, number) or Baseline()
        ended = self._change(number)
        if ended is not None:
            return ended
        if not self.rolling.those(wave.hosts, HostState.HELD):
            return self._nothing_changed(number, asked_for=wave.state is WaveState.HELD)
        steps.move(number, WaveState.SOAKING)
        return self._soak(number, baseline)

    def _baseline(self, number: int) -> Baseline:
        if apart_s := window_s(self.policy):
            now, why = self.outside.clock(), f"wave {number} is read twice, {apart_s:.0f} s apart"
            until = now + timedelta(seconds=apart_s)
            self.outside.emit(Waiting(at=now, run=self.steps.run_id, waits_for="baseline", why=why, until=until))
        return self.looking.baseline(self._hosts(self.rolling.wave(number).hosts), self._controls(number))

    def _wait_for_window(self, number: int) -> None:
        now = self.outside.clock()
        if self.policy.allowed(now):
            return
        opens = self.policy.opens_next(now)
        why = f"wave {number} may begin when its window opens"
        self.outside.emit(Waiting(at=now, run=self.steps.run_id, waits_for="window", why=why, until=opens))
        while not self.policy.allowed(self.outside.clock()) and not self._interrupted(None):
            self.steps.wait(
                60, lambda: self.policy.allowed(self.outside.clock()) or self._interrupted(None) is not None
            )

    def _change(self, number: int) -> Ended | None:
        """Change the hosts of a wave that are not changed yet. Return how the rollout ends, if it does."""
        wave, rolling = self.rolling.wave(number), self.rolling
        todo = rolling.those(wave.hosts, HostState.PLANNED, HostState.APPLYING)
        for some in _batches(todo, self.policy.concurrency or _AT_ONCE):
            going = self.steps.ready(some)
            if why := rolling.too_many_failed(wave):
                return self._fail(number, why)
            self.steps.change(going)
            self.steps.tend()
            if why := rolling.too_many_failed(wave):
                return self._fail(number, why)
            if ended := self._ended_by_interruption(number):
                return ended
        # A host may have failed before somebody stopped the rollout.
        why = rolling.too_many_failed(wave)
        return self._fail(number, why) if why else None

    def _nothing_changed(self, number: int, *, asked_for: bool) -> Ended | None:
        why = "no host of it could be changed"
        if self.rolling.those(self.rolling.wave(number).hosts, HostState.CONFIRMED):
            asked_for, why = True, "a person has confirmed it"
        if asked_for or any(wave.state in {WaveState.PASSED, WaveState.CONFIRMED} for wave in self.rolling.waves):
            self.steps.move(number, WaveState.SOAKING)
            self.steps.move(number, WaveState.PASSED, why)
            return None
        return self._hold(number, f"{why}, so nothing is known")

    def _soak(self, number: int, baseline: Baseline) -> Ended | None:
        steps, wave = self.steps, self.rolling.wave(number)
        title = f"wave {number} of {len(self.rolling.waves)}"
        beside = [host for host in self._controls(number) if host.name in baseline.windows]
        # What a change cuts off is seen at once, not after the soak time.
        early = self.looking.tried(self.rolling.those(wave.hosts, HostState.HELD), baseline)
        steps.record(number, early)
        first = self.looking.readings([*self._hosts(wave.hosts), *beside])
        began, began_s = self.outside.clock(), self.outside.elapsed()
        until = began + timedelta(seconds=soak_s(self.policy))
        self.outside.emit(SoakBegan(at=began, run=steps.run_id, wave=number, until=until))
        table = GateTable(title=title, rows=early)
        for at_s in looks_s(self.policy):
            if table.treat is Treat.FAIL:
                break
            left_s = began_s + at_s - self.outside.elapsed()
            steps.wait(left_s, lambda: self._interrupted(number) in {_BACK, _HOLD})
            if ended := self._ended_by_interruption(number):
                return ended
            held = self.rolling.those(wave.hosts, HostState.HELD)
            table = self.looking.table(title, held, beside, baseline, first)
            steps.record(number, table.rows)
        if table.treat is Treat.FAIL:
            return self._fail(number, why_of(table, Treat.FAIL))
        # A host may have taken its change back meanwhile, and a gate need not see it.
        gone = steps.gone(self.rolling.those(wave.hosts, HostState.HELD))
        told = "; ".join(list(gone.values())[:5])
        if why := self.rolling.too_many_failed(wave, gone):
            return self._fail(number, f"{why}: {told}" if told else why)
        if table.treat is Treat.HOLD:
            return self._hold(number, why_of(table, Treat.HOLD))
        steps.move(number, WaveState.PASSED, told)
        return self._keep(number)

    def _keep(self, number: int) -> Ended | None:
        """Confirm a wave that has passed, where the policy leaves that to the rollout."""
        wave = self.rolling.wave(number)
        if self.policy.confirm is Confirmation.BY_PERSON:
            return None
        held = self.rolling.those(wave.hosts, HostState.HELD)
        if held:
            self.steps.keep(held)
        unkept = self.rolling.those(wave.hosts, HostState.HELD)
        if why := self.rolling.too_many_failed(wave, [host.name for host in unkept]):
            return self._fail(number, f"{why}: not all could be confirmed" if unkept else why)
        left = f"not confirmed, and left to take it back: {', '.join(host.name for host in unkept)}" if unkept else ""
        self.steps.move(number, WaveState.CONFIRMED, left or wave.why)
        return None

    # Where it does not go on

    def _fail(self, number: int, why: str, code: int = GateFailed.exit_code) -> Ended:
        self.steps.move(number, WaveState.FAILED, why)
        return self._after_failure(number, why, code)

    def _after_failure(self, number: int, why: str, code: int) -> Ended:
        """Do what the policy says of a failed wave. It may have been begun by a controller that died."""
        steps, rolling = self.steps, self.rolling
        everything = self.policy.on_failure is OnFailure.ROLL_BACK_ALL or why.startswith(TAKEN_BACK)
        if self.policy.on_failure is OnFailure.HOLD and not everything:
            return self._hold(number, why, code)
        waves = list(rolling.waves) if everything else [w for w in rolling.waves if w.state is WaveState.FAILED]
        # First, so that whoever takes up what dies in the middle goes on with the way back, and begins no wave.
        steps.leave_out_the_rest(f"wave {number} failed")
        steps.take_back([host for wave in waves for host in wave.hosts])
        steps.settle()
        left = rolling.changed(host for wave in waves for host in wave.hosts)
        told = f"wave {number} of {len(rolling.waves)} failed: {why}"
        if left:
            names = ", ".join(host.name for host in left[:5])
            return Ended(code, f"{told}; not taken back: {names}", f"tcptune runs resume {steps.run_id}")
        held = rolling.held()
        steps.give_a_person_time()
        return Ended(code, f"{told}; taken back", f"tcptune confirm {steps.run_id}" if held else None)

    def _hold(self, number: int, why: str, code: int = EXIT_PENDING) -> Ended:
        self.steps.move(number, WaveState.HELD, why)
        self.steps.give_a_person_time()
        told = f"wave {number} of {len(self.rolling.waves)} is held: {why}"
        return Ended(code, told, f"tcptune runs resume {self.steps.run_id}")

    def _through(self) -> Ended:
        held = self.rolling.held()
        back = next((wave for wave in self.rolling.waves if wave.state is WaveState.ROLLED_BACK), None)
        if back is not None and not held:
            # Its controller died when all was done, and had not said so.
            code = 0 if back.why.startswith(TAKEN_BACK) else GateFailed.exit_code
            return Ended(code, f"wave {back.number} of {len(self.rolling.waves)} was taken back: {back.why}")
        if held and self.policy.confirm is Confirmation.BY_PERSON:
            self.steps.give_a_person_time()
            return Ended(None, "every wave has passed; a person keeps it", f"tcptune confirm {self.steps.run_id}")
        return Ended(None, "every wave has passed and is confirmed")

    # Interruptions

    def _interrupted(self, number: int | None) -> str | None:
        """Return what becomes of the rollout where somebody stops it; asked once, the answer stays."""
        why = None if self.stopping else self.outside.interrupted()
        if why is None:
            return self.stopping
        now = self.outside.clock()
        if number is None:
            self.stopping = _STOP
        else:
            self.stopping = self._asked(number) or (_HOLD if self.policy.on_failure is OnFailure.HOLD else _BACK)
        then = f"wave {number}: {self.stopping}" if number else "no further wave begins"
        self.outside.emit(Interrupted(at=now, run=self.steps.run_id, why=why, then=then))
        return self.stopping

    def _asked(self, number: int) -> str | None:
        question, choices = f"Wave {number} is under way. What becomes of it?", (_FINISH, _BACK)
        run = self.steps.run_id
        self.outside.emit(Asked(at=self.outside.clock(), run=run, question=question, choices=choices, wave=number))
        answer = self.outside.ask(question, choices)
        if answer is not None:
            by = self.outside.operator
            self.outside.emit(Answered(at=self.outside.clock(), run=run, answer=answer, by=by))
        return answer

    def _ended_by_interruption(self, number: int) -> Ended | None:
        then = self._interrupted(number)
        why = f"stopped by {self.outside.operator}"
        if then == _BACK:
            return self._fail(number, why, EXIT_INTERRUPTED)
        return self._hold(number, why, EXIT_INTERRUPTED) if then == _HOLD else None

    def _stopped(self) -> Ended:
        self.steps.give_a_person_time()
        done = sum(wave.state is not WaveState.PLANNED for wave in self.rolling.waves)
        why = f"stopped by {self.outside.operator} after {done} of {len(self.rolling.waves)} waves"
        return Ended(EXIT_INTERRUPTED, why, f"tcptune runs resume {self.steps.run_id}")

    def _pause(self, seconds: float) -> None:
        self.steps.wait(seconds, lambda: self._interrupted(None) is not None)

    def _hosts(self, names: Iterable[str]) -> list[Host]:
        return [self.rolling.hosts[name] for name in names]

    def _controls(self, number: int) -> list[Host]:
        return self._hosts(controls(self.rolling.waves, number, self.rolling.states()))


def _batches(hosts: Sequence[Host], most: int) -> list[Sequence[Host]]:
    return [hosts[at : at + most] for at in range(0, len(hosts), most)]
