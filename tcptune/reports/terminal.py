"""Results for a person at a terminal: one glance, then the count. Plain text; colours are the command line's matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatch

from pydantic import BaseModel

from tcptune.domain.captures import BothEnds, CapturePlan, CaptureReport
from tcptune.domain.chain import ProductList
from tcptune.domain.chain_verdicts import ChainReport
from tcptune.domain.changes import Change, Cohort, FileChange, Plan, Skipped
from tcptune.domain.diagnosis import FleetDiagnosis
from tcptune.domain.explanation import CauseList, CausePage, CounterPage, Explanation, Hits
from tcptune.domain.findings import (
    Boot,
    Deviates,
    Finding,
    FleetAudit,
    HostAudit,
    Layers,
    LimitFinding,
    NotApplicable,
    Unknown,
    Waived,
)
from tcptune.domain.gates import GateTable
from tcptune.domain.host_runs import Doctor
from tcptune.domain.journal import Pruned, RunList
from tcptune.domain.lint import LintReport
from tcptune.domain.logs import LogReport
from tcptune.domain.profile import Profile, ProfileDiff, ProfileList
from tcptune.domain.rollout import Policy, PolicyList, Waves
from tcptune.domain.runs import HostResult, HostState, Run
from tcptune.domain.service import ServiceReport
from tcptune.domain.story import RolloutStory
from tcptune.domain.verdicts import HostVerdict, RunVerdict
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
from tcptune.reports.layout import aligned, count, names, shown, visible, wrapped


def render(result: BaseModel) -> str:
    """Return the text."""
    return visible(_text(result))


@singledispatch
def _text(result: BaseModel) -> str:
    raise TypeError(f"no terminal report of {type(result).__name__}")


_text.register(Explanation)(explanation.terminal)
_text.register(Hits)(explanation.terminal_hits)
_text.register(LogReport)(logs.terminal)
_text.register(LintReport)(lint.terminal)
_text.register(CaptureReport)(captures.terminal)
_text.register(BothEnds)(captures.terminal_both)
_text.register(CapturePlan)(captures.terminal_plan)
_text.register(CausePage)(cause_pages.terminal)
_text.register(CauseList)(cause_pages.terminal_list)
_text.register(CounterPage)(cause_pages.terminal_counter)
_text.register(FleetDiagnosis)(diagnosis.terminal)


@_text.register
def _audit(result: FleetAudit) -> str:
    groups: dict[tuple[tuple[Finding, ...], tuple[LimitFinding, ...]], list[HostAudit]] = {}
    for host in result.hosts:
        groups.setdefault((host.findings, host.limits), []).append(host)
    lines: list[str] = []
    # The largest group first: on a fleet most hosts deviate in the same way.
    for (findings, found), hosts in sorted(groups.items(), key=lambda g: (-len(g[1]), g[1][0].host)):
        lines += [*_host_findings(findings, hosts), *limits.terminal(found), ""]
    lines += concerns.terminal(result.hosts)
    lines += _unread((u.host, u.error, u.hint) for u in result.unread)
    return "\n".join([*lines, _audit_summary(result), ""])


def _host_findings(findings: Sequence[Finding], hosts: Sequence[HostAudit]) -> list[str]:
    deviating = [f for f in findings if isinstance(f, Deviates)]
    unknown = [f for f in findings if isinstance(f, Unknown)]
    absent = [f for f in findings if isinstance(f, NotApplicable)]
    waived = [f for f in findings if isinstance(f, Waived)]
    met = len(findings) - len(deviating) - len(unknown) - len(absent) - len(waived)
    parts = [f"{len(deviating)} deviate" if deviating else "", f"{met} met"]
    parts += [f"{len(waived)} waived"] if waived else []
    parts += [f"{len(absent)} not applicable" if absent else "", f"{len(unknown)} unknown" if unknown else ""]
    lines = [f"{names([h.host for h in hosts])}  ({', '.join(p for p in parts if p)})"]
    if deviating:
        rows = [("", "setting", "wanted", "actual", "at boot")]
        rows += [("~", f.key, _wanted(f.demand)[0], shown(f.layers.actual), _boot(f.layers.at_boot)) for f in deviating]
        table = aligned(rows)
        lines.append(table[0])
        for finding, line in zip(deviating, table[1:], strict=True):
            formula = _wanted(finding.demand)[1]
            lines += [line, *(wrapped(formula, indent="      ") if formula else [])]
            lines += [*wrapped(finding.why, indent="      "), *_remarks(finding)]
    lines += aligned([("?", f.key, f.why) for f in unknown])
    lines += aligned([("w", f.key, f"{f.demand}, is {shown(f.layers.actual)}; {_waiver(f)}") for f in waived])
    lines += aligned([("-", f.key, f.why) for f in absent])
    return lines


def _wanted(demand: str) -> tuple[str, str | None]:
    """Return a demand and the formulas behind it apart: together they make the table wider than any screen.

    >>> _wanted("at least 8192 = round_up_pow2(40000 * 0.2)")
    ('at least 8192', '= round_up_pow2(40000 * 0.2)')
    >>> _wanted(">=1 any (1 = min(1, 2))")
    ('>=1 any', '1 = min(1, 2)')
    """
    head, bracket, rest = demand.partition(" (")
    if bracket and " = " not in head and " = " in rest:
        return head, rest.removesuffix(")")
    head, equals, formula = demand.partition(" = ")
    return head, f"= {formula}" if equals else None


def _waiver(finding: Waived) -> str:
    return f"waived until {finding.until} by {finding.who}: {finding.why}"


def _remarks(finding: Deviates) -> list[str]:
    lines = []
    for remark in (finding.by_hand, finding.note):
        lines += wrapped(f"! {remark}", indent="      ") if remark else []
    if finding.lost_at_boot:
        lines += wrapped(f"! {finding.lost_at_boot}", indent="      ")
    if finding.shadowed_by:
        lines += wrapped(
            f"! {finding.shadowed_by} wins at boot even over our own file: change it there", indent="      "
        )
    if not finding.writable:
        lines += wrapped("! read-only in this network namespace: set it on the host that owns it", indent="      ")
    if finding.layers.other_loader:
        lines += wrapped(f"! the loaders disagree: {_other(finding.layers)}", indent="      ")
    return lines


def _other(layers: Layers) -> str:
    assert layers.other_loader is not None  # noqa: S101  # the caller looked
    return f"this host boots with {_boot(layers.at_boot)}, the other loader sets {_boot(layers.other_loader)}"


def _audit_summary(result: FleetAudit) -> str:
    total = len(result.hosts) + len(result.unread)
    verb = "deviates" if total == 1 else "deviate"
    parts = [f"{len(result.deviating)} of {count(total, 'host')} {verb} from {result.profile}"]
    parts += concerns.summary(result)
    if result.undecided:
        parts.append(f"{len(result.undecided)} could not be judged in full")
    if result.unread:
        parts.append(f"{len(result.unread)} could not be read")
    return f"Audit: {', '.join(parts)}. Nothing has been changed."


@_text.register
def _plan(result: Plan) -> str:
    lines: list[str] = []
    for cohort in result.cohorts:
        lines += [*_cohort(cohort), ""]
    lines += _skipped(result.skipped)
    left = beyond_settings.afterwards(result.afterwards)
    lines += [*left, ""] if left else []
    total = sum(len(c.hosts) for c in result.cohorts)
    # A host of which everything is left out is in no cohort, and not fine.
    everyone = len(
        {host for c in result.cohorts for host in c.hosts} | {*result.fine, *(s.host for s in result.skipped)}
    )
    tail = [f"{len(result.fine)} {'needs' if len(result.fine) == 1 else 'need'} none"] if result.fine else []
    tail += [f"{len(result.unread)} could not be read"] if result.unread else []
    summary = (
        f"Plan {result.plan_id[:12]}: {count(result.change_count, 'change')} on {total} of {count(everyone, 'host')}"
    )
    return "\n".join([*lines, f"{summary}{''.join(f', {t}' for t in tail)}. Nothing has been changed.", ""])


def _cohort(cohort: Cohort) -> list[str]:
    each = " each" if len(cohort.hosts) > 1 else ""
    lines = [f"{cohort.name}: {names(cohort.hosts)}  ({count(cohort.change_count, 'change')}{each})"]
    lines += _changes(cohort.changes) if cohort.changes else []
    lines += beyond_settings.limits(cohort.limits)
    for file in cohort.files:
        lines += [f"  {'+' if file.before is None else '~'} {file.path}  (written when the run is confirmed)"]
        lines += [f"      {line}" for line in _file_diff(file)]
    return lines


def _changes(changes: Sequence[Change]) -> list[str]:
    lines: list[str] = []
    rows = [("~" if c.at_runtime else "b", c.key, _arrow(c), _boot(c.at_boot), c.effect.value) for c in changes]
    table = aligned([("", "setting", "runtime", "at boot until now", "reaches"), *rows])
    lines.append(table[0])
    for change, line in zip(changes, table[1:], strict=True):
        lines += [line, *(wrapped(change.formula, indent="      ") if change.formula else [])]
        lines += wrapped(change.why, indent="      ")
        lines += wrapped(change.order, indent="      ") if change.order else []
        if change.danger is not None:
            lines += wrapped(f"! danger: {change.danger} apply wants --allow-risk {change.key}", indent="      ")
        elif change.risk.value != "low":
            lines += wrapped(f"! risk {change.risk.value}: {change.risk_note}", indent="      ")
        if change.module:
            lines += wrapped(f"{change.module} is loaded in time from then on: our own list names it", indent="      ")
        if change.lost_at_boot:
            lines += wrapped(f"! lasts until the next boot only: {change.lost_at_boot}", indent="      ")
        if change.other_loader:
            by = f"{_boot(change.other_loader)} wins over our file"
            lines += wrapped(f"! under the other boot loader {by}", indent="      ")
        if change.shadowed_by:
            lines += wrapped(
                f"! lasts until the next boot only: {change.shadowed_by} wins over our file; change it there",
                indent="      ",
            )
    return lines


def _arrow(change: Change) -> str:
    before, after = shown(change.before), shown(change.after)
    return f"{before} -> {after}" if change.at_runtime else f"{before} (stays)"


def _file_diff(file: FileChange) -> list[str]:
    before, after = (file.before or "").splitlines(), file.after.splitlines()
    gone = [f"- {line}" for line in before if line not in after]
    new = [f"+ {line}" for line in after if line not in before and not line.startswith("#")]
    return gone + new


def _skipped(skipped: Sequence[Skipped]) -> list[str]:
    lines = _unread((s.host, s.why, s.hint) for s in skipped if s.key is None)
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in skipped:
        if one.key is not None:
            reasons.setdefault((one.key, one.why), []).append(one.host)
    if reasons:
        lines.append("Left out:")
        lines += aligned([("-", key, f"{names(hosts)}: {why}") for (key, why), hosts in sorted(reasons.items())])
        lines.append("")
    return lines


_text.register(RunList)(runs.listed)
_text.register(Pruned)(runs.pruned)
_text.register(ProfileList, profiles.listed)
_text.register(Profile, profiles.shown)
_text.register(ProfileDiff, profiles.differing)
_text.register(PolicyList, policies.listed)
_text.register(Policy, policies.shown)
_text.register(Waves, policies.waves)


@_text.register
def _run(result: Run) -> str:
    started = f"started {result.started_at:%Y-%m-%d %H:%M:%S} UTC"
    ended = f"ended {result.ended_at:%H:%M:%S}" if result.ended_at else "not ended"
    lines = [
        f"Run {result.run_id}  profile {result.profile}  plan {result.plan_id[:12]}",
        f"  by {result.operator}, tcptune {result.tool_version}, {started}, {ended}",
        *([f"  {at_work}"] if (at_work := run_notes.work(result)) else []),
        *aligned(_result(result, r) for r in result.results),
    ]
    lines += [f"    {r.host}  try: {r.hint}" for r in result.results if r.hint]
    lines += run_notes.warnings(result)
    lines += beyond_settings.at_boot(result.results)
    lines += beyond_settings.afterwards(result.afterwards)
    states = ", ".join(f"{result.count(state)} {state}" for state in HostState if result.count(state))
    lines.append(f"Run {result.run_id}: {states or 'no hosts'}.")
    if advice := run_notes.advice(result):
        lines.append(advice)
    elif held := result.count(HostState.HELD):
        lines.append(
            f"{count(held, 'host')} held: {_until(result)} takes the change back. "
            f"Keep it: tcptune confirm {result.run_id}   Undo it: tcptune rollback {result.run_id}",
        )
    return "\n".join([*lines, ""])


_text.register(Doctor)(doctor.terminal)
_text.register(GateTable)(gates.terminal)
_text.register(RolloutStory)(story.terminal)
_text.register(ServiceReport)(service.terminal)
_text.register(ChainReport)(timeout_chain.terminal)
_text.register(ProductList)(timeout_chain.listed)


def _until(result: Run) -> str:
    """Say what ends the waiting of the held hosts: the first deadline, or a reboot alone."""
    deadlines = [r.deadline for r in result.results if r.deadline is not None]
    return f"a reboot, or each host by itself from {min(deadlines):%H:%M:%S} UTC on," if deadlines else "a reboot"


def _result(run: Run, result: HostResult) -> tuple[str, str, str]:
    said = run_notes.said(run, result)
    if result.at_boot and result.at_boot.said:
        doubt = "does not win at the next boot" if result.at_boot.wins else "its next boot is not known"
        said = "; ".join(text for text in (said, doubt) if text)
    return (result.host, result.state.value, said)


@_text.register
def _verdict(result: RunVerdict) -> str:
    lines: list[str] = []
    for host in result.hosts:
        lines += _host_verdict(host)
    lines += effects.terminal(result.effects)
    bad = sum(h.moved and not h.error for h in result.hosts)
    undecided = sum(bool(h.unknown) and not h.moved for h in result.hosts)
    unread, waiting = sum(bool(h.error) for h in result.hosts), sum(bool(h.waiting) for h in result.hosts)
    total = count(len(result.hosts), "host")
    tail = f", {undecided} could not be judged in full" if undecided else ""
    tail += f", {unread} could not be read" if unread else ""
    state = f"{bad} of {total} are not as the run left them" if bad else f"{total} looked at"
    good = " and as the run left them" if not bad and not tail else ""
    good += effects.summary(result.effects)
    good += f"; on {count(waiting, 'host')} a service waits for a restart" if waiting else ""
    return "\n".join([*lines, f"Verify {result.run_id}: {state}{tail}{good}. Nothing has been changed.", ""])


def _host_verdict(host: HostVerdict) -> list[str]:
    if host.error:
        return [f"? {host.host}  {host.error}", *([f"    try: {host.hint}"] if host.hint else [])]
    bad = [check for check in host.checks if not check.ok]
    moved = sum(not check.unknown for check in bad)
    about = [count(len(host.checks), "setting")] if host.checks or not host.files else []
    about += [count(len(host.files), "limit or file", "limits and files")] if host.files else []
    if host.in_place:
        mark = ">" if host.waiting else " "
        return [
            f"{mark} {host.host}  {host.state}: {' and '.join(about)} as the run left them",
            *beyond_settings.verdict(host),
        ]
    if not bad:
        return [f"~ {host.host}  {host.state}: {' and '.join(about)} looked at", *beyond_settings.verdict(host)]
    rows = [("setting", "expected", "actual", "at boot")]
    rows += [
        (c.key, c.expected, shown(c.actual) if c.actual is not None else "unreadable", _boot(c.at_boot)) for c in bad
    ]
    doubt = f", {len(bad) - moved} not known" if moved < len(bad) else ""
    return [
        f"~ {host.host}  {host.state}: {moved} of {len(host.checks)} moved{doubt}",
        *aligned(rows, indent="    "),
        *beyond_settings.verdict(host),
    ]


def _boot(boot: Boot) -> str:
    if not boot.known:
        return f"not known: {boot.by}"
    return f"{shown(boot.value) if boot.value is not None else 'its own'} ({boot.by})"


def _unread(rows: Iterable[tuple[str, str, str | None]]) -> list[str]:
    lines: list[str] = []
    for host, error, hint in rows:
        lines.append(f"? {host}  could not be read: {error}")
        lines += [f"    try: {hint}"] if hint else []
    return [*lines, ""] if lines else []
