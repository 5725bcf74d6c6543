"""Listeners that still have the queue from before a run: programs that nobody has started again. Pure.

It is said only where it is certain: the queue is as long as the old value let it be, and the program is older than the
run. Who is younger asks for that length by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from tcptune.domain.changes import Change, Plan
from tcptune.domain.facts import HostFacts
from tcptune.domain.followups import FollowUp
from tcptune.domain.runs import HostState, Run
from tcptune.domain.sockets import SocketProcess
from tcptune.domain.values import numbers
from tcptune.domain.verdicts import OldQueue

SOMAXCONN = "net.core.somaxconn"
SECTIONS = ("listeners", "sockets")
"""What tells the length of queues, and how old processes are."""
_MADE = frozenset({HostState.HELD, HostState.CONFIRMED})


def asked_for(plan: Plan) -> bool:
    """Say whether the plan leaves a listener to a person for the length of its queue."""
    return any(SOMAXCONN in one.because for one in plan.afterwards)


def old_queues(facts: HostFacts, run: Run, plan: Plan) -> Iterator[OldQueue]:
    """Yield the listeners of one host that its plan leaves to a person, and that wait for that person still."""
    if run.result(facts.host).state not in _MADE or facts.listeners is None or facts.sockets is None:
        return
    change = next((one for one in plan.cohort_of(facts.host).changes if one.key == SOMAXCONN), None)
    left = [one for one in plan.afterwards if SOMAXCONN in one.because and facts.host in one.hosts]
    if change is None or not left:
        return
    since_s = (facts.collected_at - run.started_at) / timedelta(seconds=1)
    old = {one.pid: one for one in facts.sockets.processes if one.age_s is not None and one.age_s > since_s}
    for listener in facts.listeners.listeners:
        owner = next((old[pid] for pid in listener.pids if pid in old), None)
        todo = _todo(owner, left) if owner is not None else None
        if owner is not None and todo is not None and listener.backlog is not None and _old(listener.backlog, change):
            yield OldQueue(
                listener=f"{owner.name} on {listener.address}:{listener.port}", backlog=listener.backlog, do=todo.do
            )


def _todo(process: SocketProcess, left: Iterable[FollowUp]) -> FollowUp | None:
    return next((one for one in left if one.process == process.name and one.unit in {None, process.unit}), None)


def _old(backlog: int, change: Change) -> bool:
    before, after = ((numbers(text) or (0,))[0] for text in (change.before, change.after))
    return backlog == before or backlog > after
