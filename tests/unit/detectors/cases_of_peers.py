"""Hosts whose connections are cut, refused or slow, by a peer, a path or a link."""

from __future__ import annotations

from tcptune.domain.sockets import KeepAlive, SocketProcess, SocketState
from tests.unit.detectors.case import (
    AMAZON,
    CLIENT,
    CUT_OFF,
    HIGH,
    JAVA,
    LIKELY,
    POSSIBLE,
    Faulty,
    listening,
    owner,
    stuck,
)
from tests.unit.detectors.hosts import (
    ETH,
    NGINX,
    PRESSURE,
    busier,
    drops,
    log,
    sampled,
    sockets,
)

CASES = {
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
