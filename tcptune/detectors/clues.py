"""What files say -> clues for the judgement: logs of programs, captures, chains of timeouts, tries of a service.

A line of a log proves no cause, and a chain that breaks has done no harm yet: alone they are
hardly ever likely. How much surer they make what a host shows is settled in `verdict`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tcptune.detectors.case import Clue, known_as
from tcptune.domain.captures import CaptureFinding, CaptureReport, CauseCount
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.chain import Aspect
from tcptune.domain.chain_verdicts import Broken, ChainReport, Link
from tcptune.domain.concerns import Severity
from tcptune.domain.diagnosis import Evidence, Gap, NotExplained, Source
from tcptune.domain.logs import LogReport, PhraseCount
from tcptune.domain.service import Failure, Retried, ServiceReport
from tcptune.knowledge.causes import causes

LONG_BEFORE = timedelta(hours=1)
"""What ended so long before a host was looked at makes nothing surer of what the host does now."""
_KERNEL = "KERNEL"
_KEEPALIVES = frozenset({Aspect.SENDS_KEEPALIVE.value, Aspect.RECEIVES_KEEPALIVE.value})


@dataclass(frozen=True)
class Heard:
    """What files say."""

    clues: tuple[Clue, ...] = ()
    unexplained: tuple[NotExplained, ...] = ()
    not_judged: tuple[Gap, ...] = ()

    def __add__(self, other: Heard) -> Heard:
        """Return both."""
        return Heard(self.clues + other.clues, self.unexplained + other.unexplained, self.not_judged + other.not_judged)

    def supporting(self, names: frozenset[str] = frozenset()) -> Heard:
        """Return what of it may be said of one of several hosts, which has these names.

        What names no host may be of any of them: it supports what is found, and makes no cause.
        """
        return Heard(tuple(one if one.at & names else replace(one, alone=False) for one in self.clues))

    def besides(self, found: Iterable[str], names: frozenset[str] = frozenset()) -> Heard:
        """Return the rest of it where these causes were found, on hosts that have these names."""
        known = frozenset(found)
        rest = tuple(one for one in self.clues if one.cause not in known and not one.at & names)
        return Heard(rest, self.unexplained, self.not_judged)

    def looked_at(self, since: datetime | None) -> tuple[Clue, ...]:
        """Return the clues for a host whose first sample is of `since`: older ones make nothing surer."""
        if since is None:
            return self.clues
        return tuple(
            one if one.ended is None or one.ended >= since - LONG_BEFORE else one.stale() for one in self.clues
        )


@dataclass
class _Told:
    """What a log says of one cause, in all its wordings."""

    confidence: Confidence = Confidence.POSSIBLE
    alone: bool = False
    lines: int = 0
    phrases: list[PhraseCount] = field(default_factory=list)


def from_logs(report: LogReport) -> Heard:
    """Return what logs say.

    The likeliest cause of a line is possible; it is likely where an errno has one cause alone, or the kernel itself
    says so. The others that a line names support what is found, and are nothing alone.
    """
    told: dict[str, _Told] = {}
    for error in report.errors:
        for phrase in error.phrases:
            sure = len(phrase.causes) == 1 and (error.errno is not None or error.name == _KERNEL)
            for place, cause in enumerate(phrase.causes):
                one = told.setdefault(cause, _Told())
                one.alone |= place == 0
                one.lines += phrase.lines
                one.phrases.append(phrase)
                if sure:
                    one.confidence = Confidence.LIKELY
    where = report.sources[0].path if len(report.sources) == 1 else f"{len(report.sources)} logs"
    return Heard(
        clues=tuple(_said(cause, one, where) for cause, one in told.items()),
        not_judged=tuple(Gap(group="log", why=f"{one.path}: {one.unread}") for one in report.unread),
    )


def _said(cause: str, told: _Told, where: str) -> Clue:
    first = max(told.phrases, key=lambda one: one.lines)
    ends = [one.last for one in told.phrases if one.last is not None]
    example = f": {first.examples[0]}" if first.examples else ""
    return Clue(
        cause=cause,
        confidence=told.confidence,
        because=f"a log says so{example}",
        evidence=Evidence(
            source=Source.LOG,
            name=f"{where}, {', '.join(one.id for one in told.phrases)}",
            value=told.lines,
            unit="line" if told.lines == 1 else "lines",
        ),
        alone=told.alone,
        ended=max(ends, default=None),
    )


def from_capture(report: CaptureReport) -> Heard:
    """Return what a capture says: each cause as sure as the surest of its flows.

    What packets alone show, such as an abort that fits several programs, is no cause that a host could have: it is
    told as not explained.
    """
    where = report.files[0].name if len(report.files) == 1 else f"{len(report.files)} captures"
    ended = report.started + timedelta(seconds=report.duration_s) if report.started is not None else None
    what: dict[str, CaptureFinding] = {}
    for finding in report.findings:
        best = what.get(finding.cause)
        if best is None or finding.confidence.rank < best.confidence.rank:
            what[finding.cause] = finding
    clues: list[Clue] = []
    left: list[NotExplained] = []
    for one in report.causes:
        if one.cause.harmless:
            continue
        evidence = Evidence(
            source=Source.PCAP,
            name=f"{where}, {one.cause.title}",
            value=one.flows,
            unit="flow" if one.flows == 1 else "flows",
        )
        if one.cause.id == "refused.closed_port" and one.by:
            clues += _refusals(one, where, report, ended)
        elif one.cause.id in causes():
            because = what[one.cause.id].what if one.cause.id in what else one.cause.title
            clues.append(
                Clue(one.cause.id, _surest(one), f"a capture shows it: {because}", evidence=evidence, ended=ended)
            )
        else:
            then = "; ".join(one.cause.tell_apart) or "`tcptune pcap` shows its packets"
            left.append(NotExplained(what=f"{one.cause.id}: {one.cause.title}", evidence=(evidence,), next=then))
    return Heard(tuple(clues), tuple(left), tuple(_not_captured(report)))


def _refusals(one: CauseCount, where: str, report: CaptureReport, ended: datetime | None) -> Iterator[Clue]:
    """Yield a clue for each port that refused, so that the host which has it can answer; and one for the rest."""
    for by, flows in (*one.by, (None, one.flows - sum(flows for _, flows in one.by))):
        found = [finding for finding in report.findings if (finding.cause, finding.by) == (one.cause.id, by)]
        sure = min((finding.confidence for finding in found), key=lambda level: level.rank, default=_surest(one))
        address, _, port = (by or "").rpartition(":")
        if flows:
            yield Clue(
                one.cause.id,
                sure,
                f"a capture shows it: {found[0].what if found else one.cause.title}",
                evidence=Evidence(
                    source=Source.PCAP,
                    name=f"{where}, {one.cause.title}" + (f", {by}" if by else ""),
                    value=flows,
                    unit="flow" if flows == 1 else "flows",
                ),
                ended=ended,
                port=int(port) if by else None,
                at=known_as([address.strip("[]")]) if by else frozenset(),
            )


def _surest(one: CauseCount) -> Confidence:
    return Confidence.HIGH if one.high else Confidence.LIKELY if one.likely else Confidence.POSSIBLE


def _not_captured(report: CaptureReport) -> Iterator[Gap]:
    yield from (Gap(group="capture", why=f"{one.name} {one.damage}") for one in report.files if one.damage)
    if report.flows.evicted:
        yield Gap(group="capture", why=f"{report.flows.evicted} of its flows were not seen to their end")
    if not report.segments:
        yield Gap(group="capture", why="there is no TCP in it")


_NAMELESS = "that breaks, and is none of the causes told apart here; tcptune timeouts check says what to change"


def from_chain(report: ChainReport) -> Heard:
    """Return what a chain's timeouts make: possible, for nobody saw it happen."""
    clues: list[Clue] = []
    gaps: list[Gap] = []
    for way in report.ways:
        for link in way.links:
            clues += [clue for one in link.broken for clue in _breaks(report, link, one)]
            why = f"{report.chain}, {link.requester} to {link.receiver}"
            gaps += [Gap(group="chain", why=f"{why}: {one.why}") for one in link.undecided]
            gaps += [Gap(group="chain", why=f"{why}: {one.what}: {_NAMELESS}") for one in link.broken if _nameless(one)]
    return Heard(clues=tuple(dict.fromkeys(clues)), not_judged=tuple(dict.fromkeys(gaps)))


