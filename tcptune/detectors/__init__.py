"""Family: two samples of one host -> causes.

A detector is a function of a case. It yields what it sees, and raises NotKnown where it lacks a fact: then it is listed
as not judged, with what it saw before. It looks at one group of causes and knows nothing of the others. What brings
what about is data of the causes, and is settled in `verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tcptune.detectors import (
    agreeing,
    attempts,
    conntrack,
    drops,
    handshakes,
    idle,
    kernel_log,
    limits,
    listen,
    loss,
    ports,
    resets,
    states,
    tcp_memory,
    verdict,
)
from tcptune.detectors.case import Case, NotKnown, Seen
from tcptune.detectors.clues import Heard
from tcptune.detectors.groups import CAUSES
from tcptune.domain.diagnosis import Gap, HostDiagnosis, NotExplained
from tcptune.domain.samples import Sampled

NOTHING = Heard()

Detector = Callable[[Case], Iterable[Seen]]

DETECTORS: dict[str, Detector] = {
    "accept-queue": listen.judge,
    "syn-queue": handshakes.syn_queue,
    "closed-listeners": resets.closed_queues,
    "open-files": limits.files,
    "open-files-of-host": limits.host_files,
    "memory": limits.memory,
    "conntrack": conntrack.full,
    "ports": ports.exhausted,
    "time-wait-table": resets.time_wait_table,
    "tcp-memory": tcp_memory.orphans_and_memory,
    "close-wait": states.close_wait,
    "half-closed": states.fin_wait2,
    "aborts": resets.aborts,
    "attempts": attempts.judge,
    "cancelled": handshakes.cancelled,
    "reverse-path": handshakes.reverse_path,
    "recycle": handshakes.recycle,
    "unanswered": idle.unanswered,
    "idle-path": idle.forgotten,
    "tracking": idle.tracking,
    "dead-peers": idle.dead_peers,
    "processors": drops.processors,
    "cards": drops.cards,
    "links": drops.links,
    "neighbours": drops.neighbours,
    "slow-readers": states.slow_readers,
    "buffers": tcp_memory.buffers,
    "packet-size": loss.packet_size,
    "loss": loss.segments,
    "injected": resets.injected,
    "time-waits": ports.time_waits,
}
"""Name of a group -> its detector. Of causes that are as sure, the first here is named first."""

OF_SOCKETS = ("ports", "close-wait", "half-closed", "unanswered", "dead-peers", "slow-readers")
"""Groups that count sockets: where some were not looked at, a number is too small, and silence tells nothing."""

RIDDLES: dict[str, Callable[[Case], Iterable[NotExplained]]] = {
    "resets": resets.unexplained,
    "syn-queue": handshakes.drops,
    "conntrack": conntrack.clashes,
}
"""Name of a group -> what finds numbers that no healthy host has, and that no cause explains."""


def judge(sampled: Sampled, heard: Heard = NOTHING, also: Iterable[str] = ()) -> HostDiagnosis:
    """Return what is wrong with a host, and what was not judged.

    `heard` is what was found elsewhere: in logs of applications, in a capture, by a probe. What fits a cause found here
    is added to its evidence; what does not is a cause of its own. `also` are other names and addresses of the host than
    its facts have.
    """
    case = Case.of(sampled, also)
    told = list(heard.looked_at(sampled.first.collected_at))
    if why := case.incomparable():
        rest = verdict.of_files(told, heard.unexplained, (Gap(group="all", why=why), *heard.not_judged))
        return rest.model_copy(update={"host": sampled.host})
    seen: list[Seen] = []
    gaps: list[Gap] = []
    for name, detector in DETECTORS.items():
        try:
            # One by one: what was seen before a fact was missed is kept.
            for one in detector(case):
                seen.append(one)  # noqa: PERF402
        except NotKnown as gap:
            gaps.append(_gap(name, gap))
    try:
        seen += agreeing.answered(case, told)
        told = agreeing.unsettled(case, told)
    except NotKnown as gap:
        gaps.append(_gap("files", gap))
    try:
        told += kernel_log.judge(case)
    except NotKnown as gap:
        gaps.append(_gap("kernel-log", gap))
    sockets = case.second.sockets
    if sockets is not None and sockets.unlisted:
        gaps += [_gap(name, NotKnown(f"{sockets.unlisted} sockets more were not looked at")) for name in OF_SOCKETS]
    left = {name: _riddles(find, name, case, gaps) for name, find in RIDDLES.items()}
    others = (*left["syn-queue"], *left["conntrack"], *heard.unexplained)
    return verdict.of(case, seen, told, (left["resets"], others), (*gaps, *heard.not_judged))


def _riddles(
    find: Callable[[Case], Iterable[NotExplained]], name: str, case: Case, gaps: list[Gap]
) -> tuple[NotExplained, ...]:
    try:
        return tuple(find(case))
    except NotKnown as gap:
        # Its detector may have missed the same fact.
        gaps += {_gap(name, gap)}.difference(gaps)
        return ()


def _gap(group: str, problem: NotKnown) -> Gap:
    return Gap(group=group, why=str(problem), causes=CAUSES.get(group, ()), root=problem.root)
