"""From findings to a plan: what changes where, who shares it, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tcptune.domain.changes import (
    DROPIN_PATH,
    Change,
    Cohort,
    FileChange,
    HostPlan,
    Plan,
    SkipKind,
    Skipped,
    plan_digest,
)
from tcptune.domain.facts import HostFacts, SysctlFile, Unread
from tcptune.domain.findings import Deviates, HostAudit, NotApplicable, Unknown, Waived, Where
from tcptune.domain.hosts import Connection
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Profile
from tcptune.planning.danger import danger
from tcptune.planning.dropin import settings, text
from tcptune.planning.limits import skipped_limits
from tcptune.planning.order import in_boot_order, in_write_order
from tcptune.planning.writers import likely_writer, named


def plan_host(
    facts: HostFacts, audit: HostAudit, parameters: Mapping[str, Parameter]
) -> tuple[HostPlan, tuple[Skipped, ...]]:
    """Return the changes one host needs, in write order, and what it needs and cannot have."""
    changes: list[Change] = []
    skipped: list[Skipped] = []
    ours = _our_file(facts)
    closed = f"{DROPIN_PATH} cannot be read, so it cannot be planned" if ours and ours.content is None else None
    for finding in audit.findings:
        match finding:
            case Deviates():
                if why := _cannot(finding) or closed:
                    skipped.append(Skipped(host=facts.host, key=finding.key, why=why, kind=SkipKind.OUT_OF_REACH))
                else:
                    changes.append(_change(finding, parameters[finding.key]))
            case NotApplicable() | Unknown():
                kind = SkipKind.UNKNOWN if isinstance(finding, Unknown) else SkipKind.NOT_APPLICABLE
                skipped.append(Skipped(host=facts.host, key=finding.key, why=finding.why, kind=kind))
            case Waived():
                why = f"waived until {finding.until} by {finding.who}: {finding.why}"
                skipped.append(Skipped(host=facts.host, key=finding.key, why=why, kind=SkipKind.WAIVED))
            case _:
                pass
    skipped += skipped_limits(facts.host, audit.limits)
    planned = {change.key: change.after for change in changes}
    changes = [
        c.model_copy(
            update={
                "danger": danger(parameters[c.key], planned, facts),
                "writer": likely_writer(parameters[c.key], facts.rivals) if c.at_runtime else None,
            }
        )
        for c in changes
    ]
    ordered = in_write_order(changes, parameters)
    files = (_dropin(facts, ordered, parameters),) if ordered else ()
    return HostPlan(host=facts.host, changes=ordered, files=files), tuple(skipped)


def plan_fleet(
    plans: Iterable[HostPlan],
    *,
    profile: Profile,
    connections: Mapping[str, Connection],
    skipped: Iterable[Skipped],
    unread: Iterable[Unread],
    made_at: datetime,
) -> Plan:
    """Group hosts with identical changes into cohorts, the largest first, and seal the plan with its digest."""
    groups: dict[tuple[tuple[Change, ...], tuple[FileChange, ...]], list[str]] = {}
    fine: list[str] = []
    skipped = tuple(skipped)
    open_questions = {s.host for s in skipped if s.kind is not SkipKind.NOT_APPLICABLE}
    for host_plan in plans:
        if host_plan.changes:
            groups.setdefault((host_plan.changes, host_plan.files), []).append(host_plan.host)
        elif host_plan.host not in open_questions:
            fine.append(host_plan.host)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), sorted(group[1])))
    cohorts = tuple(
        Cohort(name=f"cohort{number}", hosts=tuple(sorted(hosts)), changes=changes, files=files)
        for number, ((changes, files), hosts) in enumerate(ordered, start=1)
    )
    lost = [Skipped(host=u.host, key=None, why=u.error, hint=u.hint, kind=SkipKind.UNREAD) for u in unread]
    draft = Plan(
        plan_id="",
        made_at=made_at,
        profile=profile.name,
        profile_digest=profile.digest,
        hosts={host: connections[host] for cohort in cohorts for host in cohort.hosts},
        cohorts=cohorts,
        fine=tuple(sorted(fine)),
        skipped=tuple(sorted([*skipped, *lost], key=lambda s: (s.host, s.key or ""))),
    )
    return draft.model_copy(update={"plan_id": plan_digest(draft.model_dump(mode="json"))})


def _cannot(finding: Deviates) -> str | None:
    if finding.by_hand:
        return finding.by_hand
    if finding.where is not Where.BOOT and not finding.writable:
        return "read-only here: this network namespace only shows it; set it on the host that owns the kernel"
    if finding.where is Where.BOOT and finding.lost_at_boot:
        return f"right now, but {finding.lost_at_boot}"
    if finding.where is Where.BOOT and finding.shadowed_by:
        return f"right now, but {finding.shadowed_by} sets {finding.layers.at_boot.value} at boot; change that file"
    return None


def _change(finding: Deviates, parameter: Parameter) -> Change:
    return Change(
        key=finding.key,
        before=finding.layers.actual,
        after=finding.layers.wanted,
        at_boot=finding.layers.at_boot,
        shadowed_by=finding.shadowed_by,
        lost_at_boot=finding.lost_at_boot,
        demand=finding.demand,
        why=finding.why,
        source=finding.source,
        effect=parameter.effect,
        effect_note=parameter.effect_note,
        risk=parameter.risk,
        risk_note=parameter.risk_note,
    )


def _dropin(facts: HostFacts, changes: Iterable[Change], parameters: Mapping[str, Parameter]) -> FileChange:
    ours = _our_file(facts)
    before = ours.content if ours else None
    wanted = settings(before, {change.key: change.after for change in changes})
    return FileChange(
        path=DROPIN_PATH,
        before=before,
        after=text(in_boot_order(wanted, parameters, kernel=facts.system.kernel)),
    )


def _our_file(facts: HostFacts) -> SysctlFile | None:
    return next((file for file in facts.sysctl_files if file.path == DROPIN_PATH), None)


def moved(cohort: Cohort, facts: HostFacts) -> str | None:
    """Say what has changed on a host since the plan was made, or None where nothing the plan relies on has."""
    for change in cohort.changes:
        reading = facts.sysctl.get(change.key)
        now = getattr(reading, "text", None)
        if now != change.before:
            state = f"is {now}" if now is not None else "cannot be read"
            return named(f"{change.key} {state}, the plan was made for {change.before}", change.writer)
    for file in cohort.files:
        found = next((f for f in facts.sysctl_files if f.path == file.path), None)
        if (found.content if found else None) != file.before or (found and found.content is None):
            return f"{file.path} is not the file the plan was made for"
    return None
