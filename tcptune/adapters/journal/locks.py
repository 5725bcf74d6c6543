"""Who may change which hosts: claims with a lease, so that two rollouts never work on one host at once.

A claim takes all of its hosts or none. How long it lasts is told by the database's clock alone. One claim, renewal or
release happens at a time: there is no order in which two could wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tcptune import __version__
from tcptune.adapters.journal.database import Database, new_call
from tcptune.adapters.journal.tables import ClaimRow, HostLockRow
from tcptune.domain.journal import HostLock, Lease
from tcptune.errors import HostsClaimed, LeaseLost, TcptuneError

_CLAIMING = 0x7463_636C
"""Any number that no other program on the server locks."""
_SHOWN = 5


class SqlHostLocks:
    """Hosts that are claimed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, hosts: Iterable[str], run_id: str, *, by: str, lease_s: int) -> Lease:
        """Return the right to change all of the hosts for `lease_s` seconds from now.

        What ran out is taken over. Raises HostsClaimed, with nothing taken, where another claim of one of them lasts.
        """
        wanted = sorted(set(hosts))
        if not wanted or lease_s < 1:
            raise TcptuneError("a claim is of at least one host, for at least a second")
        call = new_call()

        def work(session: Session, _call: str) -> None:
            self._one_at_a_time(session)
            if _claim_of(session, call) is not None:
                return
            now = self._database.now(session)
            held = _locks(session, now, set(wanted))
            if lasting := [lock for lock in held if not lock.ran_out]:
                raise _claimed(lasting)
            row = ClaimRow(
                call=call,
                run_id=run_id,
                by=by,
                tool_version=__version__,
                hosts=wanted,
                lease_s=lease_s,
                since=now,
                until=now + timedelta(seconds=lease_s),
            )
            session.add(row)
            session.flush()
            # A claim that lost one host has lost them all: its controller stops, whichever host it asks for.
            _end(session, sorted({lock.token for lock in held}), now, taken_by=row.token)
            session.execute(sa.insert(HostLockRow), [{"host": host, "token": row.token} for host in wanted])

        self._database.write(work, call=call)
        found = self._database.read(lambda session: _lease(_claim_of(session, call)))
        if found is None:
            raise TcptuneError(f"the claim of run {run_id} is gone from the journal", hint="claim again")
        return found

    def renew(self, lease: Lease, *, patience_s: float | None = None) -> Lease:
        """Return the lease, lasting as long as at first from now on. A server that is away is waited for `patience_s`.

        A lease that ran out is renewed where nobody has taken a host over. Raises LeaseLost where somebody has.
        """
        renewed: list[Lease] = []

        def work(session: Session, _call: str) -> None:
            self._one_at_a_time(session)
            row = _mine(session, lease)
            row.until = self._database.now(session) + timedelta(seconds=row.lease_s)
            found = _lease(row)
            renewed[:] = [found] if found else []

        self._database.write(work, patience_s=patience_s)
        return renewed[0]

    def release(self, lease: Lease) -> None:
        """Give the hosts back. To do so again is no mistake. Raises LeaseLost where somebody has taken one over."""

        def work(session: Session, _call: str) -> None:
            self._one_at_a_time(session)
            row = session.get(ClaimRow, lease.token)
            if row is not None and row.ended is not None and row.taken_by is None:
                return
            _mine(session, lease)
            _end(session, [lease.token], self._database.now(session))

        self._database.write(work)

    def locks(self, hosts: Iterable[str] | None = None) -> list[HostLock]:
        """Return who holds these hosts, or any, by name. What ran out and nobody took over is among them."""
        wanted = None if hosts is None else set(hosts)
        return self._database.read(lambda session: _locks(session, self._database.now(session), wanted))

    def _one_at_a_time(self, session: Session) -> None:
        # SQLite has one writer at a time, from the beginning of its transaction on.
        if self._database.postgresql:
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIMING)))


def _locks(session: Session, now: datetime, wanted: set[str] | None) -> list[HostLock]:
    joined = sa.select(HostLockRow.host, ClaimRow).join(ClaimRow, ClaimRow.token == HostLockRow.token)
    found = session.execute(joined.order_by(HostLockRow.host)).all()
    return [
        HostLock(
            host=host,
            token=claim.token,
            run_id=claim.run_id,
            by=claim.by,
            since=claim.since,
            until=claim.until,
            ran_out=claim.until <= now,
        )
        for host, claim in found
        if wanted is None or host in wanted
    ]


def _claim_of(session: Session, call: str) -> ClaimRow | None:
    return session.scalar(sa.select(ClaimRow).where(ClaimRow.call == call))


def _lease(row: ClaimRow | None) -> Lease | None:
    if row is None:
        return None
    return Lease(
        token=row.token,
        run_id=row.run_id,
        by=row.by,
        hosts=tuple(row.hosts),
        since=row.since,
        until=row.until,
        lease_s=row.lease_s,
    )


def _mine(session: Session, lease: Lease) -> ClaimRow:
    """Return the claim of a lease. Raises LeaseLost where it has ended."""
    row = session.get(ClaimRow, lease.token)
    if row is not None and row.ended is None:
        return row
    taker = session.get(ClaimRow, row.taken_by) if row is not None and row.taken_by is not None else None
    if taker is None:
        raise LeaseLost(
            f"run {lease.run_id}: its claim on {_named(lease.hosts)} has ended", hint=f"tcptune runs {lease.run_id}"
        )
    lost = [host for host in lease.hosts if host in taker.hosts]
    raise LeaseLost(
        f"run {lease.run_id}: its claim ran out, and {taker.by} took {_named(lost)} over for run {taker.run_id} at "
        f"{taker.since:%Y-%m-%d %H:%M:%S} UTC",
        hint=f"change nothing more; see tcptune runs {taker.run_id}",
    )


def _end(session: Session, tokens: Sequence[int], at: datetime, taken_by: int | None = None) -> None:
    if tokens:
        session.execute(sa.delete(HostLockRow).where(HostLockRow.token.in_(tokens)))
        session.execute(sa.update(ClaimRow).where(ClaimRow.token.in_(tokens)).values(ended=at, taken_by=taken_by))


def _claimed(locks: Sequence[HostLock]) -> HostsClaimed:
    by_claim: dict[int, list[HostLock]] = {}
    for lock in locks:
        by_claim.setdefault(lock.token, []).append(lock)
    lines = [
        f"{_named([lock.host for lock in some])}: run {some[0].run_id} by {some[0].by}, "
        f"since {some[0].since:%Y-%m-%d %H:%M:%S} UTC, until {some[0].until:%H:%M:%S} unless it is renewed"
        for some in by_claim.values()
    ]
    return HostsClaimed(
        "\n  ".join([f"{len(locks)} of the hosts are being changed by somebody else; none was claimed", *lines]),
        hint=f"wait for it to end: tcptune runs {locks[0].run_id}",
    )


def _named(hosts: Sequence[str]) -> str:
    more = f" and {len(hosts) - _SHOWN} more" if len(hosts) > _SHOWN else ""
    return f"{', '.join(hosts[:_SHOWN])}{more}"
