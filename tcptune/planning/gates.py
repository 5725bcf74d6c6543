"""Answers of active gates -> samples, and samples -> what the rollout does about them. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from tcptune.domain.gates import (
    ActiveGate,
    Answer,
    Cause,
    CommandGate,
    Counted,
    CountersGate,
    GateSample,
    HttpGate,
    SshGate,
    TcpGate,
    Treat,
    Verdict,
)

_WITHOUT_CAUSE = {Verdict.PASSED: Treat.CONTINUE, Verdict.FAILED: Treat.FAIL}


def judge_answers(
    gate: ActiveGate, hosts: Iterable[str], before: Collection[Answer], after: Collection[Answer], *, at: datetime
) -> tuple[GateSample, ...]:
    """Return a sample for each host and each of the gate's checks, by host.

    Every host of `hosts` has its rows: where there is no answer, undecided ones of the time `at`. Of several answers to
    one check the last counts. What did not work before the change fails all the same: nobody can say what it broke.
    """
    was = {(one.host, one.check): one for one in before}
    now = {(one.host, one.check): one for one in after}
    return tuple(
        _sample(gate, host, check, was.get((host, check)), now.get((host, check)), at)
        for host in sorted(set(hosts))
        for check in gate.checks
    )


def counted(gate: ActiveGate | CountersGate, samples: Iterable[GateSample]) -> tuple[Counted, ...]:
    """Return each sample with what it does to the rollout, as the gate says of undecided ones."""
    return tuple(
        Counted(
            sample=sample,
            treat=_WITHOUT_CAUSE[sample.verdict] if sample.cause is None else gate.undecided.of(sample.cause),
        )
        for sample in samples
    )


def _sample(
    gate: ActiveGate, host: str, check: str, before: Answer | None, after: Answer | None, at: datetime
) -> GateSample:
    threshold = _threshold(gate, before)
    verdict, cause, why = _verdict(gate, before, after, threshold)
    return GateSample(
        host=host,
        gate=gate.gate,
        check=check,
        at=after.at if after else at,
        before=before.value if before else None,
        after=after.value if after else None,
        unit=after.unit if after else "exit status" if isinstance(gate, CommandGate) else "ms",
        threshold=threshold,
        verdict=verdict,
        cause=cause,
        why=why,
    )


def _verdict(
    gate: ActiveGate, before: Answer | None, after: Answer | None, threshold: float | None
) -> tuple[Verdict, Cause | None, str]:
    if after is None:
        return Verdict.UNDECIDED, Cause.UNREAD, "nobody asked it since the change"
    if after.works is None:
        return Verdict.UNDECIDED, Cause.UNREAD, after.said
    if not after.works:
        return Verdict.FAILED, None, f"{after.said}{_earlier(before)}"
    if after.value is not None and threshold is not None and after.value > threshold:
        return Verdict.FAILED, None, f"too slow{_earlier(before)}"
    if _lacks_baseline(gate, before):
        return Verdict.UNDECIDED, Cause.NO_BASELINE, f"it works; nothing to compare its time with{_earlier(before)}"
    return Verdict.PASSED, None, after.said or "it works"


def _threshold(gate: ActiveGate, before: Answer | None) -> float | None:
    """Return the most that an answer may take, in ms."""
    if isinstance(gate, SshGate | TcpGate):
        return gate.within_s * 1000
    if not isinstance(gate, HttpGate):
        return None
    bounds = [gate.latency_at_most_ms] if gate.latency_at_most_ms is not None else []
    if gate.latency_times_before is not None and before is not None and before.works and before.value is not None:
        bounds.append(gate.latency_times_before * max(before.value, gate.latency_tolerated_ms))
    return min(bounds, default=gate.within_s * 1000)


def _lacks_baseline(gate: ActiveGate, before: Answer | None) -> bool:
    asked = isinstance(gate, HttpGate) and gate.latency_times_before is not None
    return asked and (before is None or not before.works or before.value is None)


def _earlier(before: Answer | None) -> str:
    if before is None:
        return "; nobody asked it before the change"
    return "" if before.works else f"; before the change, too: {before.said or 'it did not work'}"
