"""Cut the hosts of a plan into waves, as a policy says. Pure: the same plan, policy and inventory give the same waves.

Promised, or refused with PolicyError: every host is in one wave, the canary has no two hosts of one failure domain, and
a host of each cohort where the policy asks for that. Best effort, in this order: no wave takes a whole failure domain;
the hosts that the policy puts first come first; the last wave is left no whole one either; a cohort that was not tried
yet begins with one host; failure domains give in proportion to their size; the policy's order.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, repeat

from tcptune.domain.changes import Plan, sha256
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.rollout import CohortRule, OrderBy, Policy, Wave, Waves, share
from tcptune.planning.canary import Place, check_canary, check_domains, seats_of_each, seats_of_many

_Key = tuple[bool, int, bool, tuple[int, int], bool, Fraction, int]
_NO_SHARE = Fraction(0)


def cut_waves(
    plan: Plan, policy: Policy, declared: Mapping[str, Declared], hosts: Collection[str] | None = None
) -> Waves:
    """Return the waves of a plan's hosts, or of those of them that are in `hosts`.

    `declared`: what the inventory says of each. Raises PolicyError where these hosts cannot meet the policy.
    """
    seed = _seed(plan, policy)
    places = _places(plan, policy, declared, seed, hosts)
    sizes = list(_sizes(policy, len(places)))
    if sizes:
        check_canary(policy, places, sizes[0][1])
    cut = _Cut(places, policy, before_last=sum(size for _, size in sizes[:-1]))
    waves = [cut.wave(number, asked, size) for number, (asked, size) in enumerate(sizes, start=1)]
    waves = _with_reasons(waves, policy, places, declared)
    return Waves(plan_id=plan.plan_id, policy=policy.policy, policy_digest=policy.digest, seed=seed, waves=tuple(waves))


def _sizes(policy: Policy, total: int) -> Iterator[tuple[str, int]]:
    """Yield each wave's size as the policy has it, and in hosts."""
    left = total
    for asked in chain(policy.waves, repeat(policy.waves[-1])):
        if not left:
            return
        # Never more than the share that was asked for, unless that is less than one host.
        size = min(max(share(asked, total), 1), left)
        left -= size
        yield asked, size


def _seed(plan: Plan, policy: Policy) -> int | None:
    if policy.order.by is not OrderBy.SHUFFLED:
        return None
    return int(plan.plan_id[:8], 16) if policy.order.seed is None else policy.order.seed


def _places(
    plan: Plan, policy: Policy, declared: Mapping[str, Declared], seed: int | None, only: Collection[str] | None
) -> list[Place]:
    """Return the hosts in the policy's order, each with its cohort, failure domain and rank among the first."""
    cohort_of = {host: (at, cohort.name) for at, cohort in enumerate(plan.cohorts) for host in cohort.hosts}
    names = [host for host in cohort_of if only is None or host in only]
    if policy.order.by is OrderBy.NAME:
        names.sort(key=_by_name)
    elif policy.order.by is OrderBy.SHUFFLED:
        # Not random.shuffle: this stays the same in every Python, and for a host whatever others there are.
        names.sort(key=lambda host: (sha256(f"{seed}:{host}"), host))
    check_domains(policy, names, declared)
    first = policy.order.first
    places = []
    for host in names:
        said = declared.get(host, NOTHING_DECLARED)
        rank = next((at for at, selector in enumerate(first) if selector.matches(said)), len(first))
        domain = policy.failure_domain.of(said)[0] if policy.failure_domain else None
        cohort, cohort_name = cohort_of[host]
        places.append(Place(host=host, cohort=cohort, cohort_name=cohort_name, domain=domain, rank=rank))
    # Stable: within a rank the order stays.
    return sorted(places, key=lambda place: place.rank)


def _by_name(host: str) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", host)
    return [int(part) if part.isdecimal() else part for part in parts], host


