"""What a policy demands of the first wave, and the one clear error where these hosts cannot give it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.rollout import Policy
from tcptune.errors import PolicyError

_NAMED = 5
"""How many hosts a message names."""


class Place(NamedTuple):
    """A host, and all that decides about its wave."""

    host: str
    cohort: int
    """Its cohort's place in the plan: the largest cohort is 0."""
    cohort_name: str
    domain: str | None
    """Its failure domain; None where the policy names none."""
    rank: int
    """Which selector of `order.first` it meets first; the number of selectors where it meets none."""


def check_domains(policy: Policy, hosts: Sequence[str], declared: Mapping[str, Declared]) -> None:
    """Raise PolicyError unless each host is in one failure domain, if the policy asks for one."""
    asked = policy.failure_domain
    if asked is None:
        return
    found = {host: asked.of(declared.get(host, NOTHING_DECLARED)) for host in hosts}
    if lacking := [host for host, domains in found.items() if not domains]:
        what = f"no label {asked.label!r}" if asked.label else f"no {asked}"
        raise PolicyError(
            f"{policy.origin}: failure_domain: {_some(lacking)} {'has' if len(lacking) == 1 else 'have'} {what}",
            hint=f"tcptune_labels: {{{asked.label}: ...}} in the inventory" if asked.label else "put each in one group",
        )
    if torn := {host: domains for host, domains in found.items() if len(domains) > 1}:
        said = "; ".join(f"{host} is in {', '.join(domains)}" for host, domains in list(torn.items())[:_NAMED])
        raise PolicyError(
            f"{policy.origin}: failure_domain: {_hosts(len(torn))} in more than one {asked}: {said}",
            hint="name groups that have no host in common",
        )


def check_canary(policy: Policy, places: Sequence[Place], size: int) -> None:
    """Raise PolicyError where `size` hosts cannot all be of different failure domains."""
    if policy.failure_domain is None:
        return
    inside: dict[str | None, list[str]] = {}
    for place in places:
        inside.setdefault(place.domain, []).append(place.host)
    if len(inside) < size:
        said = "; ".join(f"{domain} ({_some(hosts)})" for domain, hosts in list(inside.items())[:_NAMED])
        more = f"; and {len(inside) - _NAMED} more" if len(inside) > _NAMED else ""
        word = policy.failure_domain
        raise PolicyError(
            f"{policy.origin}: the canary takes {_hosts(size)}, no two of one {word}, "
            f"and these hosts have {len(inside)}: {said}{more}",
            hint=f"waves: [{len(inside)}, ...]",
        )


def seats(policy: Policy, places: Sequence[Place], size: int) -> list[Place]:
    """Return a host of each cohort for a canary of `size` hosts, no two of one failure domain.

    Raises PolicyError where there is no such choice.
    """
    cohorts = {place.cohort: place.cohort_name for place in places}
    named = {at: [place.host for place in places if place.cohort == at] for at in sorted(cohorts)}
    if len(cohorts) > size:
        said = "; ".join(f"{cohorts[at]} ({_some(hosts)})" for at, hosts in list(named.items())[:_NAMED])
        more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        raise PolicyError(
            f"{policy.origin}: cohorts: the canary takes {_hosts(size)}, and the plan has {len(cohorts)} cohorts: "
            f"{said}{more}",
            hint=f"waves: [{len(cohorts)}, ...], or cohorts: spread",
        )
    first: dict[tuple[int, str], Place] = {}
    for place in places:
        # Without failure domains each host stands for itself.
        first.setdefault((place.cohort, place.domain if policy.failure_domain and place.domain else place.host), place)
    options: dict[int, list[str]] = {at: [] for at in named}
    for cohort, domain in first:
        options[cohort].append(domain)
    taken: dict[str, int] = {}
    for at in named:
        if not _seat(at, options, taken, set()):
            raise PolicyError(
                f"{policy.origin}: cohorts: no canary has a host of each cohort and no two of one "
                f"{policy.failure_domain}: {_crowded(at, options, taken, cohorts)}",
                hint="cohorts: spread",
            )
    return sorted((first[at, domain] for domain, at in taken.items()), key=places.index)


def _seat(cohort: int, options: Mapping[int, Sequence[str]], taken: dict[str, int], seen: set[str]) -> bool:
    """Seat a cohort in one of its domains; one that sits there may have to move to another of its own."""
    for domain in options[cohort]:
        if domain in seen:
            continue
        seen.add(domain)
        if domain not in taken or _seat(taken[domain], options, taken, seen):
            taken[domain] = cohort
            return True
    return False


def _crowded(
    cohort: int, options: Mapping[int, Sequence[str]], taken: Mapping[str, int], names: Mapping[int, str]
) -> str:
    """Name cohorts that have, all together, fewer failure domains than they are."""
    crowd, domains = {cohort}, set(options[cohort])
    while more := {taken[domain] for domain in domains if domain in taken} - crowd:
        crowd |= more
        domains |= {domain for at in more for domain in options[at]}
    return f"{', '.join(names[at] for at in sorted(crowd))} have hosts in {', '.join(sorted(domains))} alone"


def _some(hosts: Iterable[str]) -> str:
    names = list(hosts)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number} hosts"
