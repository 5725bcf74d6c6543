"""Gates of a wave: before, after, threshold and verdict of each host. What stops the rollout comes first."""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.gates import Counted, GateTable, Treat, Verdict
from tcptune.domain.quantities import spelled
from tcptune.reports.layout import aligned, count, names, wrapped

_MOST_ROWS = 20
"""Rows of one kind on a terminal; the other formats have all."""
_ORDER = (Treat.FAIL, Treat.HOLD, Treat.CONTINUE)
_SIGNS = {Verdict.FAILED: "!", Verdict.UNDECIDED: "?", Verdict.PASSED: "+"}
_HEAD = ("host", "gate", "check", "before", "after", "threshold", "unit", "verdict")
_THEN = {
    Treat.FAIL: "The wave fails",
    Treat.HOLD: "A person has to decide",
    Treat.CONTINUE: "The rollout may go on",
}


def terminal(result: GateTable) -> str:
    """Return the rows that stop the rollout with their reasons, and a line for each other check."""
    lines = [f"Gates of {result.title}", ""]
    lines += _in_full([row for row in _sorted(result) if row.treat is not Treat.CONTINUE])
    lines += _in_short([row for row in result.rows if row.treat is Treat.CONTINUE])
    return "\n".join([*lines, summary(result), ""])


def markdown(result: GateTable) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the head and the rows of the table, which has every sample."""
    return (*_HEAD, "why"), [(*_cells(row), row.sample.why) for row in _sorted(result)]


def summary(result: GateTable) -> str:
    """Return one line: how many of each verdict, and what follows."""
    verdicts = [row.sample.verdict for row in result.rows]
    parts = [f"{verdicts.count(verdict)} {verdict.value}" for verdict in (Verdict.FAILED, Verdict.UNDECIDED)]
    parts.append(f"{verdicts.count(Verdict.PASSED)} passed on {count(len(result.hosts), 'host')}")
    if not verdicts:
        return f"Gates: nothing was asked, so nothing is known. {_THEN[result.treat]}."
    return f"Gates: {', '.join(parts)}. {_THEN[result.treat]}."


def _sorted(result: GateTable) -> list[Counted]:
    undecided_first = (Verdict.FAILED, Verdict.UNDECIDED, Verdict.PASSED)
    return sorted(result.rows, key=lambda row: (_ORDER.index(row.treat), undecided_first.index(row.sample.verdict)))


def _in_full(rows: Sequence[Counted]) -> list[str]:
    if not rows:
        return []
    shown = rows[:_MOST_ROWS]
    table = aligned([("", *_HEAD), *((_SIGNS[row.sample.verdict], *_cells(row)) for row in shown)], indent="")
    lines = [table[0]]
    for row, line in zip(shown, table[1:], strict=True):
        lines += [line, *wrapped(row.sample.why, indent="      ")]
    if left := rows[_MOST_ROWS:]:
        hosts = tuple(dict.fromkeys(row.sample.host for row in left))
        lines.append(f"   and {count(len(left), 'row')} more, on {names(hosts)}: --format markdown")
    return [*lines, ""]


def cells(rows: Sequence[Counted]) -> list[str]:
    """Return rows as a table with its head, without their reasons; nothing where there are none."""
    table = [(_SIGNS[row.sample.verdict], *_cells(row)) for row in rows]
    return aligned([("", *_HEAD), *table], indent="") if table else []


def _in_short(rows: Sequence[Counted]) -> list[str]:
    """Return a line for each check and verdict: how many hosts, and the one nearest to its threshold."""
    groups: dict[tuple[str, str, Verdict, str], list[Counted]] = {}
    for row in rows:
        one = row.sample
        groups.setdefault((one.gate, one.check, one.verdict, one.cause or ""), []).append(row)
    cells = []
    for (gate, check, verdict, cause), some in groups.items():
        what = f"{verdict.value}{f' ({cause})' if cause else ''}"
        hosts = names(tuple(row.sample.host for row in some), most=3)
        cells.append((_SIGNS[verdict], gate, check, what, _nearest(some) or hosts))
    return [*aligned(cells, indent=""), ""] if cells else []


def _nearest(rows: Sequence[Counted]) -> str:
    """Return the numbers of the host that used most of its threshold; nothing where none has one."""
    bound = [
        (one.after / one.threshold, one)
        for one in (row.sample for row in rows)
        if one.after is not None and one.threshold
    ]
    if not bound:
        return ""
    _, worst = max(bound, key=lambda pair: (pair[0], pair[1].host))
    where = worst.host if len(rows) == 1 else f"{count(len(rows), 'host')}, at most {worst.host}"
    return f"{where}: {_number(worst.before)} -> {_number(worst.after)} {worst.unit} of {_number(worst.threshold)}"


def _cells(row: Counted) -> tuple[str, ...]:
    one = row.sample
    verdict = one.verdict.value if one.cause is None else f"{one.verdict.value} ({one.cause.value}): {row.treat.value}"
    numbers = (_number(one.before), _number(one.after), _number(one.threshold))
    return (one.host, one.gate, one.check, *numbers, one.unit, verdict)


def _number(value: float | None) -> str:
    return "-" if value is None else spelled(value)
