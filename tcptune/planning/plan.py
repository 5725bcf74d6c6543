"""From findings to a plan: what changes where, who shares it, and what was left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from tcptune.domain.changes import (
    DROPIN_PATH,
    MODULES_PATH,
    Change,
    Cohort,
    FileChange,
    HostPlan,
    LimitChange,
    Plan,
    SkipKind,
    Skipped,
    plan_digest,
)
from tcptune.domain.facts import HostFacts, Unread
from tcptune.domain.findings import Deviates, HostAudit, NotApplicable, Unknown, Waived, Where
from tcptune.domain.followups import FollowUp
from tcptune.domain.hosts import Connection
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Profile
from tcptune.planning.afterwards import afterwards, together
from tcptune.planning.audit import boot_model, both_loaders
from tcptune.planning.danger import danger
from tcptune.planning.dropin import settings, text
from tcptune.planning.late_modules import brought_up
from tcptune.planning.limit_changes import plan_limits
from tcptune.planning.order import in_boot_order, in_write_order
from tcptune.planning.own_files import modules_text, text_now, with_files
from tcptune.planning.winning import in_view_of_both_loaders
from tcptune.planning.writers import likely_writer, named


def plan_host(
    facts: HostFacts, audit: HostAudit, parameters: Mapping[str, Parameter]
) -> tuple[HostPlan, tuple[Skipped, ...]]:
    """Return the changes one host needs, in write order, and what it needs and cannot have."""
    changes: list[Change] = []
    skipped: list[Skipped] = []
    closed = _closed(facts)
    for finding in audit.findings:
        match finding:
            case Deviates():
                parameter = parameters[finding.key]
                module = brought_up(parameter, facts) if finding.lost_at_boot else None
                if why := _cannot(finding, module) or closed:
                    skipped.append(Skipped(host=facts.host, key=finding.key, why=why, kind=SkipKind.OUT_OF_REACH))
                else:
                    changes.append(_change(finding, parameter, module))
            case NotApplicable() | Unknown():
                kind = SkipKind.UNKNOWN if isinstance(finding, Unknown) else SkipKind.NOT_APPLICABLE
                skipped.append(Skipped(host=facts.host, key=finding.key, why=finding.why, kind=kind))
            case Waived():
                why = f"waived until {finding.until} by {finding.who}: {finding.why}"
                skipped.append(Skipped(host=facts.host, key=finding.key, why=why, kind=SkipKind.WAIVED))
            case _:
                pass
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
    limits = plan_limits(facts, audit.limits, {change.key: change for change in ordered})
    modules = _modules(facts, ordered)
    early = with_files(facts, modules)
    lines = [change for change in ordered if not (change.module and _set_already(change, early, parameters))]
    settings_file = (_dropin(facts, lines, parameters),) if lines else ()
    files = (*modules, *settings_file, *limits.files)
    ordered = in_view_of_both_loaders(ordered, with_files(facts, files), parameters)
    host_plan = HostPlan(
        host=facts.host,
        changes=ordered,
        files=files,
        limits=limits.changes,
        afterwards=afterwards(facts, ordered, limits.changes),
    )
    return host_plan, (*skipped, *limits.skipped)


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
    groups: dict[tuple[tuple[Change, ...], tuple[FileChange, ...], tuple[LimitChange, ...]], list[str]] = {}
    left_to_do: list[FollowUp] = []
    fine: list[str] = []
    skipped = tuple(skipped)
    open_questions = {s.host for s in skipped if s.kind is not SkipKind.NOT_APPLICABLE}
    for host_plan in plans:
        left_to_do += host_plan.afterwards
        if host_plan.changes or host_plan.files:
            groups.setdefault((host_plan.changes, host_plan.files, host_plan.limits), []).append(host_plan.host)
        elif host_plan.host not in open_questions:
            fine.append(host_plan.host)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), sorted(group[1])))
    cohorts = tuple(
        Cohort(name=f"cohort{number}", hosts=tuple(sorted(hosts)), changes=changes, files=files, limits=limits)
        for number, ((changes, files, limits), hosts) in enumerate(ordered, start=1)
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
        afterwards=together(left_to_do),
    )
    return draft.model_copy(update={"plan_id": plan_digest(draft.model_dump(mode="json"))})


def _closed(facts: HostFacts) -> str | None:
    try:
        text_now(DROPIN_PATH, facts)
    except ValueError as problem:
        return f"{problem}, so it cannot be planned"
    return None


def _cannot(finding: Deviates, module: str | None) -> str | None:
    if finding.by_hand:
        return finding.by_hand
    if finding.where is not Where.BOOT and not finding.writable:
        return "read-only here: this network namespace only shows it; set it on the host that owns the kernel"
    if finding.where is Where.BOOT and finding.lost_at_boot and module is None:
        return f"right now, but {finding.lost_at_boot}"
    if finding.where is Where.BOOT and finding.shadowed_by:
        return f"right now, but {finding.shadowed_by} sets {finding.layers.at_boot.value} at boot; change that file"
    return None


def _change(finding: Deviates, parameter: Parameter, module: str | None) -> Change:
    return Change(
        key=finding.key,
        before=finding.layers.actual,
        after=finding.layers.wanted,
        at_boot=finding.layers.at_boot,
        shadowed_by=finding.shadowed_by,
        lost_at_boot=None if module else finding.lost_at_boot,
        module=module,
        demand=finding.demand,
        why=finding.why,
        source=finding.source,
        effect=parameter.effect,
        effect_note=parameter.effect_note,
        risk=parameter.risk,
        risk_note=parameter.risk_note,
    )


def _modules(facts: HostFacts, changes: Iterable[Change]) -> tuple[FileChange, ...]:
    """Return our list of modules, where a change needs one in it."""
    needed = sorted({change.module for change in changes if change.module})
    if not needed:
        return ()
    before = text_now(MODULES_PATH, facts)
    return (FileChange(path=MODULES_PATH, before=before, after=modules_text(before, needed)),)


def _set_already(change: Change, early: HostFacts, parameters: Mapping[str, Parameter]) -> bool:
    """Say whether the files of others give the value under both loaders, once the module is there in time."""
    model = boot_model(early, parameters)
    if any(definition.path == DROPIN_PATH for definition in model.definitions(change.key)):
        return False
    return all(boot.value == change.after for boot in both_loaders(change.key, early, model, parameters))


def _dropin(facts: HostFacts, changes: Iterable[Change], parameters: Mapping[str, Parameter]) -> FileChange:
    before = next((file.content for file in facts.sysctl_files if file.path == DROPIN_PATH), None)
    wanted = settings(before, {change.key: change.after for change in changes})
    return FileChange(
        path=DROPIN_PATH,
        before=before,
        after=text(in_boot_order(wanted, parameters, kernel=facts.system.kernel)),
    )


def moved(cohort: Cohort, facts: HostFacts) -> str | None:
    """Say what has changed on a host since the plan was made, or None where nothing the plan relies on has."""
    for change in cohort.changes:
        reading = facts.sysctl.get(change.key)
        now = getattr(reading, "text", None)
        if now != change.before:
            state = f"is {now}" if now is not None else "cannot be read"
            return named(f"{change.key} {state}, the plan was made for {change.before}", change.writer)
    for file in cohort.files:
        try:
            found = text_now(file.path, facts)
        except ValueError as problem:
            return str(problem)
        if found != file.before:
            return f"{file.path} is not the file the plan was made for"
    return None
