"""What is lost before TCP sees it: processors' backlogs, cards, links, the table of neighbours."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.detectors.case import Case, NotKnown, Seen, power_of_two
from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.diagnosis import Evidence, Operator, Proposal, Source
from tcptune.domain.strain import KernelMessage, SoftnetCpu

BACKLOG = "net.core.netdev_max_backlog"
NEIGHBOURS = "net.ipv4.neigh.default.gc_thresh3"
_CACHES = {NEIGHBOURS: "arp_cache", "net.ipv6.neigh.default.gc_thresh3": "ndisc_cache"}
"""Setting -> the table that it bounds, as the kernel's log calls it."""
_RING = ("rx_fifo_errors", "rx_missed_errors", "rx_over_errors")
_MOST_BACKLOG = 30000
_WRAP = 1 << 32
_MOST_PER_S = 50_000_000
"""No processor takes so many packets."""
_FEW_CPUS = 4


def processors(case: Case) -> Iterator[Seen]:
    """Name processors whose backlog is full, and one that does the work of all."""
    counted = dict(_cpus(case))
    cpus = {cpu: one for cpu, one in counted.items() if _plausible(one, case.elapsed_s)}
    if not counted:
        raise NotKnown("what processors drop was not read")
    yield from _loaded(case, cpus) if cpus else ()
    if len(cpus) < len(counted):
        raise NotKnown("numbers of processors went backwards: one was switched off or on, and rows are numbered anew")


def _loaded(case: Case, cpus: dict[int, SoftnetCpu]) -> Iterator[Seen]:
    worst = max(cpus, key=lambda cpu: cpus[cpu].dropped)
    dropped = sum(one.dropped for one in cpus.values())
    limited = sum(one.flow_limit_count or 0 for one in cpus.values())
    # What the flow limit drops is counted as dropped, too, and is there to protect the others.
    rate = (dropped - min(dropped, limited)) / case.elapsed_s
    if rate >= case.bound("softnet-drops"):
        yield _backlog(case, worst, rate)
    busy = max(cpus, key=lambda cpu: cpus[cpu].processed)
    share = 100 * cpus[busy].processed / max(1, sum(one.processed for one in cpus.values()))
    squeezes = cpus[busy].time_squeeze / case.elapsed_s
    if len(cpus) >= _FEW_CPUS and share >= case.bound("processor-share") and squeezes >= case.bound("squeezes"):
        yield Seen(
            cause="limit.cpu_softirq",
            confidence=Confidence.LIKELY if rate >= case.bound("softnet-drops") else Confidence.POSSIBLE,
            because=f"processor {busy} takes {share:.0f} % of all packets, and its turns end with packets left over",
            evidence=(
                _of_processor(busy, "share of all packets", share, "percent", case.bound("processor-share")),
                _of_processor(busy, "turns cut short", squeezes, "per second", case.bound("squeezes")),
            ),
            about=f"processor {busy}",
        )


def cards(case: Case) -> Iterator[Seen]:
    """Name cards whose receive ring overflows."""
    first, second = case.drops
    before = {one.name: one.counts for one in first.links}
    # A bond or a team adds up what its cards have counted, and has no ring of its own.
    known = case.second.links.links if case.second.links is not None else ()
    virtual = {one.name for one in known if not one.physical}
    for link in second.links:
        was = before.get(link.name)
        if was is None or link.name in virtual:
            continue
        lost = {name: link.counts[name] - was[name] for name in _RING if name in link.counts and name in was}
        total = sum(max(0, count) for count in lost.values())
        if total / case.elapsed_s >= case.bound("ring-drops"):
            yield Seen(
                cause="drop.nic_ring",
                confidence=Confidence.HIGH,
                because="the card counts packets that it could not hand over",
                evidence=tuple(
                    Evidence(
                        source=Source.LINK,
                        name=f"{link.name}, {name}",
                        value=round(count / case.elapsed_s, 2),
                        unit="per second",
                        threshold=case.bound("ring-drops"),
                    )
                    for name, count in lost.items()
                    if count > 0
                ),
                about=link.name,
                here={RemedyKind.NETWORK: f"ethtool -g {link.name}, then ethtool -G {link.name} rx up to the maximum"},
                ruled_out=("drop.softnet_backlog",),
            )