@dataclass
class _Cut:
    """Hosts that are in no wave yet, and what the waves before have taken."""

    places: Sequence[Place]
    policy: Policy
    before_last: int
    """Hosts still to be chosen for waves before the last one, which has no choice."""

    def __post_init__(self) -> None:
        self._size = Counter(place.domain for place in self.places)
        # Failure domains that the last wave would take whole if it came now.
        self._whole = {domain for domain, hosts in self._size.items() if domain is not None and hosts > 1}
        self._tried: set[int] = set()
        self._touched: set[str | None] = set()
        # Hosts that no rule tells apart, in their order.
        self._alike: dict[tuple[int, int, str | None], deque[tuple[int, Place]]] = defaultdict(deque)
        for at, place in enumerate(self.places):
            self._alike[place.rank, place.cohort, place.domain].append((at, place))

    def wave(self, number: int, asked: str, size: int) -> Wave:
        """Take the hosts of the next wave."""
        canary = number == 1
        chosen = self._seated(size) if canary else []
        inside = Counter(place.domain for place in chosen)
        cohorts = Counter(place.cohort for place in chosen)
        heap = [(self._key(alike, inside, cohorts), alike) for alike, waiting in self._alike.items() if waiting]
        heapq.heapify(heap)
        while len(chosen) < size:
            key, alike = heapq.heappop(heap)
            _, cohort, domain = alike
            if canary and self.policy.failure_domain and inside[domain]:
                continue
            # A wave only ever makes keys worse, so what is still what it was is the best there is.
            if (now := self._key(alike, inside, cohorts)) != key:
                heapq.heappush(heap, (now, alike))
                continue
            chosen.append(self._alike[alike].popleft()[1])
            self._took(domain)
            inside[domain] += 1
            cohorts[cohort] += 1
            if self._alike[alike]:
                heapq.heappush(heap, (self._key(alike, inside, cohorts), alike))
        return self._closed(number, asked, chosen, inside)

    def _key(self, alike: tuple[int, int, str | None], inside: Counter[str | None], cohorts: Counter[int]) -> _Key:
        """Return how well a host of this kind would fit the wave: the less the better."""
        rank, cohort, domain = alike
        position = self._alike[alike][0][0]
        trial = self._trial(cohort, cohorts)
        if domain is None:
            return (False, rank, False, trial, False, _NO_SHARE, position)
        size = self._size[domain]
        # Once some of its hosts were in a wave, or are alone, a domain cannot be taken whole by another.
        open_ = size > 1 and domain not in self._touched
        whole = open_ and inside[domain] + 1 == size
        untouched = domain in self._whole
        # From here on every host has to come from another of them, or the last wave takes one whole.
        wasted = not untouched and 0 < self.before_last <= len(self._whole)
        return (whole, rank, wasted, trial, not untouched, Fraction(inside[domain] + 1, size), position)

    def _took(self, domain: str | None) -> None:
        self.before_last -= 1
        if domain is not None:
            self._whole.discard(domain)

    def _trial(self, cohort: int, cohorts: Counter[int]) -> tuple[int, int]:
        if self.policy.cohorts is CohortRule.ANY or cohort in self._tried:
            return (1, 0)
        # The largest cohort first; a second host of one that is only being tried comes last.
        return (2, 0) if cohorts[cohort] else (0, cohort)

    def _seated(self, size: int) -> list[Place]:
        """Take those hosts of the canary that sit there for their cohorts."""
        if self.policy.cohorts is CohortRule.EACH:
            found = seats_of_each(self.policy, self.places, size)
        elif self.policy.cohorts is CohortRule.SPREAD and self.policy.failure_domain:
            first = [place for place in self.places if place.rank == self.places[0].rank]
            # A host that is alone in its domain takes a seat that another domain may need before the last wave.
            first.sort(key=lambda place: place.domain not in self._whole)
            found = seats_of_many(first, size)
            wasted = sum(place.domain not in self._whole for place in found)
            if wasted > max(self.before_last - len(self._whole), 0):
                found = seats_of_many([place for place in first if place.domain in self._whole], size)
        else:
            return []
        for place in found:
            waiting = self._alike[place.rank, place.cohort, place.domain]
            waiting.remove(next(item for item in waiting if item[1] is place))
            self._took(place.domain)
        return found

    def _closed(self, number: int, asked: str, chosen: list[Place], inside: Counter[str | None]) -> Wave:
        untried = {place.cohort: place.cohort_name for place in chosen if place.cohort not in self._tried}
        whole = [d for d, hosts in inside.items() if d is not None and hosts == self._size[d] > 1]
        self._tried |= untried.keys()
        self._touched |= inside.keys()
        return Wave(
            number=number,
            asked=asked,
            hosts=tuple(place.host for place in chosen),
            tries=tuple(untried[cohort] for cohort in sorted(untried)),
            whole_domains=tuple(sorted(whole)),
            reasons=(),
        )


def _with_reasons(
    waves: Sequence[Wave], policy: Policy, places: Sequence[Place], declared: Mapping[str, Declared]
) -> list[Wave]:
    by_host = {place.host: place for place in places}
    return [
        wave.model_copy(update={"reasons": tuple(_reasons(wave, waves, policy, by_host, declared))}) for wave in waves
    ]


def _reasons(
    wave: Wave, waves: Sequence[Wave], policy: Policy, places: Mapping[str, Place], declared: Mapping[str, Declared]
) -> Iterator[str]:
    if wave.asked.endswith("%") and share(wave.asked, len(places)) == 0:
        yield f"{wave.asked} of {len(places)} hosts is less than one; a wave has at least one"
    if wave.number == 1:
        yield from _about_canary(wave, waves, policy, places, declared)
    elif wave.tries and policy.cohorts is not CohortRule.ANY:
        tried = Counter(places[host].cohort_name for host in wave.hosts)
        yield f"tried here first: {', '.join(f'{name} ({_count(tried[name])})' for name in wave.tries)}"
    if wave.whole_domains:
        taken = ", ".join(wave.whole_domains)
        yield f"takes all hosts of {policy.failure_domain} {taken}: the sizes and the other rules left no better choice"


def _about_canary(
    wave: Wave,
    waves: Sequence[Wave],
    policy: Policy,
    places: Mapping[str, Place],
    declared: Mapping[str, Declared],
) -> Iterator[str]:
    if policy.failure_domain and len(wave.hosts) > 1:
        yield f"no two of them share a {policy.failure_domain}"
    later = [name for other in waves[1:] for name in other.tries]
    if later and policy.cohorts is not CohortRule.ANY:
        yield f"has no host of {', '.join(later)}: these are tried in later waves"
    for selector in policy.order.first:
        if not any(selector.matches(declared.get(host, NOTHING_DECLARED)) for host in places):
            yield f"order.first: no host of the rollout has {selector}"


def _count(hosts: int) -> str:
    return "1 host" if hosts == 1 else f"{hosts} hosts"


def failures(waves: Waves, wave: Wave, failed: Iterable[str], policy: Policy) -> str | None:
    """Return why the rollout stops after a wave in which, and before which, these hosts failed; None if it goes on."""
    names = set(failed)
    return policy.failures.exceeded(
        wave=len(names.intersection(wave.hosts)),
        of_wave=len(wave.hosts),
        total=len(names.intersection(waves.hosts)),
        of_total=len(waves.hosts),
    )
