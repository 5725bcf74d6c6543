"""Hosts that run out of something: files, memory, ports, tables."""

from __future__ import annotations

from tcptune.domain.sockets import SocketProcess, SocketState, StateCount
from tcptune.domain.state import Conntrack, Listeners
from tests.unit.detectors.case import (
    CLIENT,
    HIGH,
    JAVA,
    LIKELY,
    OVERFLOWS,
    POSSIBLE,
    WORKER,
    Faulty,
    listening,
    owner,
    stuck,
)
from tests.unit.detectors.hosts import (
    NGINX,
    PRESSURE,
    RANGE,
    SSH,
    SSHD,
    WEB,
    log,
    sampled,
    sockets,
)

CASES = {
    "files at the limit, and a full queue behind": Faulty(
        "limit.emfile",
        HIGH,
        sampled(
            OVERFLOWS,
            first={
                "listeners": listening(101, 100, JAVA),
                "sockets": sockets(processes=(SocketProcess(**JAVA.model_dump()),)),
            },
        ),
        helps=True,
    ),
    "a proxy that gives its workers few files": Faulty(
        "limit.emfile",
        HIGH,
        sampled(
            first={
                "listeners": Listeners(source="ss", listeners=(WEB, SSH), processes=(NGINX, WORKER, SSHD)),
                "sockets": sockets(processes=tuple(SocketProcess(**one.model_dump()) for one in (NGINX, WORKER))),
            },
        ),
    ),
    "a host without files": Faulty(
        "limit.enfile",
        HIGH,
        sampled(
            first={"pressure": PRESSURE.model_copy(update={"open_files": 799_990})},
            second={"kernel_log": log(file_max=3)},
        ),
        helps=True,
    ),
    "a host that kills for memory": Faulty(
        "limit.memory_swap", HIGH, sampled(second={"pressure": PRESSURE.model_copy(update={"oom_kills": 2})})
    ),
    "a host that swaps": Faulty(
        "limit.memory_swap",
        LIKELY,
        sampled(
            second={
                "pressure": PRESSURE.model_copy(
                    update={"swapped_in_pages": 90_000, "swapped_out_pages": 99_000, "available_bytes": 40 << 20}
                )
            }
        ),
    ),
    "a full connection tracking table": Faulty(
        "drop.conntrack_full",
        HIGH,
        sampled(
            {"nf_conntrack.drop": 3000},
            first={"conntrack": Conntrack(loaded=True, count=262_144, max=262_144, buckets=65536)},
            second={"kernel_log": log(conntrack_full=40)},
        ),
        helps=True,
    ),
    "a tracking table that throws out": Faulty(
        "drop.conntrack_full",
        POSSIBLE,
        sampled(
            {"nf_conntrack.early_drop": 3000},
            first={"conntrack": Conntrack(loaded=True, count=262_144, max=262_144, buckets=65536)},
        ),
        helps=True,
    ),
    "clients that give up and throw away": Faulty(
        "reset.so_linger_zero",
        LIKELY,
        sampled({"TcpExt.TCPAbortOnData": 1500, "Tcp.OutRsts": 1550, "Tcp.EstabResets": 1600}, counters=CLIENT),
    ),
    "send buffers that are too small": Faulty(
        "perf.window_limited",
        LIKELY,
        sampled(sysctl={"net.ipv4.tcp_wmem": "4096 16384 65536"}, first={"sockets": sockets(send_buffer_limited=9)}),
        helps=True,
    ),
    "a range without a port": Faulty(
        "port_exhaustion",
        HIGH,
        sampled(
            first={
                "sockets": sockets(
                    [stuck(states={SocketState.TIME_WAIT: 27_000, SocketState.ESTABLISHED: 1200}, in_range=RANGE)]
                ),
                "sockstat": {"sockstat.TCP.tw": 27_400},
            }
        ),
        helps=True,
    ),
    "a full table of TIME-WAIT": Faulty(
        "reset.tw_overflow",
        HIGH,
        sampled(
            {"TcpExt.TCPTimeWaitOverflow": 2000, "Tcp.OutRsts": 1900},
            {"net.ipv4.tcp_max_tw_buckets": "5000"},
            first={"sockstat": {"sockstat.TCP.tw": 5000}},
        ),
        helps=True,
    ),
    "too many orphans": Faulty(
        "reset.orphan_or_memory",
        HIGH,
        sampled(
            {"TcpExt.TCPAbortOnMemory": 300, "Tcp.OutRsts": 340},
            first={"pressure": PRESSURE.model_copy(update={"orphans": 16_000})},
            second={"kernel_log": log(too_many_orphans=9)},
        ),
        helps=True,
    ),
    "TCP short of memory": Faulty(
        "reset.orphan_or_memory",
        LIKELY,
        sampled(
            {"TcpExt.TCPMemoryPressures": 4},
            first={
                "pressure": PRESSURE.model_copy(update={"tcp_pages": 21_000, "tcp_mem_pages": (10_000, 20_000, 30_000)})
            },
        ),
        helps=True,
    ),
    "connections that are never closed": Faulty(
        "state.close_wait_leak",
        HIGH,
        sampled(
            first={"sockets": sockets(owners=[owner(SocketState.CLOSE_WAIT, 300, quiet_s=200.0)])},
            second={"sockets": sockets(owners=[owner(SocketState.CLOSE_WAIT, 420, quiet_s=230.0)])},
        ),
    ),
    "a leak that fills the files": Faulty(
        "state.close_wait_leak",
        HIGH,
        sampled(
            OVERFLOWS,
            first={
                "listeners": listening(101, 100, JAVA),
                "sockets": sockets(
                    owners=[owner(SocketState.CLOSE_WAIT, 4000, quiet_s=9000.0)],
                    processes=(SocketProcess(**JAVA.model_dump()),),
                ),
            },
        ),
    ),
    "half-closed connections of a process": Faulty(
        "state.fin_wait2_owned",
        HIGH,
        sampled(first={"sockets": sockets(owners=[owner(SocketState.FIN_WAIT2, 200, quiet_s=900.0)])}),
    ),
    "half-closed connections of the kernel": Faulty(
        "state.fin_wait2",
        LIKELY,
        sampled(
            first={
                "sockets": sockets(states=(StateCount(state=SocketState.FIN_WAIT2, sockets=14_000, unowned=14_000),))
            }
        ),
        helps=True,
    ),
}
