"""One host for each cause that two samples can show, with the numbers such a host really has."""

from __future__ import annotations

from typing import Any, NamedTuple

from tcptune.domain.causes import Confidence
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import KeepAlive, PeerUse, SocketProcess, Sockets, SocketState, StateCount, StateOwner
from tcptune.domain.state import Conntrack, Listeners, NetNamespace, Process, Virtualization
from tests.unit.detectors.hosts import (
    BUSY,
    CLIENTS,
    ETH,
    NGINX,
    PEER,
    PRESSURE,
    RANGE,
    SSH,
    SSHD,
    WEB,
    busier,
    drops,
    log,
    old_log,
    sampled,
    sockets,
)

HIGH, LIKELY, POSSIBLE = Confidence.HIGH, Confidence.LIKELY, Confidence.POSSIBLE
OVERFLOWS = {"TcpExt.ListenOverflows": 900, "TcpExt.ListenDrops": 900}
CLIENT = {**BUSY, "Tcp.ActiveOpens": 6000, "Tcp.PassiveOpens": 30, "TcpExt.TCPSynRetrans": 3}
CUT_OFF = {"TcpExt.TCPAbortOnClose": 1500, "Tcp.OutRsts": 1550, "Tcp.EstabResets": 1600}
AMAZON = {"virtualization": Virtualization(machine="amazon", container=None, signs=("dmi",))}
JAVA = Process(pid=99, name="java", unit="shop.service", nofile_soft=4096, nofile_hard=4096, open_files=4090)
WORKER = NGINX.model_copy(update={"pid": 713, "nofile_soft": 512, "nofile_hard": 512, "open_files": 512})


class Faulty(NamedTuple):
    """A host, and the cause that has to be named first."""

    cause: str
    confidence: Confidence
    sampled: Sampled
    helps: bool = False
    """Whether a setting or a limit is proposed."""


def listening(queue: int, backlog: int, process: Process = NGINX) -> Listeners:
    one = WEB.model_copy(update={"queue": queue, "backlog": backlog, "pids": (process.pid,)})
    return Listeners(source="ss", listeners=(one, SSH), processes=(process, SSHD))


def waiting(unaccepted: int, waiting_s: float) -> Sockets:
    return sockets(ports=[CLIENTS.model_copy(update={"unaccepted": unaccepted, "waiting_s": waiting_s})])


def aged(process: Process, age_s: float) -> SocketProcess:
    return SocketProcess(**process.model_dump(), age_s=age_s, listens=True)


def owner(state: SocketState, sockets_: int, **fields: Any) -> StateOwner:
    given = {"state": state, "pid": 99, "name": "java", "owned": True, "sockets": sockets_}
    return StateOwner.model_validate({**given, **fields})


def stuck(**fields: Any) -> PeerUse:
    return PEER.model_copy(update=fields)