def _nameless(broken: Broken) -> bool:
    return broken.severity is Severity.HARM and not broken.causes


def _breaks(report: ChainReport, link: Link, broken: Broken) -> Iterator[Clue]:
    if broken.severity is not Severity.HARM:
        return
    for place, cause in enumerate(broken.causes):
        yield Clue(
            cause=cause,
            confidence=Confidence.POSSIBLE,
            because=f"the chain breaks there: {broken.what}",
            evidence=Evidence(
                source=Source.CHAIN,
                name=f"{report.origin}, {link.requester} to {link.receiver}",
                value="; ".join(broken.evidence),
            ),
            alone=place == 0,
            here=tuple(_changes(broken, [one.kind for one in causes()[cause].remedies])),
        )


def _changes(broken: Broken, kinds: Sequence[RemedyKind]) -> Iterator[tuple[RemedyKind, str]]:
    """Yield the first change of each kind. A keepalive that no program has a knob for is the kernel's."""
    usual = RemedyKind.PROXY if RemedyKind.PROXY in kinds else kinds[0]
    told: set[RemedyKind] = set()
    for change in broken.remedies:
        kernel = change.knob in _KEEPALIVES and RemedyKind.SYSCTL in kinds
        kind = RemedyKind.SYSCTL if kernel else usual
        if kind not in told:
            told.add(kind)
            yield kind, f"{change.hop}: {change.knob} {change.before} -> {change.after}"
    if not told and broken.otherwise:
        yield usual, broken.otherwise


