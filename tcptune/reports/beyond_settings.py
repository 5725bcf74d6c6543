"""What a plan, a run and a verdict have beside settings: limits in files of ours, and what is left to a person."""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.changes import LimitChange
from tcptune.domain.followups import FollowUp
from tcptune.domain.limits import NextStart
from tcptune.domain.runs import HostResult
from tcptune.domain.verdicts import FileOutcome, HostVerdict, OldQueue, RunVerdict
from tcptune.reports.layout import aligned, count, names, wrapped

LIMITS_HEAD = ("limit", "process", "wanted", "now", "at the next start until now", "file", "why")
"""Of the table whose rows `limit_rows` gives."""

AFTERWARDS_HEAD = ("by hand", "for", "once", "hosts")
"""Of the table whose rows `afterwards_rows` gives."""

VERDICT_HEAD = ("host", "limit, file or listener", "verdict", "found")
"""Of the table whose rows `verdict_rows` gives."""

_FEW = 3


def limits(found: Sequence[LimitChange]) -> list[str]:
    """Return the lines about the limits of a cohort for a terminal."""
    if not found:
        return []
    rows = [("", "limit", "process", "wanted", "now", "at the next start until now")]
    rows += [("~", f.limit, f.who, str(f.layers.wanted), str(f.layers.soft), _start(f.layers.at_start)) for f in found]
    table = aligned(rows)
    lines = [table[0]]
    for one, line in zip(found, table[1:], strict=True):
        lines += [line, *wrapped(one.why, indent="      ")]
        lines += wrapped(one.demand, indent="      ") if " = " in one.demand else []
        lines += [line for note in one.notes for line in wrapped(f"! {note}", indent="      ")]
    return lines


def limit_rows(found: Sequence[LimitChange]) -> list[tuple[str, ...]]:
    """Return a row for each limit of a cohort."""
    return [
        (
            one.limit,
            one.who,
            one.demand,
            str(one.layers.soft),
            _start(one.layers.at_start),
            f"`{one.path}`",
            " ".join([one.why, *(f"**{note}.**" for note in one.notes)]),
        )
        for one in found
    ]


def afterwards(found: Sequence[FollowUp]) -> list[str]:
    """Return the lines about what is left to a person; none where nothing is."""
    if not found:
        return []
    rows = [
        (
            ">",
            one.do,
            _hosts(one),
            ", ".join(one.because),
            "once confirmed" if one.once == "confirmed" else "once applied",
        )
        for one in found
    ]
    return ["To do by hand for it to matter; tcptune restarts nothing:", *aligned(rows)]


def afterwards_rows(found: Sequence[FollowUp]) -> list[tuple[str, ...]]:
    """Return a row for each service that a person has to start again."""
    return [(f"`{one.do}`", ", ".join(one.because), one.once, ", ".join(one.hosts)) for one in found]


def at_boot(results: Sequence[HostResult]) -> list[str]:
    """Return the lines about what wins over our files on hosts of a run, the same on many hosts once."""
    hosts: dict[str, list[str]] = {}
    for result in results:
        for said in result.at_boot.said if result.at_boot else ():
            hosts.setdefault(said, []).append(result.host)
    return [line for said, of in hosts.items() for line in wrapped(f"! {names(of)}: {said}", indent="    ")]


def verdict(host: HostVerdict) -> list[str]:
    """Return the lines about limits, files and queues of a host that are not as left."""
    rows = [
        (_MARKS[file.outcome], file.what, file.outcome.value, file.said)
        for file in host.files
        if file.outcome is not FileOutcome.AS_LEFT
    ]
    rows += [(">", one.listener, FileOutcome.WAITS.value, _queue(one)) for one in host.old_queues]
    return aligned(rows, indent="    ")


def verdict_rows(result: RunVerdict) -> list[tuple[str, ...]]:
    """Return a row for each limit and file, and for each queue that is the old one."""
    rows: list[tuple[str, ...]] = [
        (host.host, one.listener, f"**{FileOutcome.WAITS.value}**", _queue(one))
        for host in result.hosts
        for one in host.old_queues
    ]
    return rows + [
        (
            host.host,
            file.what,
            file.outcome.value if file.outcome is FileOutcome.AS_LEFT else f"**{file.outcome.value}**",
            file.said,
        )
        for host in result.hosts
        for file in host.files
    ]


_MARKS = {FileOutcome.WAITS: ">", FileOutcome.MOVED: "~", FileOutcome.UNKNOWN: "?"}


def _queue(one: OldQueue) -> str:
    return f"its queue takes {one.backlog}, as before the run: {one.do}"


def _hosts(one: FollowUp) -> str:
    few = names(one.hosts, most=_FEW)
    return few if len(one.hosts) <= _FEW else f"{count(len(one.hosts), 'host')}: {few}"


def _start(start: NextStart) -> str:
    return f"not known: {start.by}" if start.soft is None else f"{start.soft} ({start.by})"
