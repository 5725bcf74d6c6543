"""What detectors saw, and clues from elsewhere -> the verdict of a host: joined, in order, with remedies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tcptune.detectors.case import Case, Clue, Seen
from tcptune.detectors.listen import NOBODY
from tcptune.detectors.proposals import agreed
from tcptune.detectors.resets import OUT
from tcptune.domain.causes import Cause, Confidence
from tcptune.domain.diagnosis import FILES, CauseFound, Gap, HostDiagnosis, NotExplained, Remedy, Source
from tcptune.knowledge.causes import causes

_OF_PROCESSES = frozenset({"limit", "listen", "state"})
"""Families of causes that are about a process where they are about anything: its name comes first."""


def of(
    case: Case,
    seen: Iterable[Seen],
    clues: Iterable[Clue],
    left: tuple[Sequence[NotExplained], Sequence[NotExplained]],
    gaps: Iterable[Gap],
) -> HostDiagnosis:
    """Return the verdict: roots first, the surest first, each followed by what it brings about.

    `left` is what is not explained: resets of this host, which a cause of resets explains, and what files show.
    """
    resets, others = left
    saw = list(seen)
    told = list(clues)
    found = lowered(joined([_found(one) for one in saw if not one.harmless], told), told)
    not_judged = [one.model_copy(update={"behind": tuple(_behind(one, found))}) for one in gaps]
    return HostDiagnosis(
        host=case.second.host,
        window_s=round(case.elapsed_s, 2),
        causes=agreed(ordered(found)),
        harmless=tuple(_found(one) for one in saw if one.harmless),
        unexplained=(*(one for one in resets if not _explained(one, found)), *others),
        not_judged=tuple(not_judged),
    )


def of_files(clues: Sequence[Clue], left: Iterable[NotExplained], gaps: Iterable[Gap]) -> HostDiagnosis:
    """Return the verdict on files alone, without a host."""
    return HostDiagnosis(
        host=FILES,
        window_s=0,
        causes=ordered(lowered(joined((), clues), clues)),
        unexplained=tuple(left),
        not_judged=tuple(gaps),
    )


def joined(found: Sequence[CauseFound], clues: Iterable[Clue]) -> list[CauseFound]:
    """Add clues to the causes that they name; a cause that nobody has found yet is added.

    A cause is as sure as the surest that speaks for it. Two independent looks that are as sure, such as counters and a
    log, make it one step surer; two logs are one look.
    """
    result = list(found)
    # What makes a cause comes before what merely supports one.
    for clue in sorted(clues, key=lambda one: not one.alone):
        place = next((i for i, one in enumerate(result) if one.cause == clue.cause and _same(one, clue)), None)
        if place is None and clue.alone:
            seen = Seen(
                clue.cause, clue.confidence, clue.because, (clue.evidence,), about=clue.about, here=dict(clue.here)
            )
            result.append(_found(seen))
        elif place is not None:
            result[place] = _with(result[place], clue)
    return result


def lowered(found: Sequence[CauseFound], clues: Iterable[Clue]) -> list[CauseFound]:
    """Take a step from causes that a capture tells apart: it shows for sure what looks the same, and not them."""
    shown = {one.cause: one for one in clues if one.evidence.source is Source.PCAP and one.fresh}
    sure = {name for name, one in shown.items() if one.confidence is Confidence.HIGH}
    return [_less_sure(one, sure) if one.cause not in shown and not _captured(one) else one for one in found]


def _captured(one: CauseFound) -> bool:
    return any(evidence.source is Source.PCAP for evidence in one.evidence)


def _less_sure(one: CauseFound, sure: Iterable[str]) -> CauseFound:
    other = next((name for name in sure if name in {apart.cause for apart in one.alternatives}), None)
    if other is None or one.confidence is not Confidence.LIKELY:
        return one
    because = f"{one.because}; less sure for a capture shows {other}"
    return one.model_copy(update={"confidence": one.confidence.less_sure, "because": because})


def _with(one: CauseFound, clue: Clue) -> CauseFound:
    evidence = one.evidence if clue.evidence in one.evidence else (*one.evidence, clue.evidence)
    if not clue.alone:
        return one.model_copy(update={"evidence": evidence})
    because = f"{one.because}; {clue.because}"
    if not clue.fresh:
        return one.model_copy(update={"evidence": evidence, "because": because})
    sure = min(one.confidence, clue.confidence, key=lambda level: level.rank)
    new = clue.evidence.source.look not in {told.source.look for told in one.evidence}
    if new and one.confidence is clue.confidence:
        sure = sure.surer
    return one.model_copy(
        update={"confidence": sure, "because": because, "evidence": evidence, "remedies": _spelled(one, clue)}
    )


def _spelled(one: CauseFound, clue: Clue) -> tuple[Remedy, ...]:
    """Return the remedies, with what a clue knows of names and numbers where nothing is known yet."""
    left = dict(clue.here)
    result: list[Remedy] = []
    for remedy in one.remedies:
        here = left.pop(remedy.kind, None)
        result.append(remedy.model_copy(update={"here": here}) if here and remedy.here is None else remedy)
    return tuple(result)


def ordered(found: Sequence[CauseFound]) -> tuple[CauseFound, ...]:
    """Return roots by how sure they or what they bring about are, each followed by that.

    What is merely possible is nobody's root.
    """
    known = causes()
    sure = {one.cause for one in found if one.confidence is not Confidence.POSSIBLE}
    roots: list[CauseFound] = []
    below: dict[str, list[CauseFound]] = {}
    for one in found:
        root = next(
            (
                other
                for other in _before(one.cause, known)
                if other in sure and any(_may_bring(above, one) for above in found if above.cause == other)
            ),
            None,
        )
        if root is None:
            roots.append(one)
        else:
            below.setdefault(root, []).append(one.model_copy(update={"follows_from": root}))

    def rank(one: CauseFound, above: frozenset[str]) -> int:
        under = [] if one.cause in above else below.get(one.cause, [])
        return min([one.confidence.rank, *(rank(other, above | {one.cause}) for other in under)])

    result: list[CauseFound] = []

    def add(one: CauseFound) -> None:
        result.append(one)
        for other in below.pop(one.cause, []):
            add(other)

    for one in sorted(roots, key=lambda one: rank(one, frozenset())):
        add(one)
    return tuple(result)


def _may_bring(above: CauseFound, below: CauseFound) -> bool:
    """Say whether they are of one process, where both are of one: the files of one fill no queue of another."""
    if above.about is None or below.about is None or not {_family(above), _family(below)} <= _OF_PROCESSES:
        return True
    names = {above.about.split()[0], below.about.split()[0]}
    return len(names) == 1 or NOBODY in names


def _family(one: CauseFound) -> str:
    return one.cause.partition(".")[0]


def _before(cause: str, known: Mapping[str, Cause]) -> Iterable[str]:
    """Yield the causes that bring a cause about."""
    return (one.id for one in known.values() if cause in one.leads_to and one.id != cause)


def _behind(gap: Gap, found: Iterable[CauseFound]) -> Iterable[str]:
    """Yield what was found and a cause of a gap may bring about, or be mistaken for."""
    hidden = frozenset(gap.causes)
    below = {cause for name in hidden for cause in causes()[name].leads_to}
    for one in found:
        if one.cause in below | hidden or hidden & {other.cause for other in one.alternatives}:
            yield one.cause


def _same(one: CauseFound, clue: Clue) -> bool:
    return clue.about is None or one.about is None or one.about == clue.about


def _explained(riddle: NotExplained, found: Sequence[CauseFound]) -> bool:
    """Say whether a cause of such resets was found: then more of them than usual are no riddle."""
    ends = {"ECONNRESET"}
    if riddle.evidence[0].name == OUT:
        # Who is refused gets a reset as well, but no connection ends by that.
        ends.add("ECONNREFUSED")
    return any(one.confidence is not Confidence.POSSIBLE and ends & set(causes()[one.cause].errors) for one in found)


def _found(one: Seen) -> CauseFound:
    known = causes()[one.cause]
    return CauseFound(
        cause=one.cause,
        summary=known.summary,
        about=one.about,
        confidence=one.confidence,
        because=one.because,
        evidence=one.evidence,
        alternatives=tuple(other for other in known.apart if other.cause not in one.ruled_out),
        remedies=tuple(_remedies(known, one)),
        kernel_change_helps=known.kernel_change_helps,
        settings=one.settings,
        nofile=one.nofile,
    )


def _remedies(known: Cause, one: Seen) -> Iterable[Remedy]:
    told: set[str] = set()
    for remedy in known.remedies:
        here = one.here.get(remedy.kind) if remedy.kind not in told else None
        told.add(remedy.kind)
        yield Remedy(kind=remedy.kind, owner=remedy.kind.owner, action=remedy.action, here=here)
