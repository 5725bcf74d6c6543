"""What detectors saw, and clues from elsewhere -> the verdict of a host: joined, in order, with remedies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tcptune.detectors.case import Case, Clue, Seen
from tcptune.domain.causes import Cause, Confidence
from tcptune.domain.diagnosis import CauseFound, Gap, HostDiagnosis, NotExplained, Remedy
from tcptune.knowledge.causes import causes


def of(
    case: Case, seen: Iterable[Seen], clues: Iterable[Clue], left: tuple[NotExplained, ...], gaps: Iterable[Gap]
) -> HostDiagnosis:
    """Return the verdict: roots first, the surest first, each followed by what it brings about."""
    saw = list(seen)
    found = joined([_found(one) for one in saw if not one.harmless], clues)
    return HostDiagnosis(
        host=case.second.host,
        window_s=round(case.elapsed_s, 2),
        causes=ordered(found),
        harmless=tuple(_found(one) for one in saw if one.harmless),
        unexplained=() if _explained(found) else left,
        not_judged=tuple(gaps),
    )


def joined(found: Sequence[CauseFound], clues: Iterable[Clue]) -> list[CauseFound]:
    """Add clues to the causes that they name; a cause that nobody has found yet is added.

    Two independent looks that agree make a cause one step surer.
    """
    result = list(found)
    for clue in clues:
        place = next((i for i, one in enumerate(result) if one.cause == clue.cause and _same(one, clue)), None)
        if place is None and not clue.alone:
            continue
        if place is None:
            result.append(_found(Seen(clue.cause, clue.confidence, clue.because, (clue.evidence,), about=clue.about)))
            continue
        one = result[place]
        if not clue.alone:
            result[place] = one.model_copy(update={"evidence": (*one.evidence, clue.evidence)})
            continue
        sure = min(one.confidence, clue.confidence, key=lambda level: level.rank)
        if one.confidence is clue.confidence is Confidence.POSSIBLE:
            sure = Confidence.LIKELY
        result[place] = one.model_copy(
            update={
                "confidence": sure,
                "because": f"{one.because}; {clue.because}",
                "evidence": (*one.evidence, clue.evidence),
            }
        )
    return result


def ordered(found: Sequence[CauseFound]) -> tuple[CauseFound, ...]:
    """Return roots by how sure they or what they bring about are, each followed by that.

    What is merely possible is nobody's root.
    """
    known = causes()
    sure = {one.cause for one in found if one.confidence is not Confidence.POSSIBLE}
    roots: list[CauseFound] = []
    below: dict[str, list[CauseFound]] = {}
    for one in found:
        root = next((other for other in _before(one.cause, known) if other in sure), None)
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


def _before(cause: str, known: Mapping[str, Cause]) -> Iterable[str]:
    """Yield the causes that bring a cause about."""
    return (one.id for one in known.values() if cause in one.leads_to and one.id != cause)


def _same(one: CauseFound, clue: Clue) -> bool:
    return clue.about is None or one.about is None or one.about == clue.about


def _explained(found: Sequence[CauseFound]) -> bool:
    """Say whether a cause of resets was found: then more resets than usual are no riddle."""
    return any(
        one.confidence is not Confidence.POSSIBLE and {"ECONNRESET", "ECONNREFUSED"} & set(causes()[one.cause].errors)
        for one in found
    )


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
