"""Claims: all hosts or none, told by the database's clock, and nobody does with a host what another has taken."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tcptune.adapters.journal.database import Database
from tcptune.adapters.journal.heartbeat import Heartbeat
from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.journal import HostLock, Lease
from tcptune.errors import HostsClaimed, LeaseLost, TcptuneError
from tests.journal.conftest import Place

ROUNDS = 50


def claim(journal: SqlJournal, *hosts: str, run: str = "r1", by: str = "ada@ctl1", lease_s: int = 600) -> Lease:
    return journal.locks.claim(hosts, run, by=by, lease_s=lease_s)


def holders(journal: SqlJournal) -> dict[str, str]:
    return {lock.host: lock.run_id for lock in journal.locks.locks() if not lock.ran_out}


def run_out(place: Place, lease: Lease) -> None:
    """Let the time of a lease be over, by the database's clock."""
    place.changed(f"UPDATE claims SET until = '{lease.since - timedelta(seconds=1):%Y-%m-%d %H:%M:%S+00}'"  # noqa: S608
                  f" WHERE token = {lease.token}")  # fmt: skip


def test_hosts_are_claimed_and_released(journal: SqlJournal) -> None:
    lease = claim(journal, "web2", "web1", lease_s=60)

    assert (lease.hosts, lease.run_id, lease.by) == (("web1", "web2"), "r1", "ada@ctl1")
    assert lease.until - lease.since == timedelta(seconds=60)
    assert holders(journal) == {"web1": "r1", "web2": "r1"}

    journal.locks.release(lease)

    assert holders(journal) == {}
    journal.locks.release(lease)  # its answer may have been lost


def test_a_claim_that_overlaps_takes_nothing_and_is_told_who_has_what_since_when(journal: SqlJournal) -> None:
    lease = claim(journal, "web1", "web2", "web3", by="bob@ctl2", run="r7")
    with pytest.raises(HostsClaimed) as refused:
        claim(journal, "web0", "web2", "web3", run="r8")

    assert "2 of the hosts" in str(refused.value)
    assert (
        f"web2, web3: run r7 by bob@ctl2, since {lease.since:%Y-%m-%d %H:%M:%S} UTC, until {lease.until:%H:%M:%S}"
        in str(refused.value)
    )
    assert "tcptune runs r7" in (refused.value.hint or "")
    assert holders(journal) == {"web1": "r7", "web2": "r7", "web3": "r7"}


def test_hosts_that_do_not_overlap_are_claimed_side_by_side(journal: SqlJournal) -> None:
    claim(journal, "web1", run="r1")
    claim(journal, "web2", run="r2")

    assert holders(journal) == {"web1": "r1", "web2": "r2"}


def test_every_holder_is_named(journal: SqlJournal) -> None:
    claim(journal, "web1", run="r1", by="ada@ctl1")
    claim(journal, *(f"db{n}" for n in range(9)), run="r2", by="bob@ctl2")
    with pytest.raises(HostsClaimed) as refused:
        claim(journal, "web1", *(f"db{n}" for n in range(9)), run="r3")

    assert "web1: run r1 by ada@ctl1" in str(refused.value)
    assert "db0, db1, db2, db3, db4 and 4 more: run r2 by bob@ctl2" in str(refused.value)


def test_a_lease_that_lasts_is_not_taken_over_even_by_its_own_run(journal: SqlJournal) -> None:
    claim(journal, "web1", run="r1")
    with pytest.raises(HostsClaimed):
        claim(journal, "web1", run="r1")


def test_a_lease_that_ran_out_is_taken_over_with_a_larger_token(journal: SqlJournal, place: Place) -> None:
    dead = claim(journal, "web1", "web2", run="r1")
    run_out(place, dead)
    assert [lock.ran_out for lock in journal.locks.locks(["web1"])] == [True]

    taken = claim(journal, "web2", "web3", run="r2", by="bob@ctl2")

    assert taken.token > dead.token
    # The dead one lost all of its hosts: it stops as a whole.
    assert holders(journal) == {"web2": "r2", "web3": "r2"}


