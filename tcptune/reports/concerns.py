"""Concerns of an audit, grouped over its hosts: what is the same everywhere is said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tcptune.domain.concerns import Concern, Holds, Severity
from tcptune.domain.findings import FleetAudit, HostAudit
from tcptune.reports.layout import count, names, visible, wrapped

_VARIANTS = 3
"""How many different sets of numbers are shown of one concern; JSON has all."""
_SIGNS = {Severity.HARM: "!", Severity.ADVICE: "i"}


class _Variant(NamedTuple):
    evidence: tuple[str, ...]
    remedy: str


class Group(NamedTuple):
    """One concern and its hosts."""

    concern: Concern
    hosts: tuple[str, ...]
    variants: tuple[tuple[_Variant, tuple[str, ...]], ...]
    """Numbers and remedy, with the hosts that have them; the most common first."""


def grouped(hosts: Iterable[HostAudit]) -> tuple[Group, ...]:
    """Return every distinct concern: harm first, then what concerns most hosts."""
    found: dict[tuple[object, ...], dict[_Variant, list[str]]] = {}
    first: dict[tuple[object, ...], Concern] = {}
    for host in hosts:
        for concern in host.concerns:
            same = (concern.check, concern.keys, concern.severity, concern.what, concern.owner, concern.holds)
            first.setdefault(same, concern)
            variants = found.setdefault(same, {})
            variants.setdefault(_Variant(concern.evidence, concern.remedy), []).append(host.host)
    groups = [
        Group(
            first[same],
            tuple(sorted({host for some in variants.values() for host in some})),
            tuple(sorted(((v, tuple(some)) for v, some in variants.items()), key=lambda item: -len(item[1]))),
        )
        for same, variants in found.items()
    ]
    return tuple(sorted(groups, key=lambda g: (g.concern.severity is not Severity.HARM, -len(g.hosts))))


def terminal(hosts: Sequence[HostAudit]) -> list[str]:
    """Return the lines of all concerns, and one for the checks that could not judge."""
    lines: list[str] = []
    for group in grouped(hosts):
        lines += [*_group(group), ""]
    if gaps := _gaps(hosts):
        lines += [*wrapped(gaps, indent=""), ""]
    return lines


def _gaps(hosts: Sequence[HostAudit]) -> str:
    """Return one line on what could not be judged: with the reason where there is one alone."""
    gaps = _not_judged(hosts)
    checks = tuple(dict.fromkeys(check for some, _ in gaps.values() for check in some))
    where = tuple(dict.fromkeys(host.host for host in hosts if host.not_judged))
    if not gaps:
        return ""
    why = next(iter(gaps)) if len(gaps) == 1 else f"{len(gaps)} reasons, see --format markdown"
    return f"Concerns not judged on {names(where)}: {names(checks)}: {why}"


def markdown(hosts: Sequence[HostAudit]) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Return tables: title, head, rows."""
    rows = [
        (
            group.concern.severity.value,
            ", ".join(some),
            group.concern.what,
            "; ".join(variant.evidence),
            f"{variant.remedy} ({group.concern.owner.value})",
            group.concern.holds.value,
        )
        for group in grouped(hosts)
        for variant, some in group.variants
    ]
    gaps: list[tuple[str, ...]] = [
        (", ".join(some), ", ".join(checks), why) for why, (checks, some) in _not_judged(hosts).items()
    ]
    return [
        ("Concerns", ("severity", "hosts", "what", "evidence", "remedy", "holds"), list(rows)),
        ("Concerns not judged", ("hosts", "checks", "why"), gaps),
    ]


def summary(result: FleetAudit) -> list[str]:
    """Return what the last line of an audit says of harm; nothing where there is none."""
    return [f"{len(result.harmed)} with concerns that do harm"] if result.harmed else []


def harm(hosts: Iterable[HostAudit]) -> str:
    """Return the concerns that do harm, for a command whose result does not hold them; empty where there are none."""
    groups = (group for group in grouped(hosts) if group.concern.severity is Severity.HARM)
    return visible("\n".join(line for group in groups for line in _group(group)))


def _group(group: Group) -> list[str]:
    one = group.concern
    when = f", {one.holds.value}" if one.holds is Holds.WANTED else ""
    lines = [f"{_SIGNS[one.severity]} {names(group.hosts)}  ({one.severity.value}{when}: {one.check})"]
    lines += wrapped(one.what, indent="    ")
    remedies = {variant.remedy for variant, _ in group.variants}
    for variant, some in group.variants[:_VARIANTS]:
        whose = f"{names(some)}: " if len(group.variants) > 1 else ""
        lines += wrapped(f"{whose}{'; '.join(variant.evidence)}", indent="      ")
        if len(remedies) > 1:
            lines += wrapped(f"try ({one.owner.value}): {variant.remedy}", indent="      ")
    if left := group.variants[_VARIANTS:]:
        lines.append(f"      and other numbers on {count(sum(len(some) for _, some in left), 'host')}: --format json")
    if len(remedies) == 1:
        lines += wrapped(f"try ({one.owner.value}): {remedies.pop()}", indent="    ")
    return lines


def _not_judged(hosts: Iterable[HostAudit]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return reason -> the checks and the hosts."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for host in hosts:
        for gap in host.not_judged:
            checks, some = found.setdefault(gap.why, ({}, {}))
            checks[gap.check] = None
            some[host.host] = None
    return {why: (tuple(checks), tuple(some)) for why, (checks, some) in found.items()}
