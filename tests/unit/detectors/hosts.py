"""Two samples of a host for tests: a busy web server that is well, and what is to be different about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import (
    KeepAlive,
    PeerUse,
    PortUse,
    SocketProcess,
    Sockets,
    SocketState,
    StateCount,
    StateOwner,
)
from tcptune.domain.state import Conntrack, Link, Links, Listener, Listeners, Process
from tcptune.domain.strain import Drops, KernelLog, KernelMessage, LinkDrops, MessageCount, Pressure, SoftnetCpu
from tests.unit.builders import NOW, facts

WINDOW_S = 30
UPTIME_S = 90_000.0
NGINX = Process(pid=712, name="nginx", unit="nginx.service", nofile_soft=65536, nofile_hard=65536, open_files=3100)
SSHD = Process(pid=600, name="sshd", unit="ssh.service", nofile_soft=1024, nofile_hard=4096, open_files=8)
WEB = Listener(address="*", port=443, queue=3, backlog=511, pids=(712,))
SSH = Listener(address="*", port=22, queue=0, backlog=128, pids=(600,))
RANGE = 60999 - 32768 + 1

SYSCTL = {
    "net.core.somaxconn": "4096",
    "net.core.netdev_max_backlog": "1000",
    "net.ipv4.conf.all.rp_filter": "2",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.ip_local_reserved_ports": "",
    "net.ipv4.neigh.default.gc_thresh3": "1024",
    "net.ipv4.tcp_abort_on_overflow": "0",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_keepalive_time": "7200",
    "net.ipv4.tcp_max_tw_buckets": "262144",
    "net.ipv4.tcp_max_orphans": "16384",
    "net.ipv4.tcp_mem": "46000 62500 93000",
    "net.ipv4.tcp_rmem": "4096 131072 6291456",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_tw_reuse": "2",
    "net.netfilter.nf_conntrack_max": "262144",
    "net.netfilter.nf_conntrack_tcp_be_liberal": "0",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "fs.file-max": "800000",
}

BUSY = {
    # A web server with 200 new connections a second, phones among its clients, and 40 to backends.
    "Tcp.ActiveOpens": 1200,
    "Tcp.PassiveOpens": 6000,
    "Tcp.AttemptFails": 4,
    "Tcp.EstabResets": 90,
    "Tcp.InSegs": 400_000,
    "Tcp.OutSegs": 600_000,
    "Tcp.RetransSegs": 3_600,
    "Tcp.InErrs": 0,
    "Tcp.OutRsts": 45,
    "Ip.OutNoRoutes": 0,
    "Icmp.InDestUnreachs": 2,
    "TcpExt.ListenOverflows": 0,
    "TcpExt.ListenDrops": 0,
    "TcpExt.EmbryonicRsts": 6,
    "TcpExt.SyncookiesSent": 0,
    "TcpExt.SyncookiesRecv": 0,
    "TcpExt.TCPReqQFullDoCookies": 0,
    "TcpExt.TCPReqQFullDrop": 0,
    "TcpExt.TCPAbortOnClose": 3,
    "TcpExt.TCPAbortOnData": 20,
    "TcpExt.TCPAbortOnTimeout": 12,
    "TcpExt.TCPAbortOnMemory": 0,
    "TcpExt.TCPAbortOnLinger": 0,
    "TcpExt.TCPAbortFailed": 0,
    "TcpExt.TCPTimeWaitOverflow": 0,
    "TcpExt.TCPTimeouts": 250,
    "TcpExt.TCPSynRetrans": 70,
    "TcpExt.TCPKeepAlive": 40,
    "TcpExt.TCPChallengeACK": 4,
    "TcpExt.TCPMemoryPressures": 0,
    "TcpExt.TCPToZeroWindowAdv": 6,
    "TcpExt.TCPWantZeroWindowAdv": 9,
    "TcpExt.TCPRcvQDrop": 0,
    "TcpExt.PruneCalled": 0,
    "TcpExt.TCPMTUPSuccess": 0,
    "TcpExt.IPReversePathFilter": 1,
    "nf_conntrack.invalid": 9,
    "nf_conntrack.drop": 0,
    "nf_conntrack.early_drop": 0,
    "nf_conntrack.insert_failed": 0,
}
"""What each counter grew by within the window."""

PEER = PeerUse(
    local="10.0.0.5",
    address="10.0.0.9",
    port=8080,
    states={SocketState.ESTABLISHED: 220, SocketState.TIME_WAIT: 1900},
    in_range=2120,
)
CLIENTS = PortUse(
    port=443,
    states={SocketState.ESTABLISHED: 2400, SocketState.SYN_RECV: 14, SocketState.CLOSE_WAIT: 6},
    unaccepted=3,
    retransmitting=11,
    most_retransmissions=2,
)
PRESSURE = Pressure(
    uptime_s=UPTIME_S,
    tcp_pages=9000,
    tcp_mem_pages=(46000, 62500, 93000),
    orphans=120,
    max_orphans=16384,
    time_waits=2400,
    max_time_waits=262144,
    open_files=9000,
    max_files=800000,
    memory_bytes=4 << 30,
    available_bytes=2 << 30,
    swapped_in_pages=100,
    swapped_out_pages=500,
    oom_kills=0,
    neighbours_refused=0,
)
CPUS = tuple(SoftnetCpu(cpu=cpu, processed=10_000_000, dropped=0, time_squeeze=90) for cpu in range(4))
ETHERNET = Link(
    name="eth0",
    physical=True,
    mtu=1500,
    operstate="up",
    speed_mbps=10000,
    rx_errors=0,
    rx_dropped=0,
    tx_errors=0,
    tx_dropped=0,
)
ETH = LinkDrops(
    name="eth0",
    counts={
        "rx_fifo_errors": 0,
        "rx_missed_errors": 7,
        "rx_over_errors": 0,
        "rx_dropped": 4000,
        "carrier_changes": 3,
        "rx_packets": 900_000_000,
    },
)


def sockets(
    peers: Sequence[PeerUse] = (PEER,),
    ports: Sequence[PortUse] = (CLIENTS,),
    owners: Sequence[StateOwner] = (),
    **fields: Any,
) -> Sockets:
    usual = (
        StateOwner(state=SocketState.ESTABLISHED, pid=712, name="nginx", owned=True, sockets=2600, quiet_s=600.0),
        StateOwner(state=SocketState.CLOSE_WAIT, pid=712, name="nginx", owned=True, sockets=6, quiet_s=0.4),
    )
    given = {
        "source": "ss",
        "total": 4600,
        "states": (StateCount(state=SocketState.ESTABLISHED, sockets=2600, unowned=3),),
        "owners_known": True,
        "keepalive": KeepAlive(on=2200, off=400),
        "processes": (SocketProcess(**NGINX.model_dump(), age_s=80_000.0, listens=True),),
    }
    return Sockets.model_validate(
        {**given, "peers": tuple(peers), "ports": tuple(ports), "owners": (*usual, *owners), **fields}
    )


def drops(cpus: Sequence[SoftnetCpu] = CPUS, *links: LinkDrops) -> Drops:
    return Drops(softnet=tuple(cpus), links=links or (ETH,))


def busier(cpus: Sequence[SoftnetCpu] = CPUS, **by_cpu_0: int) -> tuple[SoftnetCpu, ...]:
    """Return the processors a window later: each has processed a share, and the first what is given."""
    later = [one.model_copy(update={"processed": one.processed + 100_000, "time_squeeze": 92}) for one in cpus]
    first = later[0].model_copy(update={name: getattr(cpus[0], name) + n for name, n in by_cpu_0.items()})
    return (first, *later[1:])


def log(**lines: int) -> KernelLog:
    """Return a log with so many lines of each message, the last in the middle of the window."""
    return KernelLog(
        source="dmesg",
        lines=900,
        since_s=0.0,
        counts=tuple(
            MessageCount(message=KernelMessage(name), lines=n, first_s=UPTIME_S + 5, last_s=UPTIME_S + 15)
            for name, n in lines.items()
        ),
    )


def old_log() -> KernelLog:
    counts = tuple(
        one.model_copy(update={"first_s": UPTIME_S - 4000, "last_s": UPTIME_S - 3600})
        for one in log(conntrack_full=40, file_max=2).counts
    )
    return log().model_copy(update={"counts": counts})


def sampled(
    grew: Mapping[str, int] | None = None,
    sysctl: Mapping[str, str] | None = None,
    *,
    first: Mapping[str, Any] | None = None,
    second: Mapping[str, Any] | None = None,
    counters: Mapping[str, int] = BUSY,
    system: Mapping[str, Any] | None = None,
    window_s: float = WINDOW_S,
) -> Sampled:
    """Return the samples of a host that is well, but for what is given: growth, settings, parts of each sample."""
    growth = {**counters, **(grew or {})}
    before = dict.fromkeys(growth, 1_000_000) | {"sockstat.TCP.tw": 2000, "sockstat.TCP.inuse": 2700}
    after = {name: before[name] + growth.get(name, 0) for name in before}
    one = _whole({**SYSCTL, **(sysctl or {})}, before, 0.0, system or {}, first or {})
    other = _whole({**SYSCTL, **(sysctl or {})}, after, window_s, system or {}, {**(first or {}), **(second or {})})
    return Sampled(first=one, second=other)


def _whole(
    sysctl: Mapping[str, str],
    counters: dict[str, int],
    later_s: float,
    system: Mapping[str, Any],
    own: Mapping[str, Any],
) -> HostFacts:
    given: dict[str, Any] = {
        "collected_at": NOW + timedelta(seconds=later_s),
        "counters": counters,
        "listeners": Listeners(source="ss", listeners=(WEB, SSH), processes=(NGINX, SSHD)),
        "links": Links(links=(ETHERNET,)),
        "conntrack": Conntrack(loaded=True, count=9000, max=262144, buckets=65536),
        "pressure": PRESSURE,
        "drops": drops(busier() if later_s else CPUS),
        "sockets": sockets(),
        "kernel_log": KernelLog(source="dmesg", lines=900, since_s=0.0),
    }
    given |= own
    if isinstance(given["pressure"], Pressure):
        given["pressure"] = given["pressure"].model_copy(update={"uptime_s": UPTIME_S + later_s})
    if extra := given.pop("sockstat", None):
        given["counters"] = {**counters, **extra}
    if more := given.pop("sysctl", None):
        sysctl = {**sysctl, **more}
    base = facts(sysctl=dict(sysctl), uptime_s=int(UPTIME_S + later_s), **system)
    return base.model_copy(
        update={**given, "sysctl": {key: Value(text=text, writable=True) for key, text in sysctl.items()}}
    )