def test_a_lease_lasts_as_long_as_the_database_says(journal: SqlJournal) -> None:
    first = claim(journal, "web1", run="r1", lease_s=2)
    while True:
        try:
            taken = claim(journal, "web1", run="r2")
            break
        except HostsClaimed:
            time.sleep(0.05)

    assert first.until <= taken.since < first.until + timedelta(seconds=5)


def test_the_clock_of_a_controller_does_not_count(
    journal: SqlJournal, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = claim(journal, "web1", run="r1", lease_s=600)

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Tomorrow:
            return cls.fromtimestamp(time.time() + 24 * 3600, tz)

    monkeypatch.setattr("tcptune.adapters.journal.database.datetime", Tomorrow)
    monkeypatch.setattr("tcptune.adapters.journal.locks.datetime", Tomorrow)
    monkeypatch.setattr(time, "time", lambda: time.monotonic() + 4e9)
    with pytest.raises(HostsClaimed):
        claim(place.open(), "web1", run="r2")
    assert abs(journal.locks.renew(lease).until - lease.until) < timedelta(seconds=60)


def test_who_slept_past_the_lease_neither_renews_nor_releases_what_another_has(
    journal: SqlJournal, place: Place
) -> None:
    slept = claim(journal, "web1", "web2", run="r1")
    run_out(place, slept)
    taken = claim(place.open(), "web2", run="r2", by="bob@ctl2")
    before = journal.locks.locks()

    for act in (journal.locks.renew, journal.locks.release):
        with pytest.raises(LeaseLost, match=r"bob@ctl2 took web2 over for run r2 at \d{4}-"):
            act(slept)

    assert journal.locks.locks() == before
    assert holders(journal) == {"web2": "r2"}
    journal.locks.release(taken)


def test_who_slept_past_the_lease_goes_on_where_nobody_came(journal: SqlJournal, place: Place) -> None:
    slept = claim(journal, "web1", run="r1")
    run_out(place, slept)

    renewed = journal.locks.renew(slept)

    assert (renewed.token, renewed.until > slept.since) == (slept.token, True)
    assert holders(journal) == {"web1": "r1"}


def test_a_released_lease_is_not_renewed(journal: SqlJournal) -> None:
    lease = claim(journal, "web1")
    journal.locks.release(lease)
    with pytest.raises(LeaseLost, match="its claim on web1 has ended"):
        journal.locks.renew(lease)


@pytest.mark.parametrize(("hosts", "lease_s"), [((), 60), (("web1",), 0)])
def test_a_claim_of_nothing_is_refused(journal: SqlJournal, hosts: tuple[str, ...], lease_s: int) -> None:
    with pytest.raises(TcptuneError, match="at least one host"):
        claim(journal, *hosts, lease_s=lease_s)


def test_a_claim_whose_answer_was_lost_is_not_made_twice(journal: SqlJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt is written, and the connection breaks before it is told."""
    whole = Database._patiently

    def twice(self: Database, engine: object, work: object, patience_s: float) -> object:
        whole(self, engine, work, patience_s)  # type: ignore[arg-type]
        return whole(self, engine, lambda session, _again: work(session, True), patience_s)  # type: ignore[arg-type, operator]

    monkeypatch.setattr(Database, "_patiently", twice)
    lease = claim(journal, "web1")

    assert [lock.token for lock in journal.locks.locks()] == [lease.token]


# Two processes


def _controller(
    name: str, url: str, hosts: list[list[str]], oracle: Path, together: Barrier, said: SimpleQueue[list[str]]
) -> None:
    """Claim what each round says, and put a mark on each host that was got: two marks are an overlap."""
    log: list[str] = []
    try:
        journal = SqlJournal(url, by=name)
        for wanted in hosts:
            together.wait(60)
            try:
                lease = journal.locks.claim(wanted, f"run-{name}", by=name, lease_s=600)
            except HostsClaimed as refused:
                log.append(f"refused: {refused}")
                together.wait(60)
                continue
            for host in wanted:
                os.close(os.open(oracle / host, os.O_CREAT | os.O_EXCL))
            together.wait(60)
            for host in wanted:
                (oracle / host).unlink()
            journal.locks.release(lease)
            log.append("got")
        said.put(log)
    except BaseException as problem:  # whatever it is: the test waits for a word of each
        together.abort()
        said.put([*log, f"{type(problem).__name__}: {problem}"])


def test_two_controllers_that_claim_at_the_same_moment_never_overlap_and_never_wait_for_ever(
    place: Place, tmp_path: Path
) -> None:
    place.open()
    oracle = tmp_path / "oracle"
    oracle.mkdir()
    # They overlap in the middle, and ask in opposite orders.
    ours = [[f"web{n}" for n in range(round_ % 5, round_ % 5 + 20)] for round_ in range(ROUNDS)]
    theirs = [[f"web{n}" for n in reversed(range(10, 30))] for _ in range(ROUNDS)]
    forks = multiprocessing.get_context("fork")
    together = forks.Barrier(2)
    queues: list[SimpleQueue[list[str]]] = [forks.SimpleQueue(), forks.SimpleQueue()]
    controllers = [
        forks.Process(target=_controller, args=(name, place.url, hosts, oracle, together, queue))
        for name, hosts, queue in zip(("ada", "bob"), (ours, theirs), queues, strict=True)
    ]
    began = time.monotonic()
    for controller in controllers:
        controller.start()
    ada, bob = (queue.get() for queue in queues)
    for controller in controllers:
        controller.join(60)

    assert (len(ada), len(bob)) == (ROUNDS, ROUNDS), (ada[-1], bob[-1])
    for one, other in zip(ada, bob, strict=True):
        # One of them gets all, the other nothing, and hears who has it.
        [loser] = [word for word in (one, other) if word != "got"]
        assert "run run-ada by ada" in loser or "run run-bob by bob" in loser
        assert "since 20" in loser
    assert list(oracle.iterdir()) == []
    assert place.asked("SELECT count(*) FROM host_locks") == [(0,)]
    print(f"{place.kind}: ada {ada.count('got')}, bob {bob.count('got')}, {time.monotonic() - began:.1f} s")


# The heartbeat


def test_a_heart_keeps_a_short_lease(journal: SqlJournal) -> None:
    lease = claim(journal, "web1", lease_s=1)
    with Heartbeat(journal.locks, lease) as heart:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            heart.check()
            assert [lock.ran_out for lock in journal.locks.locks()] == [False]
            time.sleep(0.1)
    time.sleep(1.2)

    assert [lock.ran_out for lock in journal.locks.locks()] == [True]


def test_a_heart_tells_of_the_loss(journal: SqlJournal, place: Place) -> None:
    lease = claim(journal, "web1", run="r1", lease_s=1)
    with Heartbeat(journal.locks, lease) as heart:
        heart.check()
        place.changed(f"UPDATE claims SET ended = until, taken_by = {lease.token} WHERE token = {lease.token}")  # noqa: S608
        time.sleep(1)
        with pytest.raises(LeaseLost, match="took web1 over"):
            heart.check()


class _Unanswered:
    """Locks of a journal that answers once, and never again."""

    def __init__(self) -> None:
        self.answers: Iterator[Lease] = iter(())

    def claim(self, hosts: object, run_id: str, *, by: str, lease_s: int) -> Lease:
        raise NotImplementedError

    def release(self, lease: Lease) -> None:
        raise NotImplementedError

    def locks(self, hosts: object = None) -> list[HostLock]:
        raise NotImplementedError

    def renew(self, lease: Lease, *, patience_s: float | None = None) -> Lease:  # noqa: ARG002
        for found in self.answers:
            return found
        raise TcptuneError("the journal did not answer")


def test_a_heart_is_not_sure_any_more_once_the_lease_is_over_unrenewed(journal: SqlJournal) -> None:
    lease = claim(journal, "web1", run="r1", lease_s=1)
    silent = _Unanswered()
    silent.answers = iter([lease])
    with Heartbeat(silent, lease) as heart:
        heart.check()
        time.sleep(1.1)
        with pytest.raises(LeaseLost, match="not renewed in time, somebody else may have the hosts: the journal did"):
            heart.check()


def test_a_heart_does_not_begin_with_what_is_lost(journal: SqlJournal) -> None:
    lease = claim(journal, "web1")
    journal.locks.release(lease)
    with pytest.raises(LeaseLost), Heartbeat(journal.locks, lease):
        pytest.fail("the block must not begin")
