"""The connection tracking table."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import NOT_HELD, Case, NotKnown, Seen
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.strain import KernelMessage

MAX = "net.netfilter.nf_conntrack_max"
BUCKETS = "net.netfilter.nf_conntrack_buckets"
_DROP, _EARLY = "nf_conntrack.drop", "nf_conntrack.early_drop"
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
    dropped, evicted = case.grown_if_counted(_DROP), case.grown_if_counted(_EARLY)
    logged = case.logged(KernelMessage.CONNTRACK_FULL)
    if share < case.bound("conntrack-used") and not logged and not dropped:
        return
    sure = bool(logged or dropped)
    wanted = 2 * table.max
    memory = case.second.system.memory_bytes
    fits = memory is None or wanted * _ENTRY_BYTES <= _MOST_OF_MEMORY * memory
    yield Seen(
        cause="drop.conntrack_full",
        confidence=Confidence.HIGH if sure else Confidence.POSSIBLE,
        because=_because(sure=sure, evicted=bool(evicted), full=table.count >= table.max),
        evidence=(
            Evidence(
                source=Source.CONNTRACK,
                name="entries",
                value=table.count,
                unit="connections",
                threshold=float(table.max),
            ),
            *case.seen_if_counted(_DROP, _EARLY),
        ),
        here={
            RemedyKind.SYSCTL: f"{MAX} = {wanted}"
            + ("" if fits else f": {wanted * _ENTRY_BYTES >> 20} MiB, more than a tenth of the memory")
        },
        settings=tuple(_proposals(case, wanted)) if fits else (),
        ruled_out=("connect_timeout.drop", "listen.accept_queue_overflow"),
    )


def _because(*, sure: bool, evicted: bool, full: bool) -> str:
    if sure:
        return "the kernel drops new connections for it"
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
