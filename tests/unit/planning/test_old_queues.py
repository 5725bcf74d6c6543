"""Listeners that nobody has started again since a run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tcptune.domain.changes import Plan
from tcptune.domain.facts import HostFacts
from tcptune.domain.followups import FollowUp
from tcptune.domain.runs import HostState
from tcptune.domain.sockets import SocketProcess
from tcptune.domain.state import Listener, Listeners
from tcptune.domain.verdicts import HostVerdict, OldQueue
from tcptune.planning.old_queues import asked_for, old_queues
from tests.unit.builders import NOW, SOMAXCONN, change, cohort, facts, plan, result, run
from tests.unit.detectors.hosts import sockets

DO = "systemctl restart nginx.service"
LEFT = FollowUp(
    do=DO, process="nginx", unit="nginx.service", because=(SOMAXCONN,), once="applied", hosts=("web1", "web2")
)
PLAN = plan(cohort("web1", changes=(change(SOMAXCONN, "128", "4096"),)), afterwards=(LEFT,))
AGO_S = 600


def host(*, backlog: int | None = 128, age_s: float | None = 9000.0, name: str = "nginx") -> HostFacts:
    process = SocketProcess(pid=712, name=name, unit=f"{name}.service", age_s=age_s, listens=True)
    listener = Listener(address="*", port=443, queue=0, backlog=backlog, pids=(712,))
    return facts().model_copy(
        update={
            "collected_at": NOW + timedelta(seconds=AGO_S),
            "listeners": Listeners(source="ss", listeners=(listener,), processes=(process,)),
            "sockets": sockets(processes=(process,)),
        }
    )


def found(one: HostFacts, made: Plan = PLAN, state: HostState = HostState.CONFIRMED) -> list[OldQueue]:
    return list(old_queues(one, run(result(state=state)), made))


@pytest.mark.parametrize("state", [HostState.HELD, HostState.CONFIRMED])
def test_a_program_that_is_older_than_the_run_keeps_its_queue(state: HostState) -> None:
    assert found(host(), state=state) == [OldQueue(listener="nginx on *:443", backlog=128, do=DO)]


@pytest.mark.parametrize(
    "one",
    [
        host(age_s=AGO_S - 1),  # started since: it asks for this length by itself
        host(age_s=None),
        host(backlog=4096),
        host(backlog=511),
        host(backlog=None),
        host(name="java"),  # the plan leaves nothing of it to a person
        facts(),
    ],
)
def test_nothing_is_said_where_it_is_not_certain(one: HostFacts) -> None:
    assert found(one) == []


def test_a_queue_that_is_longer_than_a_lowered_limit_is_the_old_one() -> None:
    lowered = plan(cohort("web1", changes=(change(SOMAXCONN, "4096", "128"),)), afterwards=(LEFT,))

    assert [one.backlog for one in found(host(backlog=511), lowered)] == [511]


def test_a_run_that_was_taken_back_leaves_nothing_to_do() -> None:
    assert found(host(), state=HostState.ROLLED_BACK) == []


def test_sockets_are_looked_at_for_plans_that_leave_a_queue_to_a_person_alone() -> None:
    assert asked_for(PLAN)
    assert not asked_for(plan(cohort("web1", changes=(change(SOMAXCONN, "128", "4096"),))))


def test_a_host_with_an_old_queue_is_as_left_and_not_done() -> None:
    waits = HostVerdict(host="web1", state=HostState.CONFIRMED, checks=(), old_queues=tuple(found(host())))

    assert (waits.ok, waits.in_place, len(waits.waiting)) == (False, True, 1)
