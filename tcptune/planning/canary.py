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


def seats_of_each(policy: Policy, places: Sequence[Place], size: int) -> list[Place]:
    """Return a host of each cohort for a canary of `size` hosts, no two of one failure domain.

    Raises PolicyError where there is no such choice.
    """
    cohorts = {place.cohort: place.cohort_name for place in places}
    if len(cohorts) > size:
        hosts = {at: [place.host for place in places if place.cohort == at] for at in sorted(cohorts)}
        said = "; ".join(f"{cohorts[at]} ({_some(names)})" for at, names in list(hosts.items())[:_NAMED])
        more = f"; and {len(cohorts) - _NAMED} more" if len(cohorts) > _NAMED else ""
        raise PolicyError(
            f"{policy.origin}: cohorts: the canary takes {_hosts(size)}, and the plan has {len(cohorts)} cohorts: "
            f"{said}{more}",
            hint=f"waves: [{len(cohorts)}, ...], or cohorts: spread",
        )
    seats = _Seats(places)
    for cohort in sorted(cohorts):
        if not seats.find(cohort):
            raise PolicyError(
                f"{policy.origin}: cohorts: no canary has a host of each cohort and no two of one "
                f"{policy.failure_domain}: {seats.crowd(cohort, cohorts)}",
                hint="cohorts: spread",
            )
    return seats.taken


def seats_of_many(places: Sequence[Place], size: int) -> list[Place]:
    """Return hosts of as many cohorts as can be for a canary of `size` hosts, no two of one failure domain.

    The first cohorts are the largest, and come first. There may be seats left.
    """
    seats = _Seats(places)
    for cohort in sorted({place.cohort for place in places}):
        if len(seats) < size:
            seats.find(cohort)
    return seats.taken


class _Seats:
    """Who of which cohort sits for which failure domain; one for each."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._first: dict[tuple[int, str], Place] = {}
        self._options: dict[int, list[str]] = {}
        self._sits: dict[str, int] = {}
        for place in places:
            # Without failure domains each host stands for itself.
            domain = place.host if place.domain is None else place.domain
            if (place.cohort, domain) not in self._first:
                self._first[place.cohort, domain] = place
                self._options.setdefault(place.cohort, []).append(domain)

    def __len__(self) -> int:
        return len(self._sits)

    @property
    def taken(self) -> list[Place]:
        """Those who sit, in the order of all hosts."""
        chosen = {self._first[cohort, domain].host for domain, cohort in self._sits.items()}
        return [place for place in self._places if place.host in chosen]

    def find(self, cohort: int) -> bool:
        """Seat one more cohort; those who sit may have to move. Say whether there is a way."""
        return self._seat(cohort, set())

    def _seat(self, cohort: int, seen: set[str]) -> bool:
        for domain in self._options[cohort]:
            if domain in seen:
                continue
            seen.add(domain)
            if domain not in self._sits or self._seat(self._sits[domain], seen):
                self._sits[domain] = cohort
                return True
        return False

    def crowd(self, cohort: int, names: Mapping[int, str]) -> str:
        """Name cohorts that have, all together, fewer failure domains than they are: those that keep one standing."""
        crowd, domains = {cohort}, set(self._options[cohort])
        while more := {self._sits[domain] for domain in domains if domain in self._sits} - crowd:
            crowd |= more
            domains |= {domain for at in more for domain in self._options[at]}
        return f"{', '.join(names[at] for at in sorted(crowd))} have hosts in {', '.join(sorted(domains))} alone"


def _some(hosts: Iterable[str]) -> str:
    names = list(hosts)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number} hosts"
