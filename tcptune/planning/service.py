"""From tries of services to times, failures and what may be behind them. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tcptune.domain.service import (
    Address,
    Error,
    Failure,
    Retried,
    Service,
    ServiceError,
    ServiceReport,
    Stage,
    StageResult,
    StageTimes,
    Target,
    Times,
    Try,
)

_STEPS_S = (1, 2, 3, 4, 5, 7, 11, 15)
"""When a SYN that got no answer is sent again: after 1, 3, 7, 15 s; from Linux 6.5 on after each of the first seconds,
too (tcp_syn_linear_timeouts)."""
_SLACK_S = 0.25
"""A connection over the longest path takes less; one that took this much more than a step was slow by itself."""
_RETRIED = (
    "the first SYN or its answer was lost, or the service's queue was full at that moment",
    ("connect_latency.steps", "listen.accept_queue_overflow", "listen.syn_queue_full", "perf.loss"),
    "on the service's host, twice: nstat -az TcpExtListenOverflows TcpExtTCPReqQFullDrop TcpRetransSegs",
)


def summary(
    targets: Sequence[Target], tries: Iterable[Try], known: Sequence[ServiceError], *, count: int, origin: str | None
) -> ServiceReport:
    """Return what tries say of each target, in the order in which they were asked for."""
    names: dict[int, list[Try]] = defaultdict(list)
    by_address: dict[int, dict[str, list[Try]]] = defaultdict(lambda: defaultdict(list))
    for one in tries:
        if one.address is None:
            names[one.target].append(one)
        else:
            by_address[one.target][one.address].append(one)
    return ServiceReport(
        origin=origin,
        count=count,
        services=tuple(
            Service(
                target=target,
                name=_stage_times(Stage.DNS, _of(Stage.DNS, names[at])),
                name_failures=_failures(names[at], known),
                addresses=tuple(_address(address, found, known) for address, found in by_address[at].items()),
                left_off=max((one.left_off for one in names[at]), default=0),
            )
            for at, target in enumerate(targets)
        ),
    )


def times(took_ms: Sequence[float]) -> Times:
    """Return how long something took; p95 is a value that was measured, at or above 95 of 100.

    >>> times([3.0, 1.0, 2.0]).median_ms
    2.0
    """
    ordered = sorted(took_ms)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return Times(
        count=len(ordered),
        min_ms=ordered[0],
        median_ms=round(median, 2),
        p95_ms=ordered[math.ceil(0.95 * len(ordered)) - 1],
        max_ms=ordered[-1],
    )


def syn_step(connect_ms: float) -> int | None:
    """Return after how many seconds a SYN was sent again, where a connection took as long as if it had been.

    >>> syn_step(1012.0), syn_step(3100.0), syn_step(80.0), syn_step(1600.0)
    (1, 3, None, None)
    """
    return next((step for step in _STEPS_S if step <= connect_ms / 1000 < step + _SLACK_S), None)


def _address(address: str, tries: Sequence[Try], known: Sequence[ServiceError]) -> Address:
    stages = [stage for stage in Stage if any(_of(stage, tries))]
    return Address(
        address=address,
        family=6 if ":" in address else 4,
        stages=tuple(_stage_times(stage, _of(stage, tries)) for stage in stages),
        failures=_failures(tries, known),
        retried=_retried(tries),
    )


def _of(stage: Stage, tries: Iterable[Try]) -> list[StageResult]:
    return [one for found in tries for one in found.stages if one.stage is stage]


def _stage_times(stage: Stage, results: Sequence[StageResult]) -> StageTimes:
    worked = [one.ms for one in results if one.error is None]
    return StageTimes(stage=stage, tried=len(results), worked=times(worked) if worked else None)


def _failures(tries: Iterable[Try], known: Sequence[ServiceError]) -> tuple[Failure, ...]:
    groups: dict[tuple[Stage, Error, str], list[StageResult]] = defaultdict(list)
    for found in tries:
        for one in found.stages:
            if one.error is not None:
                # An answer's text may differ each time; the status and the alert are what tells classes apart.
                words = one.said if one.error in {Error.STATUS, Error.TLS_ALERT} else ""
                groups[one.stage, one.error, words].append(one)
    failures = []
    for (stage, error, _), results in groups.items():
        entry = _explained(stage, error, results[0].said, known)
        failures.append(
            Failure(
                stage=stage,
                error=error,
                said=results[0].said,
                took=times([one.ms for one in results]),
                means=entry.means if entry else "",
                causes=entry.causes if entry else (),
                next=entry.next if entry else "",
            )
        )
    return tuple(sorted(failures, key=lambda one: (list(Stage).index(one.stage), -one.took.count)))


def _explained(stage: Stage, error: Error, said: str, known: Sequence[ServiceError]) -> ServiceError | None:
    for entry in known:
        fits = not entry.says or any(word in said for word in entry.says)
        if stage in entry.stages and entry.error is error and fits:
            return entry
    return None


def _retried(tries: Iterable[Try]) -> Retried | None:
    """Return the connections whose SYN was sent again: as the kernel counts, or as the time tells where it does not."""
    took: list[float] = []
    syns, steps = 0, set()
    for found in tries:
        connected = next((one for one in found.stages if one.stage is Stage.CONNECT and one.error is None), None)
        if connected is None:
            continue
        step = syn_step(connected.ms)
        again = found.syn_retransmits if found.syn_retransmits is not None else 1 if step else 0
        if again:
            took.append(connected.ms)
            syns += again
            steps |= {step} if step else set()
    if not took:
        return None
    after = f", connected about {', '.join(f'{step} s' for step in sorted(steps))} later" if steps else ""
    means, causes, further = _RETRIED
    return Retried(
        took=times(took),
        syns=syns,
        evidence=f"{syns} {'SYN' if syns == 1 else 'SYNs'} sent again{after}",
        means=means,
        causes=causes,
        next=further,
    )
