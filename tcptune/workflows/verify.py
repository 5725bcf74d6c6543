"""Verify: look at a run's hosts again. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcptune.domain.changes import Plan
from tcptune.domain.facts import Unread
from tcptune.domain.hosts import Host
from tcptune.domain.parameters import Parameter
from tcptune.domain.runs import HostState, Run
from tcptune.domain.verdicts import HostVerdict, RunVerdict
from tcptune.errors import UsageError
from tcptune.planning.old_queues import SECTIONS, asked_for, old_queues
from tcptune.planning.verify import verify_host
from tcptune.workflows.collect import Collector, keys_of, sections_of

_NEVER_CHANGED = frozenset({HostState.PLANNED, HostState.STALE, HostState.UNREACHABLE})


def reached(run: Run, hosts: Sequence[Host]) -> list[Host]:
    """Return those of the hosts that the run changed something on, or may have."""
    by_host = {result.host: result for result in run.results}
    return [h for h in hosts if h.name in by_host and by_host[h.name].state not in _NEVER_CHANGED]


def verify(
    collector: Collector, run: Run, plan: Plan, hosts: Sequence[Host], parameters: Mapping[str, Parameter]
) -> RunVerdict:
    """Return, for every host the run reached, whether what it left is still there.

    Raises UsageError where it reached none of them: no host looked at is no good news.
    """
    by_host = {result.host: result for result in run.results}
    changed = reached(run, hosts)
    if not changed:
        raise UsageError(f"run {run.run_id} changed none of these hosts", hint=f"tcptune runs {run.run_id}")
    verdicts = []
    sections = sections_of(plan, boot=True)
    if asked_for(plan):
        sections = list(dict.fromkeys([*sections, *SECTIONS]))
    for one in collector.stream(changed, keys_of(plan), sections):
        result = by_host[one.host]
        if isinstance(one, Unread):
            verdicts.append(
                HostVerdict(host=one.host, state=result.state, checks=(), error=one.error, hint=one.hint),
            )
        else:
            checked = verify_host(one, plan.cohort_of(one.host), result, parameters)
            verdicts.append(checked.model_copy(update={"old_queues": tuple(old_queues(one, run, plan))}))
    return RunVerdict(run_id=run.run_id, hosts=tuple(sorted(verdicts, key=lambda v: v.host)))
