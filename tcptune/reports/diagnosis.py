"""What a diagnosis found, as text and as markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptune.domain.causes import RemedyKind
from tcptune.domain.diagnosis import CauseFound, Evidence, FleetDiagnosis, Gap, HostDiagnosis, Remedy
from tcptune.domain.quantities import spelled
from tcptune.reports.layout import aligned, count, wrapped

_IN = "      "
_UNSEEN = "what may be there unseen: "
_BECOME = "-b (--become), or a login of root: it is told what this login is not"


def terminal(result: FleetDiagnosis) -> str:
    """Return the hosts with something wrong first, then those not judged, then those that are well."""
    lines: list[str] = []
    for host in sorted(result.judged, key=lambda one: (not one.found, one.well)):
        lines += [*_host(host), ""]
    for one in result.unread:
        lines += [f"? {one.host}  could not be read: {one.error}", *([f"    try: {one.hint}"] if one.hint else [])]
    lines += [""] if result.unread else []
    return "\n".join([*lines, _summary(result), ""])


def _host(host: HostDiagnosis) -> Iterator[str]:
    yield f"{host.host}  ({_state(host)})"
    told: dict[str, int] = {}
    for number, one in enumerate(host.causes, start=1):
        yield from _cause(one, number, told)
    for left in host.unexplained:
        yield from wrapped(f"! {left.what}: no counter of this host tells why", indent="  ")
        yield from _evidence(left.evidence)
        yield from wrapped(f"next: {left.next}", indent=_IN)
    for one in host.harmless:
        yield from wrapped(
            f"- {one.cause}: {one.summary[0].lower()}{one.summary[1:]}; harmless: {one.because}", indent="  "
        )
        yield from _evidence(one.evidence)
    for why, groups in gaps(host.not_judged):
        yield from wrapped(f"? not judged: {groups}: {why}", indent="  ")
        yield from wrapped(unseen([one for one in host.not_judged if one.why == why], host), indent=_IN)
    if any(one.root for one in host.not_judged):
        yield f"    try: {_BECOME}"


def _state(host: HostDiagnosis) -> str:
    window = f", {host.window_s:g} s" if host.window_s else ""
    if host.causes:
        return count(len(host.causes), "cause") + window
    if host.unexplained:
        return f"something is wrong, and its cause is not known{window}"
    if host.not_judged:
        return f"nothing was found, and not all was judged{window}"
    # Files say what happened to those who wrote them: silence is no proof that a host is well.
    return f"nothing is wrong{window}" if host.window_s else "nothing was found in them"


def _cause(one: CauseFound, number: int, told: dict[str, int]) -> Iterator[str]:
    """Yield a cause. `told` is what was advised before, by the number of the cause: that is not said again."""
    about = f": {one.about}" if one.about else ""
    yield from wrapped(f"! {number}. {one.cause}  {one.confidence}  {one.summary}{about}", indent="  ")
    if one.follows_from:
        yield f"{_IN}follows from {one.follows_from}"
    yield from wrapped(f"{one.because}", indent=_IN)
    yield from _evidence(one.evidence)
    for other in one.alternatives:
        yield from wrapped(f"or {other.cause}, if {other.how}", indent=_IN)
    advice = list(dict.fromkeys(f"{_whose(remedy)}: {_advice(remedy)}" for remedy in one.remedies))
    for text in advice:
        if text not in told:
            yield from wrapped(text, indent=_IN)
    if before := sorted({told[text] for text in advice if text in told}):
        also = "what to do: " if all(text in told for text in advice) else "and "
        yield f"{_IN}{also}as for {' and '.join(map(str, before))}"
    if not one.kernel_change_helps:
        yield f"{_IN}no kernel setting helps"
    for setting in one.settings:
        is_now = f", is {setting.actual or '(empty)'}" if setting.actual is not None else ""
        wanted = f"~ {setting.key} {setting.operator.replace('_', ' ')} {setting.value}"
        yield f"{_IN}{wanted}, as for {told[wanted]}" if wanted in told else f"{_IN}{wanted}{is_now}"
        told.setdefault(wanted, number)
    if one.nofile is not None:
        wanted = f"~ limits.nofile of {one.nofile.process} at least {one.nofile.at_least}"
        yield f"{_IN}{wanted}, as for {told[wanted]}" if wanted in told else f"{_IN}{wanted}, is {one.nofile.actual}"
        told.setdefault(wanted, number)
    for text in advice:
        told.setdefault(text, number)


def _evidence(found: Sequence[Evidence]) -> list[str]:
    return aligned([(one.name, said(one), f"({one.source})") for one in found], indent=f"{_IN}  ")


def said(one: Evidence) -> str:
    """Return a number with its unit and what it is compared with."""
    value = spelled(one.value) if isinstance(one.value, float | int) else one.value
    unit = f" {one.unit}" if one.unit else ""
    return f"{value}{unit}" + (f", bound {spelled(one.threshold)}" if one.threshold is not None else "")


def gaps(found: Sequence[Gap]) -> list[tuple[str, str]]:
    """Return each reason with the groups that were not judged for it: one missing section touches many."""
    by_reason: dict[str, list[str]] = {}
    for one in found:
        by_reason.setdefault(one.why, []).append(one.group)
    return [(why, ", ".join(groups)) for why, groups in by_reason.items()]


def unseen(found: Sequence[Gap], host: HostDiagnosis) -> str:
    """Return what these gaps can hide, and whether what was found stands in spite of them. Empty where nobody knows."""
    causes = dict.fromkeys(cause for one in found for cause in one.causes)
    if not causes:
        return ""
    text = f"{_UNSEEN}{', '.join(causes)}"
    if not host.causes:
        return text
    behind = dict.fromkeys(cause for one in found for cause in one.behind)
    return f"{text}; " + (f"it may be behind {', '.join(behind)}" if behind else "what was found stands without it")


def _whose(remedy: Remedy) -> str:
    return "note" if remedy.kind is RemedyKind.NONE else remedy.owner.value


def _advice(remedy: Remedy) -> str:
    return f"{remedy.here} ({remedy.action})" if remedy.here else remedy.action


def _summary(result: FleetDiagnosis) -> str:
    total = len(result.hosts) + len(result.unread)
    wrong = sum(host.found for host in result.hosts)
    parts = [f"something is wrong on {wrong} of {count(total, 'host')}"] if total else ["no host was looked at"]
    if result.elsewhere is not None:
        parts += [f"the files tell of {count(len(result.elsewhere.causes), 'cause')}"]
    parts += [f"{len(result.in_part)} not judged in full" + _rootless(result)] if result.in_part else []
    parts += [f"{len(result.unread)} could not be read"] if result.unread else []
    return f"Diagnosis: {', '.join(parts)}. Nothing has been changed."


def _rootless(result: FleetDiagnosis) -> str:
    """Say where the login is the whole reason."""
    some = [one for one in result.in_part if any(gap.root for gap in one.not_judged)]
    return f" ({len(some)} of them for want of root)" if some else ""


HEAD = ("cause", "about", "confidence", "because", "follows from")
EVIDENCE_HEAD = ("read", "value", "where")
REMEDY_HEAD = ("owner", "what to do", "here")


def markdown_host(host: HostDiagnosis) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Yield title, head and rows of each table of a host."""
    yield (
        f"{host.host}: {_state(host)}",
        HEAD,
        [
            (f"`{one.cause}`", one.about or "", one.confidence, one.because, one.follows_from or "")
            for one in host.causes
        ],
    )
    for one in host.causes:
        title = one.cause + (f": {one.about}" if one.about else "")
        yield f"{title}: evidence", EVIDENCE_HEAD, _rows(one.evidence)
        yield f"{title}: or else", ("cause", "if"), [(f"`{other.cause}`", other.how) for other in one.alternatives]
        helps = "" if one.kernel_change_helps else " (no kernel setting helps)"
        yield (
            f"{title}: remedies{helps}",
            REMEDY_HEAD,
            [(_whose(remedy), remedy.action, remedy.here or "") for remedy in one.remedies],
        )
        yield (
            f"{title}: settings",
            ("setting", "wanted", "now", "why"),
            [(f"`{s.key}`", f"{s.operator.replace('_', ' ')} {s.value}", s.actual or "", s.why) for s in one.settings],
        )
    for left in host.unexplained:
        yield f"Not explained: {left.what}", EVIDENCE_HEAD, [*_rows(left.evidence), ("next", left.next, "")]
    for one in host.harmless:
        yield f"Harmless: {one.summary}", EVIDENCE_HEAD, [*_rows(one.evidence), ("why", one.because, "")]
    rows: list[tuple[str, ...]] = []
    for why, groups in gaps(host.not_judged):
        some = [one for one in host.not_judged if one.why == why]
        helps = _BECOME if any(one.root for one in some) else ""
        rows.append((groups, why, unseen(some, host).removeprefix(_UNSEEN), helps))
    yield "Not judged", ("group", "why", "unseen", "try"), rows


def markdown_summary(result: FleetDiagnosis) -> str:
    """Return the last line."""
    return _summary(result)


def _rows(found: Sequence[Evidence]) -> list[tuple[str, ...]]:
    return [(one.name, said(one), one.source.value) for one in found]
