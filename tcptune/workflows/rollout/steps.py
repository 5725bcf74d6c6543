"""The steps of a rollout: each is recorded before the next is taken, and told once it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tcptune.domain.events import (
    DeadlineExtended,
    GateMeasured,
    HostMoved,
    WaveBegan,
    WaveEnded,
    WaveHeld,
    counted,
)
from tcptune.domain.facts import Unread
from tcptune.domain.gates import Counted
from tcptune.domain.hosts import Host
from tcptune.domain.journal import OPEN_WAVES, WaveState
from tcptune.domain.runs import Act, HostResult, HostState
from tcptune.planning.plan import moved
from tcptune.planning.rollout import hold_s, sample_record, settled, short_of_time
from tcptune.ports import Applier, Rollouts
from tcptune.workflows.change import Changer
from tcptune.workflows.collect import Collector, keys_of, sections_of
from tcptune.workflows.rollout.state import Outside, Rolling

_TICK_S = 1.0
_AGAIN_S = 30
"""A host that could not be given more time is asked again after this."""
_NOT_TENDED = frozenset({WaveState.CONFIRMED, WaveState.FAILED, WaveState.ROLLED_BACK})
"""Waves of which a host that still holds the change is to take it back."""


class Steps:
    """Acts on the hosts of a rollout."""

    def __init__(
        self,
        rolling: Rolling,
        changer: Changer,
        applier: Applier,
        rollouts: Rollouts,
        collector: Collector,
        outside: Outside,
    ) -> None:
        """Prepare; `applier` is the changer's own, guarded by the claim."""
        self.rolling, self.rollouts, self.collector, self.outside = rolling, rollouts, collector, outside
        self.changer = replace(changer, applier=applier, on_move=self._moved)
        self.hold_s = hold_s(rolling.policy, rolling.confirm_within_s)
        self._seen = rolling.states()
        self._lasts: dict[str, float] = {}
        """Until when a host holds at least, by our own clock: the host's may differ."""
        self._tried: dict[str, float] = {}

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.rolling.run.run_id

    # Waves

    def move(self, number: int, state: WaveState, why: str = "") -> None:
        """Record a wave's new state, and tell it."""
        now, wave = self.outside.clock(), self.rolling.wave(number)
        self.rollouts.move_wave(self.run_id, number, state, at=now, why=why)
        began = wave.began or (now if state is WaveState.CHANGING else None)
        self.rolling.waves[number - 1] = wave.model_copy(
            update={"state": state, "why": why, "began": began, "ended": None if state in OPEN_WAVES else now}
        )
        results = self.rolling.results(wave.hosts)
        counts = counted(result.state for result in results)
        if state is WaveState.CHANGING:
            self.outside.emit(WaveBegan(at=now, run=self.run_id, wave=number, hosts=wave.hosts))
        elif state is WaveState.HELD:
            deadline = min((r.deadline for r in results if r.deadline), default=None)
            self.outside.emit(WaveHeld(at=now, run=self.run_id, wave=number, why=why, deadline=deadline, counts=counts))
        elif state not in OPEN_WAVES:
            self.outside.emit(
                WaveEnded.model_validate(
                    {"at": now, "run": self.run_id, "wave": number, "state": state, "why": why, "counts": counts}
                )
            )

    def settle(self) -> None:
        """Bring the waves into line with their hosts, after a confirm or a way back."""
        for wave in list(self.rolling.waves):
            state = settled(wave, self.rolling.results(wave.hosts))
            if state is not wave.state:
                self.move(wave.number, state, wave.why)

    def leave_out_the_rest(self, why: str) -> None:
        """Record that the waves that were not begun never will be."""
        for wave in list(self.rolling.waves):
            if wave.state is WaveState.PLANNED:
                self.move(wave.number, WaveState.LEFT_OUT, why)

    def record(self, number: int, rows: Iterable[Counted]) -> None:
        """Record what gates said, before anybody acts on it."""
        now = self.outside.clock()
        samples = [sample_record(number, row) for row in rows]
        self.rollouts.record_samples(self.run_id, samples, at=now)
        for sample in samples:
            self.outside.emit(GateMeasured(at=now, run=self.run_id, sample=sample))

    # Hosts

    def ready(self, hosts: Sequence[Host]) -> list[Host]:
        """Return the hosts that can be changed, and record the others. Those of a controller that died are asked again.

        Whatever such a host holds of the run by then, it keeps it as it is.
        """
        rolling = self.rolling
        fresh = [host for host in hosts if rolling.standing[host.name].state is HostState.PLANNED]
        begun = [host for host in hosts if rolling.standing[host.name].state is HostState.APPLYING]
        lost, stale = self.changer.look(self.collector, rolling.plan, fresh)
        return [*self.changer.leave_out(rolling.run, rolling.standing, fresh, lost, stale), *begun]

    def change(self, hosts: Sequence[Host]) -> None:
        """Change hosts, and hold them."""
        rolling, asked_s = self.rolling, self.outside.elapsed()
        fresh = [host.name for host in hosts if rolling.standing[host.name].state is HostState.PLANNED]
        if hosts:
            self.changer.change(rolling.run, rolling.plan, rolling.standing, hosts, self.hold_s)
        if self.hold_s is not None:
            # One that a dead controller had begun may have been held long before.
            self._lasts |= dict.fromkeys(fresh, asked_s + self.hold_s)

    def gone(self, held: Sequence[Host]) -> dict[str, str]:
        """Return the held hosts of which nobody can say that they still hold the change, with the reason.

        One may have taken it back, by its deadline while the controller slept or by a reboot.
        """
        plan, found = self.rolling.plan, {}
        for one in self.collector.stream(held, keys_of(plan), sections_of(plan, boot=False)):
            if isinstance(one, Unread):
                found[one.host] = f"{one.host} could not be read: {one.error}"
            elif moved(plan.cohort_of(one.host), one) is None:
                found[one.host] = f"{one.host} is as before the change"
        return found

    def keep(self, hosts: Sequence[Host]) -> None:
        """Confirm hosts."""
        rolling = self.rolling
        self.changer.keep(self.collector, rolling.run, rolling.plan, rolling.standing, hosts)

    def take_back(self, names: Iterable[str], force_keys: Sequence[str] = ()) -> None:
        """Take the change back on the hosts of these that may hold it."""
        rolling = self.rolling
        if changed := rolling.changed(names):
            self.changer.take_back(self.collector, rolling.run, rolling.plan, rolling.standing, changed, force_keys)

    def tend(self, *, all_of_them: bool = False) -> None:
        """Give held hosts more time while the rollout goes on: none takes its change back under a healthy one."""
        if self.hold_s is None:
            return
        now_s = self.outside.elapsed()
        least_s = self.hold_s if all_of_them else self.hold_s / 2
        short = short_of_time(self._tended(), self._lasts, now_s, least_s)
        due = [host for host in short if now_s >= self._tried.get(host, now_s)]
        if due:
            self._tried |= dict.fromkeys(due, now_s + _AGAIN_S)
            self._give(due, self.hold_s)

    def give_a_person_time(self) -> None:
        """See to it that held hosts wait as long for a person as was asked for, from now on."""
        if self.rolling.confirm_within_s is None:
            return
        least_s = self.rolling.confirm_within_s
        if short := short_of_time(self._tended(), self._lasts, self.outside.elapsed(), least_s):
            self._give(short, least_s)

    def _tended(self) -> list[HostResult]:
        return [
            result
            for wave in self.rolling.waves
            if wave.state not in _NOT_TENDED
            for result in self.rolling.results(wave.hosts)
            # A confirm that died is asked for again, and a way back that died goes on.
            if result.doing not in {Act.CONFIRM, Act.ROLLBACK}
        ]

    def _give(self, names: Sequence[str], seconds: int) -> None:
        rolling = self.rolling
        hosts = [rolling.hosts[name] for name in names]
        until_s = self.outside.elapsed() + seconds
        self.changer.give_time(rolling.run, rolling.plan, rolling.standing, hosts, seconds)
        given = [r for r in rolling.results(names) if r.state is HostState.HELD and r.deadline and not r.error]
        if given:
            first = min(r.deadline for r in given if r.deadline)
            told = tuple(r.host for r in given)
            self._lasts |= {host: max(until_s, self._lasts.get(host, until_s)) for host in told}
            self.outside.emit(DeadlineExtended(at=self.outside.clock(), run=self.run_id, hosts=told, deadline=first))

    def _moved(self, result: HostResult) -> None:
        before, self._seen[result.host] = self._seen[result.host], result.state
        self.outside.emit(
            HostMoved(
                at=self.outside.clock(),
                run=self.run_id,
                host=result.host,
                wave=self.rolling.wave_of(result.host),
                before=before,
                after=result.state,
                error=result.error,
                hint=result.hint,
                deadline=result.deadline,
            )
        )

    # Time

    def wait(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Wait, giving held hosts more time meanwhile; `enough` is asked every second and ends it early."""
        until_s = self.outside.elapsed() + seconds
        while not enough() and (left_s := until_s - self.outside.elapsed()) > 0:
            self.outside.pause(min(left_s, _TICK_S))
            self.tend()