CASES = {
    "a queue that stays full": Faulty(
        "listen.accept_queue_overflow",
        HIGH,
        sampled(OVERFLOWS, first={"listeners": listening(512, 511)}),
    ),
    "a queue that stays, met right after an accept()": Faulty(
        "listen.accept_queue_overflow",
        HIGH,
        sampled(
            OVERFLOWS,
            {"net.core.somaxconn": "128"},
            first={"listeners": listening(128, 128), "sockets": waiting(129, 8.3)},
            second={"listeners": listening(127, 128)},
        ),
    ),
    "a queue as long as somaxconn, full in bursts": Faulty(
        "listen.accept_queue_overflow",
        HIGH,
        sampled(OVERFLOWS, {"net.core.somaxconn": "511"}, second={"listeners": listening(512, 511)}),
        helps=True,
    ),
    "a listener that nobody can name": Faulty(
        "listen.accept_queue_overflow",
        HIGH,
        sampled(
            OVERFLOWS,
            first={
                "listeners": Listeners(
                    source="ss",
                    listeners=(WEB, WEB.model_copy(update={"port": 80})),
                    processes=(NGINX,),
                )
            },
        ),
    ),
    "a short backlog under bursts": Faulty(
        "listen.backlog_small_in_app", LIKELY, sampled(OVERFLOWS, second={"listeners": listening(512, 511)})
    ),
    "a listener older than the raise of somaxconn": Faulty(
        "listen.somaxconn_captured",
        HIGH,
        sampled(
            OVERFLOWS,
            first={"sysctl": {"net.core.somaxconn": "300"}, "listeners": listening(0, 300)},
            second={"sysctl": {"net.core.somaxconn": "4096"}, "listeners": listening(301, 300)},
        ),
    ),
    "a listener that got less than its program asks for": Faulty(
        "listen.somaxconn_captured", LIKELY, sampled(OVERFLOWS, second={"listeners": listening(129, 128)})
    ),
    "a listener whose elder got more": Faulty(
        "listen.backlog_small_in_app",
        LIKELY,
        sampled(
            OVERFLOWS,
            first={"sockets": sockets(processes=(aged(NGINX, 500.0), aged(SSHD, 80_000.0)))},
            second={"listeners": listening(17, 16)},
        ),
    ),
    "a listener that is the elder itself": Faulty(
        "listen.somaxconn_captured",
        LIKELY,
        sampled(
            OVERFLOWS,
            first={"sockets": sockets(processes=(aged(NGINX, 80_000.0), aged(SSHD, 500.0)))},
            second={"listeners": listening(17, 16)},
        ),
    ),
    "a listener that may be older than the raise": Faulty(
        "listen.backlog_small_in_app",
        LIKELY,
        sampled(
            OVERFLOWS, second={"listeners": listening(301, 300, NGINX.model_copy(update={"pid": 99, "name": "shopd"}))}
        ),
    ),
    "a kernel that resets on overflow": Faulty(
        "listen.abort_on_overflow",
        HIGH,
        sampled(
            {**OVERFLOWS, "TcpExt.EmbryonicRsts": 400, "Tcp.OutRsts": 440},
            {"net.ipv4.tcp_abort_on_overflow": "1"},
            first={"listeners": listening(512, 511)},
        ),
        helps=True,
    ),
    "a kernel that would reset, and queues that overflew before": Faulty(
        "listen.abort_on_overflow",
        POSSIBLE,
        sampled({"TcpExt.EmbryonicRsts": 0}, {"net.ipv4.tcp_abort_on_overflow": "1"}),
        helps=True,
    ),
    "a kernel that would reset, and a queue that is full now": Faulty(
        "listen.abort_on_overflow",
        POSSIBLE,
        sampled(sysctl={"net.ipv4.tcp_abort_on_overflow": "1"}, second={"listeners": listening(512, 511)}),
        helps=True,
    ),
    "a full accept queue that looks like a flood": Faulty(
        "listen.accept_queue_overflow",
        HIGH,
        sampled(
            {**OVERFLOWS, "TcpExt.TCPReqQFullDoCookies": 900, "TcpExt.SyncookiesSent": 900},
            first={"listeners": listening(512, 511)},
            second={"kernel_log": log(possible_syn_flooding=1)},
        ),
    ),
    "bursts that are met twice": Faulty(
        "listen.accept_queue_overflow",
        HIGH,
        sampled(
            OVERFLOWS,
            {"net.core.somaxconn": "511"},
            first={
                "listeners": listening(512, 511),
                "sockets": waiting(512, 0.3),
            },
        ),
        helps=True,
    ),
    "a flood with cookies": Faulty(
        "listen.syn_queue_full",
        HIGH,
        sampled({"TcpExt.TCPReqQFullDoCookies": 90_000, "TcpExt.SyncookiesSent": 90_000, "TcpExt.SyncookiesRecv": 12}),
    ),
    "a flood without cookies": Faulty(
        "listen.syn_queue_full",
        HIGH,
        sampled({"TcpExt.TCPReqQFullDrop": 90_000, "TcpExt.ListenDrops": 90_000}, {"net.ipv4.tcp_syncookies": "0"}),
        helps=True,
    ),
    "a listener closed with a queue": Faulty(
        "listen.closed_with_queue",
        LIKELY,
        sampled(
            {"Tcp.OutRsts": 140},
            first={"listeners": listening(90, 511)},
            second={"listeners": listening(0, 511, NGINX.model_copy(update={"pid": 9712}))},
        ),
    ),
    "clients that give up": Faulty(
        "connect.cancelled_by_client", POSSIBLE, sampled({"TcpExt.EmbryonicRsts": 1500, "Tcp.AttemptFails": 1500})
    ),
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
    "closed with unread data": Faulty(
        "reset.unread_data_on_close",
        HIGH,
        sampled(CUT_OFF),
    ),
    "a process that is another one now": Faulty(
        "reset.process_crash",
        LIKELY,
        sampled(CUT_OFF, second={"listeners": listening(0, 511, NGINX.model_copy(update={"pid": 9712}))}),
    ),
    "a process that was killed for memory": Faulty(
        "limit.memory_swap",
        HIGH,
        sampled(
            CUT_OFF,
            second={
                "listeners": listening(0, 511, NGINX.model_copy(update={"pid": 9712})),
                "pressure": PRESSURE.model_copy(update={"oom_kills": 1}),
            },
        ),
    ),
    "SO_LINGER 0": Faulty(
        "reset.so_linger_zero",
        HIGH,
        sampled({"TcpExt.TCPAbortOnData": 3000, "Tcp.OutRsts": 3040, "Tcp.EstabResets": 3090}),
    ),
    "data after the end": Faulty(
        "reset.write_after_peer_close",
        LIKELY,
        sampled({"TcpExt.TCPAbortOnData": 3000, "Tcp.OutRsts": 3040, "Tcp.EstabResets": 90}),
    ),
    "a closed port": Faulty("refused.closed_port", LIKELY, sampled({"Tcp.AttemptFails": 3000}, counters=CLIENT)),
    "a firewall that rejects": Faulty(
        "refused.firewall_reject",
        LIKELY,
        sampled({"Tcp.AttemptFails": 3000, "Icmp.InDestUnreachs": 3000}, counters=CLIENT),
    ),
    "no route": Faulty(
        "noroute.firewall_or_route",
        LIKELY,
        sampled({"Tcp.AttemptFails": 3000, "Ip.OutNoRoutes": 3000}, counters=CLIENT),
    ),
    "SYNs that are dropped": Faulty(
        "connect_timeout.drop",
        LIKELY,
        sampled(
            {"TcpExt.TCPSynRetrans": 400},
            counters=CLIENT,
            first={
                "sockets": sockets(
                    [stuck(states={SocketState.SYN_SENT: 90}, retransmitting=88, most_retransmissions=4)]
                )
            },
        ),
    ),
    "SYNs that are answered late": Faulty(
        "connect_latency.steps", LIKELY, sampled({"TcpExt.TCPSynRetrans": 300}, counters=CLIENT)
    ),
    "a strict reverse path filter": Faulty(
        "connect_timeout.rp_filter",
        LIKELY,
        sampled({"TcpExt.IPReversePathFilter": 900}, {"net.ipv4.conf.all.rp_filter": "1"}),
        helps=True,
    ),
    "tcp_tw_recycle": Faulty(
        "tw_recycle_nat",
        HIGH,
        sampled({"TcpExt.PAWSPassive": 200}, {"net.ipv4.tcp_tw_recycle": "1"}, system={"kernel": "4.9.0"}),
        helps=True,
    ),
    "a peer that is gone": Faulty(
        "timeout.peer_vanished",
        LIKELY,
        sampled(
            {"TcpExt.TCPTimeouts": 900},
            first={
                "sockets": sockets(
                    [stuck(states={SocketState.ESTABLISHED: 40}, retransmitting=40, most_retransmissions=7)]
                )
            },
        ),
    ),
    "a path that forgets": Faulty(
        "reset.l4_idle_middlebox",
        LIKELY,
        sampled(
            {"TcpExt.TCPTimeouts": 900},
            first={
                "sockets": sockets(
                    [stuck(states={SocketState.ESTABLISHED: 200}, retransmitting=20, most_retransmissions=7)]
                )
            },
            system=AMAZON,
        ),
        helps=True,
    ),
    "a cloud that resets idle connections": Faulty(
        "reset.l4_idle_middlebox",
        POSSIBLE,
        sampled({"Tcp.EstabResets": 900, "TcpExt.TCPKeepAlive": 0}, system=AMAZON),
        helps=True,
    ),
    "dead peers that fill the files": Faulty(
        "timeout.idle_dead_peer",
        POSSIBLE,
        sampled(
            {"TcpExt.TCPKeepAlive": 0},
            first={
                "sockets": sockets(
                    owners=[owner(SocketState.ESTABLISHED, 3800, quiet_s=90_000.0)],
                    keepalive=KeepAlive(on=0, off=6000),
                    processes=(SocketProcess(**JAVA.model_copy(update={"open_files": 3600}).model_dump()),),
                )
            },
        ),
    ),
    "connection tracking that forgets": Faulty(
        "reset.conntrack_lowered",
        LIKELY,
        sampled({"nf_conntrack.invalid": 900}, {"net.netfilter.nf_conntrack_tcp_timeout_established": "600"}),
        helps=True,
    ),
    "connection tracking that takes packets for invalid": Faulty(
        "reset.conntrack_invalid",
        LIKELY,
        sampled({"nf_conntrack.invalid": 900, "Tcp.EstabResets": 900}),
        helps=True,
    ),
    "a processor's full backlog": Faulty(
        "drop.softnet_backlog", HIGH, sampled(second={"drops": drops(busier(dropped=9000))}), helps=True
    ),
    "one processor for all": Faulty(
        "limit.cpu_softirq",
        POSSIBLE,
        sampled(second={"drops": drops(busier(processed=4_000_000, time_squeeze=2000))}),
    ),
    "a ring that overflows": Faulty(
        "drop.nic_ring",
        HIGH,
        sampled(
            second={
                "drops": drops(busier(), ETH.model_copy(update={"counts": {**ETH.counts, "rx_missed_errors": 9007}}))
            }
        ),
    ),
    "a link that flaps": Faulty(
        "drop.link_flap",
        HIGH,
        sampled(
            second={
                "drops": drops(busier(), ETH.model_copy(update={"counts": {**ETH.counts, "carrier_changes": 5}})),
                "kernel_log": log(link_down=1),
            }
        ),
    ),
    "a full table of neighbours": Faulty(
        "drop.neighbor_overflow",
        HIGH,
        sampled(second={"pressure": PRESSURE.model_copy(update={"neighbours_refused": 60})}),
        helps=True,
    ),
    "a path for small packets alone": Faulty(
        "drop.pmtu_blackhole", LIKELY, sampled({"TcpExt.TCPMTUPSuccess": 40, "TcpExt.TCPTimeouts": 400})
    ),
    "buffers that are too small": Faulty(
        "perf.window_limited",
        LIKELY,
        sampled({"TcpExt.TCPWantZeroWindowAdv": 9000}, {"net.ipv4.tcp_rmem": "4096 4096 4096"}),
        helps=True,
    ),
    "a program that does not read": Faulty(
        "perf.slow_reader",
        HIGH,
        sampled(
            {"TcpExt.TCPToZeroWindowAdv": 900},
            first={"sockets": sockets(owners=[owner(SocketState.ESTABLISHED, 12, unread_bytes=9 << 20)])},
        ),
    ),
    "a lossy path": Faulty("perf.loss", HIGH, sampled({"Tcp.RetransSegs": 60_000, "TcpExt.TCPTimeouts": 4000})),
    "segments that do not fit": Faulty(
        "reset.security_device", POSSIBLE, sampled({"TcpExt.TCPChallengeACK": 900, "Tcp.EstabResets": 100})
    ),
}

