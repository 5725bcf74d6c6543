"""Limits of processes in an audit: lines for a terminal, rows and drop-ins for a review."""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.findings import (
    LimitDeviates,
    LimitFinding,
    LimitMet,
    LimitNotApplicable,
    LimitUnknown,
    LimitWaived,
)
from tcptune.domain.limits import NextStart
from tcptune.reports.layout import aligned, wrapped

HEAD = ("limit", "process", "outcome", "wanted", "now", "at the next start", "why")
"""Of the table whose rows `rows` gives."""


def terminal(found: Sequence[LimitFinding]) -> list[str]:
    """Return the lines about the limits of some hosts; none where nothing is asked of them."""
    if not found:
        return []
    deviating = [f for f in found if isinstance(f, LimitDeviates)]
    met = [f for f in found if isinstance(f, LimitMet)]
    lines = [f"  limits: {_counts(found)}"]
    if deviating:
        table = aligned(
            [
                ("", "limit", "process", "wanted", "now", "at the next start"),
                *(("~", f.limit, _who(f), f.demand, str(f.layers.soft), _start(f.layers.at_start)) for f in deviating),
            ]
        )
        lines.append(table[0])
        for finding, line in zip(deviating, table[1:], strict=True):
            lines += [line, *wrapped(finding.why, indent="      "), *_remarks(finding)]
    lines += aligned([("+", f.limit, _who(f), f.note) for f in met if f.note])
    lines += aligned([("?", f.limit, _who(f), f.why) for f in found if isinstance(f, LimitUnknown)])
    lines += aligned([("w", f.limit, _who(f), _waiver(f)) for f in found if isinstance(f, LimitWaived)])
    lines += aligned([("-", f.limit, _who(f), f.why) for f in found if isinstance(f, LimitNotApplicable)])
    return lines


def _counts(found: Sequence[LimitFinding]) -> str:
    words = (
        (LimitDeviates, "deviate"),
        (LimitMet, "met"),
        (LimitWaived, "waived"),
        (LimitNotApplicable, "not applicable"),
        (LimitUnknown, "unknown"),
    )
    counts = ((sum(isinstance(f, kind) for f in found), word) for kind, word in words)
    return ", ".join(f"{number} {word}" for number, word in counts if number)


def rows(found: Sequence[LimitFinding]) -> list[tuple[str, ...]]:
    """Return a row for each limit, in columns as HEAD names them."""
    return [(f.limit, _who(f), f.outcome.replace("_", " "), *_cells(f)) for f in found]


def drop_ins(found: Sequence[LimitFinding]) -> list[str]:
    """Return the files that a plan writes, each with what is left to a person then, as Markdown."""
    lines: list[str] = []
    for f in found:
        if isinstance(f, LimitDeviates) and f.by_hand.path and f.by_hand.content:
            lines += [f"`{f.by_hand.path}`, which `plan` writes{f', then {_then(f)}' if _then(f) else ''}:", ""]
            lines += ["```ini", *f.by_hand.content.splitlines(), "```", ""]
    return lines


def _remarks(finding: LimitDeviates) -> list[str]:
    lines = [line for note in finding.notes for line in wrapped(f"! {note}", indent="      ")]
    by_hand = finding.by_hand
    if by_hand.path and by_hand.content:
        lines.append(f"      ! plan writes {by_hand.path}")
        lines += [f"          {line}" for line in by_hand.content.splitlines()]
        return [*lines, *(wrapped(f"then by hand: {_then(finding)}", indent="        ") if by_hand.steps else [])]
    return [*lines, *wrapped(f"! by hand: {_then(finding)}", indent="      ")]


def _then(finding: LimitDeviates) -> str:
    return "; ".join(finding.by_hand.steps)


def _cells(finding: LimitFinding) -> tuple[str, str, str, str]:
    match finding:
        case LimitMet() | LimitDeviates() | LimitWaived():
            layers = finding.layers
            return finding.demand, str(layers.soft), _start(layers.at_start), _why(finding)
        case _:
            return "", "", "", finding.why


def _why(finding: LimitMet | LimitDeviates | LimitWaived) -> str:
    match finding:
        case LimitWaived():
            return _waiver(finding)
        case LimitMet():
            return " ".join([finding.why, *([finding.note] if finding.note else [])])
        case LimitDeviates():
            notes = [*finding.notes, *([] if finding.by_hand.path else [f"By hand: {_then(finding)}"])]
            return " ".join([finding.why, f"({finding.where.value})", *(f"**{note}.**" for note in notes)])


def _waiver(finding: LimitWaived) -> str:
    return f"{finding.demand}, is {finding.layers.soft}; until {finding.until} by {finding.who}: {finding.why}"


def _start(start: NextStart) -> str:
    if start.soft is None:
        return f"not known: {start.by}"
    return f"{start.soft} ({start.by})"


def _who(finding: LimitFinding) -> str:
    return f"{finding.process} ({finding.unit})" if finding.unit else finding.process
