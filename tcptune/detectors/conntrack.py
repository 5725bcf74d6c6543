"""The connection tracking table."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import NOT_HELD, Case, NotKnown, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, NotExplained, Operator, Proposal, Source
from tcptune.domain.state import Conntrack
from tcptune.domain.strain import KernelMessage

MAX = "net.netfilter.nf_conntrack_max"
BUCKETS = "net.netfilter.nf_conntrack_buckets"
_DROP, _EARLY, _CLASH = "nf_conntrack.drop", "nf_conntrack.early_drop", "nf_conntrack.insert_failed"
_ENTRY_BYTES = 384
"""With extensions, rounded up (include/net/netfilter/nf_conntrack.h)."""
_MOST_OF_MEMORY = 0.1
_PER_BUCKET = 4


def full(case: Case) -> Iterator[Seen]:
    """Name a table that is full, or nearly."""
    table = case.second.conntrack
    if table is None:
        raise NotKnown(f"connection tracking was not read: {case.second.gaps.get('conntrack', NOT_HELD)}")
    if not table.loaded:
        return
    if table.count is None or not table.max:
        raise NotKnown("how full the table is was not read")
    share = 100 * table.count / table.max
    dropped, evicted = _refused(case), case.grown_if_counted(_EARLY)
    logged = case.logged(KernelMessage.CONNTRACK_FULL)
    was = case.first.conntrack
    near = share >= case.bound("conntrack-used") or _used(was) >= case.bound("conntrack-used")
    if not near and not logged and not dropped:
        return
    sure = bool(logged or (dropped and near))
    wanted = 2 * table.max
    memory = case.memory_bytes
    fits = memory is not None and wanted * _ENTRY_BYTES <= _MOST_OF_MEMORY * memory
    yield Seen(
        cause="drop.conntrack_full",
        confidence=Confidence.HIGH if sure else Confidence.POSSIBLE,
        because=_because(sure=sure, near=near, evicted=bool(evicted), full=table.count >= table.max),
        evidence=(
            Evidence(
                source=Source.CONNTRACK,
                name="entries",
                value=table.count,
                unit="connections",
                threshold=float(table.max),
            ),
            *case.seen_if_counted(_DROP, _EARLY, _CLASH),
        ),
        here={RemedyKind.SYSCTL: f"{MAX} = {wanted}" + ("" if fits else _too_much(wanted, memory))}
        if near or logged
        else {},
        settings=tuple(_proposals(case, wanted)) if fits and (near or logged) else (),
        ruled_out=("connect_timeout.drop", "listen.accept_queue_overflow"),
    )


def clashes(case: Case) -> Iterator[NotExplained]:
    """Yield packets that were dropped because two of them made the same entry."""
    # Before Linux 5.7 one that was resolved counts as failed, too, and drops nothing.
    dropped = min(case.grown_if_counted(_CLASH), case.grown_if_counted(_DROP))
    if dropped / case.elapsed_s < case.bound("clashes"):
        return
    yield NotExplained(
        what="connection tracking drops packets whose entries collide",
        evidence=(case.seen(_CLASH, "clashes"), *case.seen_if_counted(_DROP, "nf_conntrack.clash_resolve")),
        next="look for SNAT without --random-fully, for too few addresses behind it, and for parallel DNS queries",
    )


def _refused(case: Case) -> int:
    """Return the packets that were dropped for lack of room: those of a clash are counted twice, here and there."""
    return max(0, case.grown_if_counted(_DROP) - case.grown_if_counted(_CLASH))


def _used(table: Conntrack | None) -> float:
    return 100 * table.count / table.max if table is not None and table.count is not None and table.max else 0.0


def _too_much(wanted: int, memory: int | None) -> str:
    size = f": {wanted * _ENTRY_BYTES >> 20} MiB"
    return (
        f"{size}, more than a tenth of the memory" if memory is not None else f"{size}; how much there is is not known"
    )


def _because(*, sure: bool, near: bool, evicted: bool, full: bool) -> str:
    if sure:
        return "the kernel drops new connections for it"
    if not near:
        return "packets were dropped, but the table has room in both samples: a burst between them, or another reason"
    if evicted:
        return "connections that are not assured are thrown out for new ones: nobody sees an error yet"
    if full:
        return "it is full, and no new connection was dropped within the window"
    return "the next burst takes the rest of the table"


def _proposals(case: Case, wanted: int) -> Iterator[Proposal]:
    yield Proposal(
        key=MAX,
        operator=Operator.AT_LEAST,
        value=str(wanted),
        actual=case.text(MAX),
        why="the connection tracking table is full, and new connections are dropped in silence",
    )
    table = case.second.conntrack
    if table is not None and table.buckets is not None and table.buckets * _PER_BUCKET < wanted:
        yield Proposal(
            key=BUCKETS,
            operator=Operator.AT_LEAST,
            value=str(wanted // _PER_BUCKET),
            actual=str(table.buckets),
            why="longer chains make each look-up slow: four entries a bucket at most",
        )
