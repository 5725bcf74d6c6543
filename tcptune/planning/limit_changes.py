"""Which limits a plan changes, in which files of ours, and which are left to a person and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tcptune.domain.changes import LIMITS_PATH, Change, FileChange, LimitChange, SkipKind, Skipped
from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.findings import LimitDeviates, LimitFinding, LimitNotApplicable, LimitUnknown, LimitWaived
from tcptune.domain.limits import LIMIT_KEY
from tcptune.domain.values import numbers
from tcptune.planning.limits import limits_of
from tcptune.planning.own_files import is_unit_path, limit_value, limits_text, text_now, unit_text

NR_OPEN = "fs.nr_open"

LEAST = 1024
"""The fewest files that a host lets a file of ours say: what every process gets without us."""

_PLAIN_UNIT = re.compile(r"(?!\.)(?!.*\.\.)(?:[A-Za-z0-9:_.@-]|\\x[0-9a-f]{2}){1,240}(?<!-)\.service")
"""A name of which the host takes a drop-in. A folder that ends in a dash would be about more than one service."""


class LimitPlan(NamedTuple):
    """What comes of the limits of one host."""

    changes: tuple[LimitChange, ...]
    files: tuple[FileChange, ...]
    skipped: tuple[Skipped, ...]


def plan_limits(facts: HostFacts, found: Sequence[LimitFinding], planned: Mapping[str, Change]) -> LimitPlan:
    """Return the limits that files of ours bring about, and what is left out. `planned`: the settings of the plan."""
    changes: list[LimitChange] = []
    skipped: list[Skipped] = []
    for finding in found:
        if isinstance(finding, LimitDeviates) and finding.by_hand.path:
            if (why := _obstacle(finding, finding.by_hand.path, facts, planned)) is None:
                changes.append(_change(finding, finding.by_hand.path))
                continue
            skipped.append(_skipped(facts.host, finding, f"{_short(finding)} Not planned: {why}"))
        elif (why := _left_out(finding)) is not None:
            skipped.append(_skipped(facts.host, finding, why))
    paths = sorted({change.path for change in changes})
    files = [_file(path, [c for c in changes if c.path == path], facts) for path in paths]
    return LimitPlan(tuple(changes), tuple(file for file in files if file.before != file.after), tuple(skipped))


def raised_to(planned: Mapping[str, Change]) -> int | None:
    """Return what the plan raises fs.nr_open to for good, or None where it does not."""
    change = planned.get(NR_OPEN)
    if change is None or change.shadowed_by or change.lost_at_boot:
        return None
    return (numbers(change.after) or (None,))[0]


def _obstacle(finding: LimitDeviates, path: str, facts: HostFacts, planned: Mapping[str, Change]) -> str | None:
    wanted = finding.layers.wanted
    reading = facts.sysctl.get(NR_OPEN)
    most = (numbers(reading.text) or (0,))[0] if isinstance(reading, Value) else None
    if most is None:
        return f"{NR_OPEN} is not known, above which no process can be allowed more"
    if wanted > most and wanted > (raised_to(planned) or 0):
        return f"{NR_OPEN} is {most}, and this plan does not raise it to {wanted}"
    if wanted < LEAST:
        return f"no file of ours says less than {LEAST}"
    if is_unit_path(path) and not _PLAIN_UNIT.fullmatch(finding.unit or ""):
        return f"the name of {finding.unit} has other characters than the host takes: write {path} by hand"
    try:
        text_now(path, facts)
    except ValueError as problem:
        return str(problem)
    return None


def _change(finding: LimitDeviates, path: str) -> LimitChange:
    return LimitChange(
        process=finding.process,
        unit=finding.unit if is_unit_path(path) else None,
        layers=finding.layers,
        path=path,
        demand=finding.demand,
        why=finding.why,
        source=finding.source,
        notes=finding.notes,
    )


def _file(path: str, changes: Iterable[LimitChange], facts: HostFacts) -> FileChange:
    # Two programs of one unit start with one limit: the highest.
    pairs = [limits_of(change.layers) for change in changes]
    soft, hard = max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)
    before = text_now(path, facts)
    after = limits_text(before, "root", soft, hard) if path == LIMITS_PATH else unit_text(limit_value(soft, hard))
    return FileChange(path=path, before=before, after=after)


def _short(finding: LimitDeviates) -> str:
    layers = finding.layers
    start = "not known" if layers.at_start.soft is None else layers.at_start.soft
    short = f"{_who(finding)}: {layers.soft} now, {start} at the next start, wanted {finding.demand}"
    return f"{'. '.join([short, *finding.notes])}."


def _left_out(finding: LimitFinding) -> str | None:
    match finding:
        case LimitDeviates():
            return f"{_short(finding)} By hand: {finding.by_hand}"
        case LimitWaived():
            return f"{_who(finding)}: waived until {finding.until} by {finding.who}: {finding.why}"
        case LimitUnknown() | LimitNotApplicable():
            return f"{_who(finding)}: {finding.why}"
        case _:
            return None


def _skipped(host: str, finding: LimitFinding, why: str) -> Skipped:
    kinds = {
        "deviates": SkipKind.OUT_OF_REACH,
        "waived": SkipKind.WAIVED,
        "not_applicable": SkipKind.NOT_APPLICABLE,
    }
    return Skipped(host=host, key=LIMIT_KEY, why=why, kind=kinds.get(finding.outcome, SkipKind.UNKNOWN))


def _who(finding: LimitFinding) -> str:
    return f"{finding.process} ({finding.unit})" if finding.unit else finding.process
