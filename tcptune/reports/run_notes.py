"""What a run's record knows of its hosts, and what it cannot know: a controller may die, and never say so."""

from __future__ import annotations

from tcptune.domain.runs import Act, HostResult, HostState, Run
from tcptune.reports.layout import count, names, wrapped

_ENDING = {Act.APPLY: "applying", Act.CONFIRM: "confirming", Act.EXTEND: "extending", Act.ROLLBACK: "rolling back"}


def said(run: Run, result: HostResult) -> str:
    """Return what is known of a host beside its state."""
    act = result.doing or (Act.APPLY if result.state is HostState.APPLYING and not result.error else None)
    if act is None:
        return result.error or (f"{count(len(result.replaced), 'value')} replaced" if result.replaced else "")
    if run.at_work and run.at_work.alive:
        return f"{_ENDING[act]} now"
    if run.at_work and run.at_work.alive is None:
        return f"{_ENDING[act]}, as far as is known here"
    return f"was {_ENDING[act]} when the controller ended; only the host knows how far it came"


def warnings(run: Run) -> list[str]:
    """Return the lines about what hosts said beside the outcome, those with the same words together."""
    hosts: dict[str, list[str]] = {}
    for result in run.results:
        for text in result.warnings:
            hosts.setdefault(text, []).append(result.host)
    return [line for text, some in hosts.items() for line in wrapped(f"! {names(some)}: {text}", indent="    ")]


def waiting(run: Run) -> int:
    """Return how many hosts have not been heard of since something was begun there."""
    return sum(r.doing is not None or (r.state is HostState.APPLYING and not r.error) for r in run.results)


def work(run: Run) -> str | None:
    """Return who is at work on a run, or died at it; None where every command came to its end."""
    if run.at_work is None:
        return "its controller ended without a word of some hosts" if waiting(run) else None
    who = f"{run.at_work.act} by {run.at_work.by} (pid {run.at_work.pid})"
    since = f"begun {run.at_work.since:%Y-%m-%d %H:%M:%S} UTC"
    if run.at_work.alive:
        return f"{who} is at work on it, {since}"
    if run.at_work.alive is None:
        return f"{who} has not ended, {since}; whether it is still there cannot be seen from this machine"
    return f"{who} died at it, {since}"


def advice(run: Run) -> str | None:
    """Return what to do about hosts that nothing was heard of; None where there are none, or it is under way."""
    if not waiting(run) or (run.at_work and run.at_work.alive):
        return None
    return (
        f"{count(waiting(run), 'host')} not heard of. Ask the hosts: tcptune doctor   "
        f"Undo it: tcptune rollback {run.run_id}"
    )
