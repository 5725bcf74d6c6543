"""What captures say, and plans to make them, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tcptune.domain.captures import (
    BothEnds,
    CaptureCause,
    CaptureFinding,
    CapturePlan,
    CaptureReport,
    CauseCount,
)
from tcptune.domain.causes import RemedyKind
from tcptune.reports.layout import count, wrapped

_EXAMPLES = 3
"""Findings shown of each cause; JSON has more."""
_EVIDENCE = 6
Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


def terminal(result: CaptureReport) -> str:
    """Return the causes with examples, then what could not be judged, then the count."""
    return "\n".join([*_report(result), _summary(result), ""])


def terminal_both(result: BothEnds) -> str:
    """Return what is proven, then each end alone."""
    lines = [f"Both ends: {count(result.shared, 'connection')} in common", ""]
    known = {cause.id: cause for cause in result.causes}
    groups: dict[str, list[CaptureFinding]] = {}
    for finding in result.proven:
        groups.setdefault(finding.cause, []).append(finding)
    for name, findings in groups.items():
        cause = known[name]
        lines.append(f"{_sign(cause)} {name}  {cause.title}  (by both captures, on {count(len(findings), 'flow')})")
        lines += [*_examples(findings, len(findings)), *_advice(cause), ""]
    lines += [line for note in result.notes for line in wrapped(f"Note: {note}", indent="")]
    for title, report in (("The client's capture", result.client), ("The server's capture", result.server)):
        lines += ["", title, *_report(report), _summary(report)]
    return "\n".join([*lines, ""])


def terminal_plan(result: CapturePlan) -> str:
    """Return each command below where it belongs and why."""
    lines: list[str] = []
    for number, step in enumerate(result.steps, 1):
        lines += [f"{number}. {step.where}: {step.why}", f"   {step.command}"]
    lines += ["", *(line for note in result.notes for line in wrapped(f"Note: {note}", indent=""))]
    return "\n".join([*lines, "", f"Capture plan: {_megabytes(result)} on disk at most. Nothing has been run.", ""])


def markdown(result: CaptureReport) -> str:
    """Return tables of causes and of examples."""
    return "\n".join(["# Capture", "", *_markdown(result), _summary(result), ""])


def markdown_both(result: BothEnds) -> str:
    """Return what is proven, then each end alone."""
    rows = [_row(finding) for finding in result.proven]
    lines = ["# Captures of both ends", "", *_table("By both captures", _HEAD, rows)]
    lines += [f"- {_cell(note)}" for note in result.notes]
    for title, report in (("The client's capture", result.client), ("The server's capture", result.server)):
        lines += ["", f"# {title}", "", *_markdown(report), _summary(report), ""]
    return "\n".join(lines)


def markdown_plan(result: CapturePlan) -> str:
    """Return a list of the commands."""
    lines = ["# Capture plan", ""]
    for number, step in enumerate(result.steps, 1):
        lines += [f"{number}. {step.where}: {step.why}", "", "   ```sh", f"   {step.command}", "   ```", ""]
    lines += [f"- {_cell(note)}" for note in result.notes]
    return "\n".join([*lines, "", f"{_megabytes(result)} on disk at most. Nothing has been run.", ""])


_HEAD = ("cause", "confidence", "flow", "by", "what", "signs", "packets")


def _report(result: CaptureReport) -> list[str]:
    lines = [f"? {one.name}: {one.damage}" for one in result.files if one.damage]
    for found in result.causes:
        lines += [*_cause(found, [one for one in result.findings if one.cause == found.cause.id]), ""]
    notes = [*result.notes, *_skipped(result)]
    return [*lines, *(line for note in notes for line in wrapped(f"Note: {note}", indent=""))]


def _cause(found: CauseCount, examples: Sequence[CaptureFinding]) -> list[str]:
    sure = ", ".join(
        f"{number} {word}"
        for number, word in ((found.high, "high"), (found.likely, "likely"), (found.possible, "possible"))
        if number
    )
    who = ", ".join(f"{name} ({number})" for name, number in found.by)
    lines = [f"{_sign(found.cause)} {found.cause.id}  {found.cause.title}  ({count(found.flows, 'flow')}: {sure})"]
    lines += wrapped(f"by {who}", indent="    ")
    return [*lines, *_examples(examples, found.flows), *_advice(found.cause)]


def _sign(cause: CaptureCause) -> str:
    return "i" if cause.harmless else "!"


def _examples(findings: Sequence[CaptureFinding], total: int) -> list[str]:
    lines: list[str] = []
    for one in findings[:_EXAMPLES]:
        lines += wrapped(f"{one.flow}  {one.confidence.value}: {one.what}", indent="    ")
        if one.signs:
            lines += wrapped("; ".join(one.signs), indent="      ")
        lines += wrapped(_packets(one), indent="      ")
    if total > _EXAMPLES:
        lines.append(f"    and {total - _EXAMPLES} more: --format json")
    return lines


def _packets(finding: CaptureFinding) -> str:
    return "; ".join(f"{one.packet} at {one.time_s:.6f} s {one.what}" for one in finding.seen[:_EVIDENCE])


def _advice(cause: CaptureCause) -> list[str]:
    lines = [line for text in cause.tell_apart for line in wrapped(f"tell apart: {text}", indent="    ")]
    for remedy in cause.remedies:
        lines += wrapped(f"try ({remedy.kind.value}): {remedy.action}", indent="    ")
    said = any(remedy.kind is RemedyKind.NONE for remedy in cause.remedies)
    if not cause.kernel_change_helps and not said:
        lines.append("    no kernel setting cures this")
    return lines


def _skipped(result: CaptureReport) -> list[str]:
    found = [f"{number} {reason}" for reason, number in result.skipped]
    if result.duplicates:
        found.append(f"{count(result.duplicates, 'copy', 'copies')} of segments seen at several interfaces")
    return [f"packets not judged: {'; '.join(found)}"] if found else []


def _summary(result: CaptureReport) -> str:
    flows = result.flows
    parts = [f"{count(result.packets, 'packet')}, {count(result.segments, 'TCP segment')}"]
    parts.append(
        f"{count(flows.total, 'flow')} ({flows.ended} ended, {flows.open} open, {flows.unseen_start} begun before)"
    )
    if result.data_segments:
        parts.append(f"{result.retransmitted / result.data_segments:.2%} of the data sent again")
    if not result.segments:
        verdict = "nothing to judge"
    elif result.harmful:
        verdict = count(result.harmful, "finding")
    else:
        verdict = "nothing found" if result.judged else "nothing found in the part that could be judged"
    return f"Capture: {verdict}. {', '.join(parts)} in {result.duration_s:.1f} s."


def _markdown(result: CaptureReport) -> list[str]:
    lines = [f"- {_cell(one.name)}: {_cell(one.damage)}" for one in result.files if one.damage]
    rows = [
        (
            one.cause.id,
            one.cause.title,
            f"{one.flows} ({one.high} high, {one.likely} likely, {one.possible} possible)",
            ", ".join(f"{name} ({number})" for name, number in one.by),
            "; ".join(one.cause.tell_apart),
            "; ".join(f"{remedy.kind.value}: {remedy.action}" for remedy in one.cause.remedies),
        )
        for one in result.causes
    ]
    lines += _table("Causes", ("cause", "what", "flows", "by", "tell apart", "remedies"), rows)
    lines += _table("Examples", _HEAD, [_row(one) for one in _few(result.findings)])
    lines += [f"- {_cell(note)}" for note in (*result.notes, *_skipped(result))]
    return [*lines, ""]


def _few(findings: Iterable[CaptureFinding]) -> Iterable[CaptureFinding]:
    seen: dict[str, int] = {}
    for one in findings:
        seen[one.cause] = seen.get(one.cause, 0) + 1
        if seen[one.cause] <= _EXAMPLES:
            yield one


def _row(one: CaptureFinding) -> tuple[str, ...]:
    return (one.cause, one.confidence.value, one.flow, one.by, one.what, "; ".join(one.signs), _packets(one))


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _megabytes(result: CapturePlan) -> str:
    return f"{result.disk_bytes // 1_000_000} MB"
