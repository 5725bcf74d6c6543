"""What is proposed never asks a host for more than it has, and never for what would do nothing there."""

from __future__ import annotations

from tcptune.detectors import judge
from tcptune.domain.causes import RemedyKind
from tcptune.domain.diagnosis import CauseFound
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import SocketProcess, SocketState
from tcptune.domain.state import Conntrack, Process
from tcptune.domain.strain import KernelLine, KernelLog, KernelMessage, MessageCount
from tests.unit.detectors.case import JAVA, OVERFLOWS, listening, stuck
from tests.unit.detectors.hosts import NGINX, PRESSURE, RANGE, SSHD, UPTIME_S, sampled, sockets

V4, V6 = "net.ipv4.neigh.default.gc_thresh3", "net.ipv6.neigh.default.gc_thresh3"
FULL = Conntrack(loaded=True, count=262_144, max=262_144, buckets=65536)
REFUSED = PRESSURE.model_copy(update={"neighbours_refused": 60})


def first(case: Sampled) -> CauseFound:
    return judge(case).causes[0]


def keys(found: CauseFound) -> dict[str, str]:
    return {one.key: one.value for one in found.settings}


def here(found: CauseFound, kind: RemedyKind) -> str:
    return next(one.here for one in found.remedies if one.kind is kind and one.here) or ""


def overflow_of(table: str) -> KernelLog:
    line = KernelLine(
        message=KernelMessage.NEIGHBOR_OVERFLOW,
        at_s=UPTIME_S + 9,
        text=f"neighbour: {table}: neighbor table overflow!",
    )
    counted = MessageCount(message=line.message, lines=1, first_s=line.at_s, last_s=line.at_s)
    return KernelLog(source="dmesg", lines=900, since_s=0.0, counts=(counted,), newest=(line,))


def test_the_tracking_table_is_not_raised_where_the_memory_is_not_known() -> None:
    unknown = PRESSURE.model_copy(update={"memory_bytes": None, "available_bytes": None})
    grew = {"nf_conntrack.drop": 3000}
    parts = {"conntrack": FULL, "pressure": unknown}

    found = first(sampled(grew, first=parts, system={"memory_bytes": None}))

    assert found.cause == "drop.conntrack_full"
    assert found.settings == ()
    assert "not known" in here(found, RemedyKind.SYSCTL)


def test_entries_in_time_wait_take_a_tenth_of_a_small_memory_at_most() -> None:
    overflow = {"TcpExt.TCPTimeWaitOverflow": 2000, "Tcp.OutRsts": 1900}
    small = {"memory_bytes": 256 << 20}
    least, most = {"net.ipv4.tcp_max_tw_buckets": "4096"}, {"net.ipv4.tcp_max_tw_buckets": "131072"}

    some = first(sampled(overflow, least, system=small))
    none = first(sampled(overflow, most, system=small))

    assert 256 * int(keys(some)["net.ipv4.tcp_max_tw_buckets"]) <= (256 << 20) / 10
    assert none.settings == ()
    assert "a tenth of the memory" in here(none, RemedyKind.SYSCTL)


def test_orphans_are_not_allowed_more_than_half_of_the_memory() -> None:
    crowd = PRESSURE.model_copy(update={"orphans": 1_000_000, "max_orphans": 1_048_576})

    found = first(sampled({"TcpExt.TCPAbortOnMemory": 300}, first={"pressure": crowd}))

    assert (found.cause, found.settings) == ("reset.orphan_or_memory", ())


def test_a_process_is_not_proposed_more_files_than_the_kernel_lets_any_have() -> None:
    java = JAVA.model_copy(update={"nofile_soft": 1_048_576, "nofile_hard": 1_048_576, "open_files": 1_048_570})
    parts = {
        "listeners": listening(101, 100, java),
        "sockets": sockets(processes=(SocketProcess(**java.model_dump()),)),
    }

    some = first(sampled(OVERFLOWS, {"fs.nr_open": "1500000"}, first=parts))
    none = first(sampled(OVERFLOWS, {"fs.nr_open": "1048576"}, first=parts))

    assert some.nofile is not None
    assert some.nofile.at_least == 1_500_000
    assert (none.cause, none.nofile) == ("limit.emfile", None)
    assert "fs.nr_open" in here(none, RemedyKind.LIMIT)


def test_the_table_of_neighbours_that_the_log_names_is_raised() -> None:
    both = {V4: "1024", V6: "1024"}

    six = first(sampled(sysctl=both, second={"pressure": REFUSED, "kernel_log": overflow_of("ndisc_cache")}))
    four = first(sampled(sysctl=both, second={"pressure": REFUSED, "kernel_log": overflow_of("arp_cache")}))
    either = first(sampled(sysctl=both, second={"pressure": REFUSED}))

    assert [list(keys(one)) for one in (six, four, either)] == [[V6], [V4], [V4, V6]]


def test_ports_in_time_wait_are_not_reused_without_timestamps() -> None:
    full = stuck(states={SocketState.TIME_WAIT: 27_000, SocketState.ESTABLISHED: 1200}, in_range=RANGE)

    found = first(sampled(sysctl={"net.ipv4.tcp_timestamps": "0"}, first={"sockets": sockets([full])}))

    assert found.cause == "port_exhaustion"
    assert "net.ipv4.tcp_tw_reuse" not in keys(found)


def test_ports_that_kubernetes_gives_to_services_are_kept_though_nobody_listens_there() -> None:
    full = stuck(states={SocketState.TIME_WAIT: 27_000, SocketState.ESTABLISHED: 1200}, in_range=RANGE)
    kubelet = Process(pid=88, name="kubelet", unit="kubelet.service", nofile_soft=1_048_576, open_files=900)
    node = listening(0, 511).model_copy(update={"processes": (NGINX, SSHD, kubelet)})

    plain = first(sampled(first={"sockets": sockets([full])}))
    found = first(sampled(first={"sockets": sockets([full]), "listeners": node}))

    assert "net.ipv4.ip_local_reserved_ports" not in keys(plain)
    assert keys(found)["net.ipv4.ip_local_reserved_ports"] == "30000-32767"