def from_probe(report: ServiceReport) -> Heard:
    """Return what tries of services say: the likeliest cause of a failure is possible, the only one likely."""
    clues: list[Clue] = []
    gaps: list[Gap] = []
    origin = f" from {report.origin}" if report.origin else ""
    for service in report.services:
        name = f"{service.target.name}{origin}"
        # A name that is not found says nothing of the host that would have it.
        for failure in service.name_failures:
            clues += _tried(name, failure, f"{failure.stage}, {failure.error}", failure.took.count, "tries")
        for address in service.addresses:
            at = known_as((service.target.host, address.address))
            for failure in address.failures:
                what = f"{failure.stage}, {failure.error}"
                for clue in _tried(name, failure, what, failure.took.count, "tries"):
                    clues.append(replace(clue, port=service.target.port, at=at))
        for retried in (address.retried for address in service.addresses):
            if retried is not None:
                clues += _tried(name, retried, "SYNs sent again", retried.syns, "SYNs")
        if service.name.tried == 0:
            gaps.append(Gap(group="probe", why=f"{name} was not tried"))
    return Heard(clues=tuple(clues), not_judged=tuple(gaps))


def _tried(name: str, failed: Failure | Retried, what: str, number: int, unit: str) -> Iterator[Clue]:
    for place, cause in enumerate(failed.causes):
        yield Clue(
            cause=cause,
            confidence=Confidence.LIKELY if len(failed.causes) == 1 else Confidence.POSSIBLE,
            because=f"a probe met it: {failed.means}",
            evidence=Evidence(source=Source.PROBE, name=f"{name}: {what}", value=number, unit=unit),
            alone=place == 0,
        )
