"""Memory that TCP may take, beside what the host has. Formulas of ceilings, not of what is in use now.

entry of                      bytes   source
TIME_WAIT                       256   slab tw_sock_TCP, Linux 6.18
SYN queue                       320   slab request_sock_TCP, Linux 6.18
connection tracking             320   slab nf_conntrack with extensions, upper end; and 8 a bucket
idle connection                3700   slabs of socket, inode, file and dentry (2368 + 832 + 192 + 192), Linux 6.18

The shares that are called too much are a judgement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.planning.checks.scene import NotKnown, Scene, Values

TCP_MEM = "net.ipv4.tcp_mem"
TW_BUCKETS = "net.ipv4.tcp_max_tw_buckets"
SOMAXCONN = "net.core.somaxconn"
CONNTRACK_MAX = "net.netfilter.nf_conntrack_max"
CONNTRACK_BUCKETS = "net.netfilter.nf_conntrack_buckets"
BUFFERS = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")
LOAD = "connections"
"""Variable of a profile's load: open connections at the peak."""

TIME_WAIT_BYTES = 256
REQUEST_BYTES = 320
TRACKED_BYTES = 320
BUCKET_BYTES = 8
IDLE_BYTES = 3700
MUCH = 0.25
"""A fresh kernel may take about an eighth."""
TOO_MUCH = 0.5
WORTH_NAMING = 0.01
BUFFER_SHARE = 64
"""A buffer's maximum should be no more than this part of RAM, and LARGEST_BUFFER; a fresh kernel has half of it."""
LARGEST_BUFFER = 512 << 20
_MIB = 1 << 20


class _Part(NamedTuple):
    key: str
    words: str
    size: int


def ceiling(scene: Scene, values: Values) -> Iterator[Observation]:
    """Add up what the settings let TCP and connection tracking take."""
    memory = scene.memory_bytes
    parts: list[_Part] = []
    gaps: list[str] = []
    for of in (_pages, _time_wait, _tracked, _queues):
        try:
            parts += [part for part in [of(scene, values)] if part and part.size]
        except NotKnown as gap:
            gaps.append(str(gap))
    yield from _sum(parts, memory)
    if gaps:
        raise NotKnown("; ".join(gaps))


def _sum(parts: list[_Part], memory: int) -> Iterator[Observation]:
    total = sum(part.size for part in parts)
    if total <= memory * MUCH:
        return
    parts = sorted(parts, key=lambda part: -part.size)
    harm = total > memory * TOO_MUCH
    yield Observation(
        keys=tuple(part.key for part in parts if part.size > memory * WORTH_NAMING),
        severity=Severity.HARM if harm else Severity.ADVICE,
        what=f"these settings let TCP take more than {'half' if harm else 'a quarter'} of the host's memory, none "
        "of which can be swapped out",
        evidence=(*(f"{part.words}: {_mib(part.size)}" for part in parts), f"memory: {_mib(memory)}"),
        remedy=f"lower the largest; {TCP_MEM} counts pages, not bytes",
        owner=Owner.KERNEL,
    )


def buffers(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare the largest buffer one connection may have with RAM."""
    memory = scene.memory_bytes
    most = min(memory // BUFFER_SHARE, LARGEST_BUFFER)
    for key in BUFFERS:
        numbers = values.numbers(key)
        if numbers and numbers[-1] > most:
            yield Observation(
                keys=(key,),
                severity=Severity.ADVICE,
                what=f"one connection alone may take more than 1/{BUFFER_SHARE} of the host's memory as {key}",
                evidence=(values.said(key), f"memory: {_mib(memory)}"),
                remedy=f"a maximum of {most} or less; 2 * bandwidth * round-trip time is enough",
                owner=Owner.KERNEL,
            )


def connections(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare the load that the profile is made for with RAM: idle connections alone, without application."""
    default = next((e.load[LOAD].default for e in scene.profile.entries if LOAD in e.load), None)
    if default is None:
        return
    declared = scene.declared.load.get(LOAD)
    count = default if declared is None else declared
    memory = scene.memory_bytes
    if count * IDLE_BYTES <= memory * TOO_MUCH:
        return
    whose = "the profile's default" if declared is None else "declared"
    harm = declared is not None and count * IDLE_BYTES > memory
    yield Observation(
        keys=(TCP_MEM,),
        severity=Severity.HARM if harm else Severity.ADVICE,
        what="so many connections do not fit into this host, even idle" + ("" if harm else ", or leave it little"),
        evidence=(
            f"{LOAD} = {count:.0f} ({whose}), {IDLE_BYTES} bytes each: {_mib(count * IDLE_BYTES)}",
            *_pressure(scene, values),
            f"memory: {_mib(memory)}",
        ),
        remedy=f"more memory, more hosts, or a smaller load: --load {LOAD}=N",
        owner=Owner.OPERATOR,
    )


def _pages(scene: Scene, values: Values) -> _Part | None:
    pages = values.numbers(TCP_MEM)
    if pages is None:
        return None
    return _Part(TCP_MEM, f"buffers, {values.said(TCP_MEM)}, in pages", pages[-1] * _page(scene))


def _time_wait(_scene: Scene, values: Values) -> _Part:
    count = values.number(TW_BUCKETS) or 0
    return _Part(TW_BUCKETS, f"TIME_WAIT, {values.said(TW_BUCKETS)}", count * TIME_WAIT_BYTES)


def _tracked(scene: Scene, values: Values) -> _Part | None:
    if not scene.conntrack.loaded:
        return None
    most, buckets = values.number(CONNTRACK_MAX) or 0, values.number(CONNTRACK_BUCKETS) or 0
    return _Part(
        CONNTRACK_MAX, f"tracking, {values.said(CONNTRACK_MAX)}", most * TRACKED_BYTES + buckets * BUCKET_BYTES
    )


def _queues(scene: Scene, values: Values) -> _Part | None:
    """Return the SYN queues: a listener at today's somaxconn may have asked for more."""
    after, before = values.number(SOMAXCONN), scene.now.number(SOMAXCONN)
    if after is None or before is None:
        return None
    listeners = scene.listeners.listeners
    entries = sum(after if one.backlog is None or one.backlog >= before else one.backlog for one in listeners)
    return _Part(SOMAXCONN, f"SYN queues of {len(listeners)} listeners", entries * REQUEST_BYTES)


def _pressure(scene: Scene, values: Values) -> Iterator[str]:
    sizes = [values.numbers(key) for key in BUFFERS]
    pages = values.numbers(TCP_MEM)
    if pages and len(pages) == 3 and all(sizes):
        each = sum(size[-1] for size in sizes if size)
        if each > 0:
            full = pages[1] * _page(scene) // each
            yield f"{full} connections with full buffers reach the pressure mark of {TCP_MEM}"


def _page(scene: Scene) -> int:
    if scene.facts.system.page_size_bytes is None:
        raise NotKnown("the size of a page is not known")
    return scene.facts.system.page_size_bytes


def _mib(size: float) -> str:
    return f"{size / _MIB:.0f} MiB"
