"""The connection tracker: how full its table is, and how long its chains are."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.planning.checks.scene import NotKnown, Scene, Values

MAX = "net.netfilter.nf_conntrack_max"
BUCKETS = "net.netfilter.nf_conntrack_buckets"
FULL = 0.95
HIGH = 0.80
LONGEST_CHAIN = 4
"""Entries a bucket, as kernels before 5.15 had it. Each flow is hashed twice."""


def full(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare the entries with the maximum: a full table drops new connections while old ones work."""
    found = scene.conntrack
    if not found.loaded:
        return
    most = _value(values, MAX, found.max)
    if found.count is None or not most:
        raise NotKnown("the entries of connection tracking were not read")
    if (share := found.count / most) < HIGH:
        return
    harm = share >= FULL
    yield Observation(
        keys=(MAX,),
        severity=Severity.HARM if harm else Severity.ADVICE,
        what="the table of tracked connections is full, or nearly: new connections are dropped"
        if harm
        else "the table of tracked connections is filling up; once it is full new connections are dropped",
        evidence=(f"{found.count} entries, {share:.0%}", _said(values, MAX, most)),
        remedy=f"raise {MAX} (and {BUCKETS}), shorten the timeouts, or track less (NOTRACK)",
        owner=Owner.KERNEL,
    )


def chains(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare the maximum with the buckets: long chains cost time on every packet."""
    found = scene.conntrack
    if not found.loaded:
        return
    most, buckets = _value(values, MAX, found.max), _value(values, BUCKETS, found.buckets)
    if not most or not buckets:
        raise NotKnown("size and buckets of connection tracking were not read")
    if most > buckets * LONGEST_CHAIN:
        yield Observation(
            keys=(MAX, BUCKETS),
            severity=Severity.ADVICE,
            what=f"a full table of tracked connections has more than {LONGEST_CHAIN} entries in a bucket: each packet "
            "searches longer",
            evidence=(_said(values, MAX, most), _said(values, BUCKETS, buckets)),
            remedy=f"set {BUCKETS} to at least {-(-most // LONGEST_CHAIN)}, better to {most}; 8 bytes each",
            owner=Owner.KERNEL,
        )


def _value(values: Values, key: str, probed: int | None) -> int | None:
    """Return a setting; what the probe read of it where the facts do not hold the key."""
    try:
        return values.number(key)
    except NotKnown:
        return probed


def _said(values: Values, key: str, number: int) -> str:
    try:
        return values.said(key)
    except NotKnown:
        return f"{key} = {number}"
