"""Plan: what would have to change, as a file a reviewer can read. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from tcptune.domain.changes import HostPlan, Plan, Skipped
from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.findings import HostAudit
from tcptune.domain.hosts import NOBODY, NOTHING_DECLARED, Declared, Host
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Profile
from tcptune.planning.audit import audit_host
from tcptune.planning.plan import plan_fleet, plan_host


def plan(
    collected: Iterable[Collected],
    hosts: Iterable[Host],
    profile: Profile,
    parameters: Mapping[str, Parameter],
    made_at: datetime,
    *,
    declared: Mapping[str, Declared] = NOBODY,
    otherwise: Declared = NOTHING_DECLARED,
    audited: Callable[[HostAudit], None] = lambda _audit: None,
) -> Plan:
    """Return the plan that brings `hosts` to the profile.

    `audited` is told of each host's audit: a plan holds changes, not the concerns they may raise.
    """
    plans: list[HostPlan] = []
    skipped: list[Skipped] = []
    unread: list[Unread] = []
    for one in collected:
        if isinstance(one, HostFacts):
            said = declared.get(one.host, otherwise)
            found = audit_host(one, profile, parameters, today=made_at.date(), declared=said)
            audited(found)
            host_plan, left_out = plan_host(one, found, parameters)
            plans.append(host_plan)
            skipped += left_out
        else:
            unread.append(one)
    return plan_fleet(
        plans,
        profile=profile,
        connections={host.name: host.connection for host in hosts},
        skipped=skipped,
        unread=unread,
        made_at=made_at,
    )
