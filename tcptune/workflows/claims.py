"""Claim hosts for the time of a command: who changes a host has it alone, whichever machine the others are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from tcptune.domain.hosts import Host
from tcptune.domain.journal import HostLock, Lease
from tcptune.domain.runs import Run
from tcptune.errors import TcptuneError
from tcptune.ports import Heart, HostLocks
from tcptune.workflows.change import Changer
from tcptune.workflows.guard import Guarded

Beating = Callable[[Lease], AbstractContextManager[Heart]]
"""Keeps a claim for as long as the block lasts."""

LEASE_S = 60
_LOOK_S = 1.0
_SLACK_S = 15
"""A lease that did not run out in its time and this is not waited for any longer."""


@dataclass(frozen=True)
class Claims:
    """Claims hosts in the name of one process."""

    locks: HostLocks
    beating: Beating
    by: str
    """Login name and machine; together with `pid` it tells whose a claim was."""
    pid: str
    pause: Callable[[float], None]
    tell: Callable[[Sequence[HostLock]], None]
    """Told once of the claims that are waited for."""

    def take(
        self, run: Run, hosts: Iterable[str], *, waits: bool = False, enough: Callable[[], bool] = lambda: False
    ) -> Lease:
        """Claim hosts for a run. Raises HostsClaimed, with nothing claimed, where somebody else has one of them.

        What a process of this machine had claimed for the same run, and is gone, is taken over at once. With `waits`
        any other claim gets the time to run out, unless somebody renews it; `enough` ends the waiting early. Raises
        TcptuneError where a process of this machine is at work on the run.
        """
        _check_idle(run, self.pid)
        wanted = sorted(set(hosts))
        work = run.at_work
        for lock in self.locks.locks(wanted):
            # Two who take a run up at once both see the dead one; the pid keeps them from taking each other's claim.
            dead = work is not None and work.alive is False and lock.by == _claimant(work.by, work.pid)
            if dead and lock.run_id == run.run_id and not lock.ran_out:
                fields = lock.model_dump(include={"token", "run_id", "by", "since", "until"})
                self.locks.release(Lease(**fields, hosts=(lock.host,), lease_s=LEASE_S))
        if waits:
            self._let_run_out(wanted, enough)
        return self.locks.claim(wanted, run.run_id, by=_claimant(self.by, self.pid), lease_s=LEASE_S)

    @contextmanager
    def alone(self, changer: Changer, run: Run, hosts: Sequence[Host], *, waits: bool = False) -> Iterator[Changer]:
        """Give a changer that asks before each write whether the claim on the hosts lasts, and claim them meanwhile."""
        if not hosts:
            # Whoever has no host to change is told so by the act itself.
            yield changer
            return
        lease = self.take(run, [host.name for host in hosts], waits=waits)
        with self.beating(lease) as heart:
            asked = _Asked(heart)
            try:
                yield replace(changer, applier=Guarded(changer.applier, asked))
            except TcptuneError:
                # Once a write was asked for, nobody knows how far it came: then the claim runs out by itself.
                if not asked.once:
                    self.locks.release(lease)
                raise
            self.locks.release(lease)

    def _let_run_out(self, wanted: Sequence[str], enough: Callable[[], bool]) -> None:
        first: dict[int, HostLock] | None = None
        left_s = float(LEASE_S + _SLACK_S)
        while True:
            lasting = {lock.token: lock for lock in self.locks.locks(wanted) if not lock.ran_out}
            if first is None:
                first = lasting
                if lasting:
                    self.tell(list(lasting.values()))
            renewed = any(token not in first or lock.until > first[token].until for token, lock in lasting.items())
            # To claim says who has what.
            if not lasting or renewed or left_s <= 0 or enough():
                return
            self.pause(_LOOK_S)
            left_s -= _LOOK_S


def _check_idle(run: Run, pid: str) -> None:
    """Raise TcptuneError while another process of this machine is at work on a run."""
    if run.at_work is not None and run.at_work.alive and run.at_work.pid != pid:
        raise TcptuneError(
            f"run {run.run_id}: {run.at_work.act} by {run.at_work.by} is at work on it since "
            f"{run.at_work.since:%Y-%m-%d %H:%M:%S} UTC (pid {run.at_work.pid})",
            hint=f"wait for it to end, or press Ctrl-C there; then tcptune doctor says what the hosts of run "
            f"{run.run_id} hold",
        )


def waited_for(locks: Sequence[HostLock]) -> str:
    """Return one sentence: which claims are waited for, and until when."""
    told = ", ".join(dict.fromkeys(f"run {lock.run_id} by {lock.by}" for lock in locks))
    until = max(lock.until for lock in locks)
    return f"hosts are claimed for {told}: waiting until {until:%H:%M:%S} UTC, unless the claim is renewed"


class _Asked:
    """A heart that remembers whether it was asked."""

    def __init__(self, heart: Heart) -> None:
        self.heart, self.once = heart, False

    def check(self) -> None:
        self.heart.check()
        self.once = True


def _claimant(by: str, pid: str) -> str:
    return f"{by}, pid {pid}"
