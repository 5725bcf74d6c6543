"""Claims of one command's time, on a real journal: who is let in, who waits, and what is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from tcptune.adapters.journal.store import SqlJournal
from tcptune.domain.hosts import Host
from tcptune.domain.journal import HostLock
from tcptune.domain.runs import Act, Run, Work
from tcptune.errors import HostsClaimed, LeaseLost, TcptuneError, UsageError
from tcptune.knowledge.catalogue import catalogue
from tcptune.workflows.change import Changer, new_run
from tcptune.workflows.claims import Claims, waited_for
from tests.unit.builders import NOW, SOMAXCONN, answer, change, cohort, host, plan
from tests.unit.fakes import FakeApplier, MemoryJournal, clock, collector

PLAN = plan(cohort("web1", "web2", changes=(change(SOMAXCONN, "128", "4096"),)))
HOSTS = [host("web1"), host("web2")]
SAYS = {name: answer({SOMAXCONN: "128"}) for name in ("web1", "web2")}


class Story:
    """Two controllers that share the claims of one journal."""

    def __init__(self, folder: Path) -> None:
        self.locks = SqlJournal(f"sqlite:///{folder}/journal.sqlite").locks
        self.applier = FakeApplier()
        self.changer = Changer(self.applier, MemoryJournal(), clock, lambda _result: None, catalogue(), "ada@c")
        self.told: list[Sequence[HostLock]] = []
        self.waits = 0
        self.lost = False
        self.claims = Claims(self.locks, lambda _lease: nullcontext(self), "ada@c", "7", self.pause, self.told.append)

    def check(self) -> None:
        if self.lost:
            raise LeaseLost("run r1: somebody else may have the hosts")

    def pause(self, _seconds: float) -> None:
        self.waits += 1

    def apply(self, hosts: Sequence[Host] = HOSTS, *, waits: bool = False, run: Run | None = None) -> None:
        run = run or new()
        with self.claims.alone(self.changer, run, hosts, waits=waits) as alone:
            alone.apply(collector(SAYS), PLAN, hosts, run)

    def holders(self) -> dict[str, str]:
        return {lock.host: lock.run_id for lock in self.locks.locks()}


def new(work: Work | None = None) -> Run:
    run = new_run(PLAN, run_id="r1", operator="ada@c", tool_version="0.1.0", started_at=NOW)
    return run.model_copy(update={"at_work": work})


def work(pid: str, *, alive: bool | None) -> Work:
    return Work(act=Act.APPLY, by="ada@c", since=NOW, process="-", pid=pid, alive=alive)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_hosts_are_claimed_while_a_command_works_and_given_back_at_its_end(story: Story) -> None:
    with story.claims.alone(story.changer, new(), HOSTS):
        assert story.holders() == {"web1": "r1", "web2": "r1"}
    assert story.holders() == {}


def test_nothing_is_touched_or_begun_where_somebody_else_has_one_host(story: Story) -> None:
    story.locks.claim(["web2"], "other", by="bob@d, pid 9", lease_s=60)

    with pytest.raises(HostsClaimed, match="web2: run other by bob@d, pid 9, since"):
        story.apply()
    assert (story.applier.calls, story.changer.journal.runs()) == ([], [])
    assert story.holders() == {"web2": "other"}
    assert story.waits == 0


def test_a_mistake_before_the_first_write_gives_the_hosts_back(story: Story) -> None:
    with pytest.raises(UsageError), story.claims.alone(story.changer, new(), HOSTS) as alone:
        alone.confirm(collector(SAYS), new(), PLAN, HOSTS)
    assert story.holders() == {}


def test_after_a_first_write_that_went_wrong_the_claim_is_left_to_run_out(story: Story) -> None:
    def goes_wrong() -> None:
        with story.claims.alone(story.changer, new(), HOSTS) as alone:
            list(alone.applier.apply("r1", PLAN, HOSTS, None))
            raise TcptuneError("the disk is full")

    with pytest.raises(TcptuneError, match="the disk is full"):
        goes_wrong()
    assert story.holders() == {"web1": "r1", "web2": "r1"}


def test_nothing_is_written_once_the_claim_may_be_lost(story: Story) -> None:
    story.lost = True
    with pytest.raises(LeaseLost):
        story.apply()
    assert story.applier.calls == []


def test_what_a_dead_process_of_this_run_here_had_claimed_is_taken_over_at_once(story: Story) -> None:
    story.locks.claim(["web1", "web2"], "r1", by="ada@c, pid 6", lease_s=60)

    story.claims.take(new(work("6", alive=False)), ["web1", "web2"])

    assert {lock.by for lock in story.locks.locks()} == {"ada@c, pid 7"}


def test_of_two_who_take_up_a_run_at_once_the_second_does_not_take_the_claim_of_the_first(story: Story) -> None:
    # Both had read that process 6 is dead; process 8 was faster.
    story.locks.claim(["web1", "web2"], "r1", by="ada@c, pid 8", lease_s=60)

    with pytest.raises(HostsClaimed, match="pid 8"):
        story.claims.take(new(work("6", alive=False)), ["web1", "web2"])


@pytest.mark.parametrize("alive", [True, None])
def test_a_process_that_may_be_there_keeps_its_claim(story: Story, *, alive: bool | None) -> None:
    story.locks.claim(["web1"], "r1", by="ada@c, pid 6", lease_s=60)

    with pytest.raises(TcptuneError):
        story.claims.take(new(work("6", alive=alive)), ["web1"])
    assert {lock.by for lock in story.locks.locks()} == {"ada@c, pid 6"}


def test_a_way_back_waits_for_a_claim_that_nobody_renews(story: Story) -> None:
    lease = story.locks.claim(["web1"], "r1", by="bob@d, pid 9", lease_s=60)

    def pause(_seconds: float) -> None:
        story.waits += 1
        if story.waits == 3:
            story.locks.release(lease)

    claims = Claims(story.locks, story.claims.beating, "ada@c", "7", pause, story.told.append)
    claims.take(new(), ["web1"], waits=True)

    assert story.waits == 3
    assert story.holders() == {"web1": "r1"}
    assert "run r1 by bob@d, pid 9: waiting until" in waited_for(story.told[0])


def test_a_way_back_does_not_wait_for_a_controller_that_lives(story: Story) -> None:
    lease = story.locks.claim(["web1"], "r2", by="bob@d, pid 9", lease_s=60)

    def renew(_seconds: float) -> None:
        story.waits += 1
        while story.locks.renew(lease).until <= lease.until:
            pass

    claims = Claims(story.locks, story.claims.beating, "ada@c", "7", renew, story.told.append)
    with pytest.raises(HostsClaimed, match="web1: run r2 by bob@d, pid 9, since"):
        claims.take(new(), ["web1"], waits=True)
    assert story.waits == 1


def test_the_wait_for_a_claim_has_an_end(story: Story) -> None:
    story.locks.claim(["web1"], "r2", by="bob@d, pid 9", lease_s=3600)

    with pytest.raises(HostsClaimed):
        story.claims.take(new(), ["web1"], waits=True)
    assert 60 <= story.waits <= 90
