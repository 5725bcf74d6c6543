"""What is left over of runs, as text."""

from __future__ import annotations

from tcptune.domain.host_runs import Doctor, Leftover, Settlement
from tcptune.reports.layout import aligned, count, names, wrapped


def terminal(result: Doctor) -> str:
    """Return the leftovers host by host, then the hosts that could not be looked at."""
    lines: list[str] = []
    for one in result.leftovers:
        lines += [f"! {one.host}  run {one.run}", *wrapped(one.what, indent="      ")]
        lines.append(f"      try: {one.command}")
    lines += aligned([("?", one.host, one.why, f"try: {one.hint}" if one.hint else "") for one in result.unseen])
    if result.fine:
        lines.append(f"  {names(result.fine)}: nothing is left over")
    lines += [f"  {_at_once(one)}: {one.command}" for one in result.settlements]
    return "\n".join([*lines, "", f"Doctor: {_summary(result)}. Nothing has been changed.", ""])


def markdown(result: Doctor) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the head and the rows of the table."""
    return ("host", "run", "on the host", "in the journal", "what", "to settle it"), [
        *(_row(one) for one in result.leftovers),
        *((one.host, "", "could not be read", "", one.why, one.hint or "") for one in result.unseen),
    ]


def markdown_settlements(result: Doctor) -> list[str]:
    """Return a list: the one command for each run that is left over on several hosts."""
    lines = [f"- {_at_once(one)}: `{one.command}`" for one in result.settlements]
    return [*lines, ""] if lines else []


def _at_once(one: Settlement) -> str:
    return f"run {one.run} on these {count(len(one.hosts), 'host')} at once"


def _row(one: Leftover) -> tuple[str, ...]:
    return (one.host, one.run, one.on_host or "no record", one.in_journal or "not known", one.what, f"`{one.command}`")


def _summary(result: Doctor) -> str:
    hosts = {one.host for one in result.leftovers}
    total = len(hosts) + len(result.fine) + len(result.unseen)
    parts = [f"{count(len(result.leftovers), 'run')} left over on {len(hosts)} of {count(total, 'host')}"]
    if result.unseen:
        parts.append(f"{len(result.unseen)} could not be read")
    return ", ".join(parts)
