"""Results for a change review: tables that any forge and ticket system renders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch

from pydantic import BaseModel

from tcptune.domain.captures import BothEnds, CapturePlan, CaptureReport
from tcptune.domain.chain import ProductList
from tcptune.domain.chain_verdicts import ChainReport
from tcptune.domain.changes import Plan
from tcptune.domain.diagnosis import FleetDiagnosis
from tcptune.domain.explanation import CauseList, CausePage, CounterPage, Explanation, Hits
from tcptune.domain.findings import Boot, Deviates, FleetAudit, NotApplicable, Unknown, Waived
from tcptune.domain.followups import FollowUp
from tcptune.domain.gates import GateTable
from tcptune.domain.host_runs import Doctor
from tcptune.domain.journal import Pruned, RunList
from tcptune.domain.lint import LintReport
from tcptune.domain.logs import LogReport
from tcptune.domain.profile import Profile, ProfileDiff, ProfileList
from tcptune.domain.rollout import Policy, PolicyList, Waves
from tcptune.domain.runs import Run
from tcptune.domain.service import ServiceReport
from tcptune.domain.story import RolloutStory
from tcptune.domain.verdicts import Check, RunVerdict
from tcptune.reports import (
    beyond_settings,
    captures,
    cause_pages,
    concerns,
    diagnosis,
    doctor,
    effects,
    explanation,
    gates,
    limits,
    lint,
    logs,
    policies,
    profiles,
    run_notes,
    runs,
    service,
    story,
    timeout_chain,
)
from tcptune.reports.layout import count, shown, visible


def render(result: BaseModel) -> str:
    """Return the text."""
    return visible(_text(result))


@singledispatch
def _text(result: BaseModel) -> str:
    raise TypeError(f"no markdown report of {type(result).__name__}")


_text.register(Explanation)(explanation.markdown)
_text.register(Hits)(explanation.markdown_hits)
_text.register(LogReport)(logs.markdown)
_text.register(LintReport)(lint.markdown)
_text.register(CaptureReport)(captures.markdown)
_text.register(BothEnds)(captures.markdown_both)
_text.register(CapturePlan)(captures.markdown_plan)
_text.register(CausePage)(cause_pages.markdown)
_text.register(CauseList)(cause_pages.markdown_list)
_text.register(CounterPage)(cause_pages.markdown_counter)


@_text.register
def _audit(result: FleetAudit) -> str:
    lines = [f"# Audit against {result.profile}", ""]
    for host in result.hosts:
        lines += [f"## {_cell(host.host)}", ""]
        rows = [
            (f.key, f.demand, shown(f.layers.actual), _boot(f.layers.at_boot), f.where.value, _why(f))
            for f in host.findings
            if isinstance(f, Deviates)
        ]
        lines += _table(("setting", "wanted", "actual", "at boot", "deviates", "why"), rows)
        if not rows and not host.unknowns and not host.deviating_limits and not host.unknown_limits:
            lines += ["Nothing deviates.", ""]
        others = [
            (f.key, f.outcome.replace("_", " "), _others_why(f))
            for f in host.findings
            if isinstance(f, NotApplicable | Unknown | Waived)
        ]
        lines += _table(("setting", "outcome", "why"), others)
        lines += [*_table(limits.HEAD, limits.rows(host.limits)), *limits.drop_ins(host.limits)]
    for title, head, found in concerns.markdown(result.hosts):
        lines += [f"## {title}", "", *_table(head, found)] if found else []
    if result.unread:
        lines += ["## Could not be read", ""]
        lines += _table(("host", "reason", "try"), [(u.host, u.error, u.hint or "") for u in result.unread])
    total = len(result.hosts) + len(result.unread)
    lines.append(
        f"{len(result.deviating)} of {count(total, 'host')} deviate; {len(result.unread)} could not be read; "
        f"{len(result.undecided)} could not be judged in full.",
    )
    return "\n".join([*lines, ""])


@_text.register
def _diagnosis(result: FleetDiagnosis) -> str:
    lines = ["# Diagnosis", ""]
    for host in result.judged:
        for level, (title, head, rows) in enumerate(diagnosis.markdown_host(host)):
            table = _table(head, rows)
            lines += [f"{'###' if level else '##'} {_cell(title)}", "", *table] if table or not level else []
    if result.unread:
        lines += ["## Could not be read", ""]
        lines += _table(("host", "reason", "try"), [(u.host, u.error, u.hint or "") for u in result.unread])
    return "\n".join([*lines, diagnosis.markdown_summary(result), ""])


@_text.register
def _plan(result: Plan) -> str:
    lines = [f"# Plan {result.plan_id[:12]}", "", f"Profile {result.profile}. Full id `{result.plan_id}`.", ""]
    for cohort in result.cohorts:
        lines += [f"## {cohort.name}: {count(len(cohort.hosts), 'host')}", "", _cell(", ".join(cohort.hosts)), ""]
        rows = [
            (
                c.key,
                shown(c.before),
                c.after,
                _boot(c.at_boot),
                c.effect.value,
                c.risk.value,
                (f"`{c.formula}`; " if c.formula else "")
                + c.why
                + (f"; {c.order}" if c.order else "")
                + (f" **Danger: {c.danger}**" if c.danger else "")
                + (f"; {c.module} is loaded in time from then on: our own list names it" if c.module else "")
                + (f" **Lasts until the next boot: {c.lost_at_boot}.**" if c.lost_at_boot else "")
                + (f" **The other loader gives {_boot(c.other_loader)}.**" if c.other_loader else "")
                + (f" **{c.shadowed_by} wins at the next boot.**" if c.shadowed_by else ""),
            )
            for c in cohort.changes
        ]
        lines += _table(("setting", "before", "after", "at boot until now", "reaches", "risk", "why"), rows)
        lines += _table(beyond_settings.LIMITS_HEAD, beyond_settings.limit_rows(cohort.limits))
        for file in cohort.files:
            lines += [f"`{file.path}` when the run is confirmed:", "", "```ini", *file.after.splitlines(), "```", ""]
    if result.skipped:
        lines += ["## Left out", ""]
        left_out = [(s.host, s.key or "all", s.why, s.hint or "") for s in result.skipped]
        lines += _table(("host", "setting", "why", "try"), left_out)
    lines += _afterwards(result.afterwards)
    fine = f"{count(len(result.fine), 'host')} need nothing. " if result.fine else ""
    lines.append(f"{fine}{count(result.change_count, 'change')} in all. Nothing has been changed.")
    return "\n".join([*lines, ""])


def _afterwards(found: Sequence[FollowUp]) -> list[str]:
    table = _table(beyond_settings.AFTERWARDS_HEAD, beyond_settings.afterwards_rows(found))
    return ["## To do by hand for it to matter", "", "tcptune restarts nothing.", "", *table] if table else []


@_text.register
def _doctor(result: Doctor) -> str:
    fine = f"{count(len(result.fine), 'host')} with nothing left over." if result.fine else ""
    lines = [*_table(*doctor.markdown(result)), *doctor.markdown_settlements(result)]
    return "\n".join(["# Doctor", "", *lines, fine, ""])


@_text.register
def _gates(result: GateTable) -> str:
    lines = [f"# Gates of {_cell(result.title)}", "", *_table(*gates.markdown(result))]
    return "\n".join([*lines, gates.summary(result), ""])


@_text.register
def _story(result: RolloutStory) -> str:
    head = ("wave", "state", "hosts", "from", "gates", "why")
    lines = [f"# Rollout {_cell(result.run.run_id)} by policy {_cell(result.policy)}", ""]
    lines += [*_table(head, story.markdown_rows(result)), ""]
    lines += [_gates(result.table)] if result.table else []
    return "\n".join([*lines, _run(result.run)])


_text.register(Profile, profiles.shown_markdown)
_text.register(PolicyList, policies.listed_markdown)
_text.register(Policy, policies.shown_markdown)
_text.register(Waves, policies.waves_markdown)
_text.register(ServiceReport, service.markdown)
_text.register(ChainReport, timeout_chain.markdown)
_text.register(ProductList, timeout_chain.listed_markdown)


@_text.register
def _profiles(result: ProfileList) -> str:
    rows = [(one.name, str(one.settings), one.summary) for one in result.profiles]
    return "\n".join(_table(("profile", "settings", "summary"), rows))


@_text.register
def _profile_diff(result: ProfileDiff) -> str:
    rows = [(c.key, "; ".join(c.before) or "-", "; ".join(c.after) or "-") for c in result.changes]
    return "\n".join(_table(("setting", result.left, result.right), rows) or ["No difference.", ""])


@_text.register
def _runs(result: RunList) -> str:
    return "\n".join(_table(runs.HEAD, runs.rows(result)) or ["No runs yet.", ""])


@_text.register
def _pruned(result: Pruned) -> str:
    rows = [*((run_id, "") for run_id in result.forgotten), *((one.run_id, one.why) for one in result.kept)]
    return "\n".join([*_table(("run", "stays because"), rows), runs.summary(result), ""])


@_text.register
def _run(result: Run) -> str:
    lines = [
        f"# Run {result.run_id}",
        "",
        f"Profile {result.profile}, plan `{result.plan_id}`, by {_cell(result.operator)}.",
        "",
    ]
    if at_work := run_notes.work(result):
        lines += [f"{_cell(at_work)}.", ""]
    lines += _table(
        ("host", "cohort", "state", "note"),
        [
            (
                r.host,
                r.cohort,
                r.state,
                "; ".join(
                    filter(None, [run_notes.said(result, r), *(r.at_boot.said if r.at_boot else ()), *r.warnings])
                ),
            )
            for r in result.results
        ],
    )
    lines += _afterwards(result.afterwards)
    return "\n".join(lines)


@_text.register
def _verdict(result: RunVerdict) -> str:
    lines = [f"# Verify {result.run_id}", ""]
    rows = [
        (h.host, c.key, c.expected, _actual(c), _boot(c.at_boot), _judged(c)) for h in result.hosts for c in h.checks
    ]
    lines += _table(("host", "setting", "expected", "actual", "at boot", "verdict"), rows)
    lines += _table(beyond_settings.VERDICT_HEAD, beyond_settings.verdict_rows(result))
    lines += _table(("host", "could not be read"), [(h.host, h.error) for h in result.hosts if h.error])
    lines += _table(effects.HEAD, effects.rows(result.effects))
    return "\n".join(lines)


def _judged(check: Check) -> str:
    if check.ok:
        return "as left"
    return "**not known**" if check.unknown else "**moved**"


def _actual(check: Check) -> str:
    # An empty list of ports was read.
    return "unreadable" if check.actual is None else shown(check.actual)


def _others_why(finding: NotApplicable | Unknown | Waived) -> str:
    if isinstance(finding, Waived):
        actual = shown(finding.layers.actual)
        return f"{finding.demand}, is {actual}; until {finding.until} by {finding.who}: {finding.why}"
    return finding.why


def _why(finding: Deviates) -> str:
    parts = [finding.why, *(f"**{remark}.**" for remark in (finding.by_hand, finding.note) if remark)]
    if finding.lost_at_boot:
        parts.append(f"**{finding.lost_at_boot}.**")
    if finding.shadowed_by:
        parts.append(f"**{finding.shadowed_by} wins at boot.**")
    if not finding.writable:
        parts.append("**It is read-only in this network namespace.**")
    if finding.layers.other_loader:
        parts.append(f"**The other loader sets {_boot(finding.layers.other_loader)}.**")
    return " ".join(parts)


def _boot(boot: Boot) -> str:
    if not boot.known:
        return f"not known: {boot.by}"
    return f"{shown(boot.value) if boot.value is not None else 'its own'} ({boot.by})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    body = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    if not body:
        return []
    return [f"| {' | '.join(head)} |", f"|{'|'.join(' --- ' for _ in head)}|", *body, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