QUIET = dict.fromkeys(BUSY, 0) | {"Tcp.InSegs": 40, "Tcp.OutSegs": 40, "Tcp.PassiveOpens": 1}
HEALTHY = {
    "a busy web server": sampled(),
    "ten times as busy": sampled(
        counters={name: growth * 10 for name, growth in BUSY.items()},
        first={"sockets": sockets(ports=[CLIENTS.model_copy(update={"retransmitting": 90})])},
    ),
    "an idle host": sampled(counters=QUIET),
    "a host that nobody asks for anything": sampled(counters=dict.fromkeys(BUSY, 0)),
    "a busy client": sampled(counters=CLIENT),
    "a host that scanners visit": sampled(
        {"Tcp.OutRsts": 130, "Tcp.AttemptFails": 20}, counters={**BUSY, "Tcp.ActiveOpens": 900}
    ),
    "a cloud host with the kernel's keepalive": sampled(system=AMAZON),
    "a host whose peers restart now and then": sampled({"Tcp.AttemptFails": 40}, counters=CLIENT),
    "a host without connection tracking": sampled(first={"conntrack": Conntrack(loaded=False)}),
    "a proxy with closing connections": sampled(
        first={"sockets": sockets(owners=[owner(SocketState.CLOSE_WAIT, 24, quiet_s=0.8)])},
        second={"sockets": sockets(owners=[owner(SocketState.CLOSE_WAIT, 31, quiet_s=0.9)])},
    ),
    "ports in TIME-WAIT that are taken again": sampled(
        {"TcpExt.TWRecycled": 9000},
        {"net.ipv4.tcp_tw_reuse": "1"},
        first={
            "sockets": sockets(
                [stuck(states={SocketState.TIME_WAIT: RANGE - 900, SocketState.ESTABLISHED: 900}, in_range=RANGE)]
            )
        },
    ),
    "a loaded processor among four": sampled(second={"drops": drops(busier(processed=250_000, time_squeeze=900))}),
    "a log whose lines are an hour old": sampled(first={"kernel_log": old_log()}),
    "a container that reads the log of its machine": sampled(
        second={"kernel_log": log(conntrack_full=40, possible_syn_flooding=1, oom_killer=1)},
        system={"namespace": NetNamespace(child=True, sign="net.ipv4.tcp_mem is absent")},
    ),
    "a full queue of a minute ago": sampled(
        first={"listeners": listening(512, 511)}, second={"listeners": listening(2, 511)}
    ),
}
