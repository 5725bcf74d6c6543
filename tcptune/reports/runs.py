"""The list of runs, and which of them the journal has forgotten, as text."""

from __future__ import annotations

from tcptune.domain.journal import ListedRun, Pruned, RunList
from tcptune.domain.runs import HostState
from tcptune.reports.layout import aligned, count

HEAD = ("run", "started (UTC)", "profile", "plan", "hosts")


def listed(result: RunList) -> str:
    """Return a line for each run."""
    if not result.runs:
        return "No runs yet.\n"
    return "\n".join([*aligned([HEAD, *rows(result)], indent=""), ""])


def rows(result: RunList) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    return [
        (run.run_id, f"{run.started_at:%Y-%m-%d %H:%M}", run.profile, run.plan_id[:12], _hosts(run))
        for run in result.runs
    ]


def _hosts(run: ListedRun) -> str:
    states = ", ".join(f"{run.states[state]} {state}" for state in HostState if run.states.get(state))
    if run.at_work is None:
        return states
    return f"{states}; {run.at_work.act} {'at work' if run.at_work.alive else 'not ended'}"


def pruned(result: Pruned) -> str:
    """Return the runs that are gone, then those that stay though they are old enough, with the reason."""
    lines = [f"  - {run_id}" for run_id in result.forgotten]
    lines += aligned([("!", one.run_id, f"stays: {one.why}") for one in result.kept])
    return "\n".join([*lines, f"Prune: {summary(result)}", ""])


def summary(result: Pruned) -> str:
    """Return the count in a sentence."""
    gone = count(len(result.forgotten), "run")
    stay = f", {len(result.kept)} {'stays' if len(result.kept) == 1 else 'stay'}" if result.kept else ""
    of = f"of those that began before {result.before:%Y-%m-%d %H:%M} UTC"
    if result.dry_run:
        return f"{gone} would be forgotten{stay}, {of}. Nothing was forgotten."
    return f"{gone} forgotten{stay}, {of}. No host was changed."
