"""Audit: compare every host with a profile. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.findings import FleetAudit, HostAudit
from tcptune.domain.hosts import NOBODY, NOTHING_DECLARED, Declared
from tcptune.domain.parameters import Parameter
from tcptune.domain.profile import Profile
from tcptune.planning.audit import audit_host


def audit(
    collected: Iterable[Collected],
    profile: Profile,
    parameters: Mapping[str, Parameter],
    *,
    today: date = date.max,
    declared: Mapping[str, Declared] = NOBODY,
    otherwise: Declared = NOTHING_DECLARED,
) -> FleetAudit:
    """Return the findings of all hosts, by host name.

    `declared` is what the inventory says by host; `otherwise` goes for hosts it does not know.
    """
    hosts: list[HostAudit] = []
    unread: list[Unread] = []
    for one in collected:
        if isinstance(one, HostFacts):
            said = declared.get(one.host, otherwise)
            hosts.append(audit_host(one, profile, parameters, today=today, declared=said))
        else:
            unread.append(one)
    return FleetAudit(
        profile=profile.name,
        hosts=tuple(sorted(hosts, key=lambda h: h.host)),
        unread=tuple(sorted(unread, key=lambda u: u.host)),
    )