def links(case: Case) -> Iterator[Seen]:
    """Name links of devices that went down."""
    first, second = case.drops
    before = {one.name: one.counts for one in first.links}
    devices = {one.name for one in case.second.links.links if one.physical} if case.second.links else set()
    for link in second.links:
        name = "carrier_changes"
        was = before.get(link.name, {}).get(name)
        changes = link.counts[name] - was if was is not None and name in link.counts else 0
        if changes > 0 and link.name in devices:
            yield Seen(
                cause="drop.link_flap",
                confidence=Confidence.HIGH,
                because="the link went down or came up in the window",
                evidence=(
                    Evidence(source=Source.LINK, name=f"{link.name}, {name}", value=changes, unit="times", threshold=0),
                ),
                about=link.name,
                ruled_out=("perf.loss",),
            )


def neighbours(case: Case) -> Iterator[Seen]:
    """Name a table of neighbours that is full."""
    now, was = case.pressure.neighbours_refused, case.pressure_before.neighbours_refused
    refused = now - was if now is not None and was is not None else 0
    if refused <= 0 and not case.logged(KernelMessage.NEIGHBOR_OVERFLOW):
        return
    full = {key: case.number(key) or 0 for key in _tables(case)}
    wanted = {key: max(4096, 2 * most) for key, most in full.items()}
    yield Seen(
        cause="drop.neighbor_overflow",
        confidence=Confidence.HIGH,
        because="the kernel refused neighbours for lack of room",
        evidence=(
            Evidence(source=Source.MEMORY, name="neighbours refused", value=max(refused, 0), unit="times"),
            *(case.setting(key) for key in full),
        ),
        here={
            RemedyKind.SYSCTL: "; ".join(f"{key} = {value}" for key, value in wanted.items())
            + ", with gc_thresh2 and gc_thresh1 below"
        },
        settings=tuple(
            Proposal(
                key=key,
                operator=Operator.AT_LEAST,
                value=str(value),
                actual=case.text(key),
                why="the table of neighbours is full, so hosts next door cannot be reached",
            )
            for key, value in wanted.items()
        ),
    )


def _tables(case: Case) -> tuple[str, ...]:
    """Return the limits of the tables that are full: those that the log names, else of both families."""
    log = case.second.kernel_log
    lines = log.newest if log is not None else ()
    said = " ".join(one.text for one in lines if one.message is KernelMessage.NEIGHBOR_OVERFLOW)
    named = tuple(key for key, table in _CACHES.items() if table in said)
    return named or tuple(key for key in _CACHES if key == NEIGHBOURS or case.text(key) is not None)


def _cpus(case: Case) -> Iterator[tuple[int, SoftnetCpu]]:
    first, second = case.drops
    before = {one.cpu: one for one in first.softnet}
    for now in second.softnet:
        if (was := before.get(now.cpu)) is not None:
            # The numbers have 32 bits and begin again at 0.
            yield (
                now.cpu,
                SoftnetCpu(
                    cpu=now.cpu,
                    processed=(now.processed - was.processed) % _WRAP,
                    dropped=(now.dropped - was.dropped) % _WRAP,
                    time_squeeze=(now.time_squeeze - was.time_squeeze) % _WRAP,
                    flow_limit_count=((now.flow_limit_count or 0) - (was.flow_limit_count or 0)) % _WRAP,
                ),
            )


def _plausible(one: SoftnetCpu, seconds: float) -> bool:
    """Say whether numbers grew: one that went back seems to have gone once around."""
    return max(one.dropped, one.time_squeeze) < _WRAP // 2 and one.processed / seconds < _MOST_PER_S


def _backlog(case: Case, worst: int, rate: float) -> Seen:
    size = case.number(BACKLOG) if case.text(BACKLOG) is not None else None
    wanted = min(_MOST_BACKLOG, power_of_two(max(4096, 4 * (size or 0))))
    helps = size is not None and wanted > size
    return Seen(
        cause="drop.softnet_backlog",
        confidence=Confidence.HIGH,
        because="the kernel counts packets that found a processor's queue full",
        evidence=(
            Evidence(
                source=Source.PROCESSOR,
                name="softnet_stat dropped",
                value=round(rate, 2),
                unit="per second",
                threshold=case.bound("softnet-drops"),
            ),
            Evidence(source=Source.PROCESSOR, name="the most on processor", value=worst),
            case.setting(BACKLOG),
        ),
        here={RemedyKind.SYSCTL: f"{BACKLOG} = {wanted}"} if helps else {},
        settings=(
            Proposal(
                key=BACKLOG,
                operator=Operator.AT_LEAST,
                value=str(wanted),
                actual=str(size),
                why="packets are dropped because a processor's queue is full",
            ),
        )
        if helps
        else (),
        ruled_out=("drop.nic_ring",),
    )


def _of_processor(cpu: int, name: str, value: float, unit: str, threshold: float) -> Evidence:
    return Evidence(
        source=Source.PROCESSOR, name=f"processor {cpu}, {name}", value=round(value, 1), unit=unit, threshold=threshold
    )
