"""Cases by check and kind: a host that has the concern, one that has not, one at the limit, one with a gap."""

from __future__ import annotations

from typing import Any, NamedTuple

from tcptune.domain.concerns import Severity
from tcptune.domain.demands import AtLeast
from tcptune.domain.facts import HostFacts
from tcptune.domain.profile import Entry, LoadVariable
from tcptune.domain.state import Conntrack, TextFile
from tests.unit.builders import ABSENT, ETC, MAX_SYN, PORTS, RMEM, SOMAXCONN, SYNCOOKIES, UNREADABLE, rule
from tests.unit.planning.checks.hosts import (
    BUCKETS,
    CONNTRACK_MAX,
    ESTABLISHED,
    INTVL,
    KEEPALIVE,
    MODERATE,
    RESERVED,
    TCP_MEM,
    TIMESTAMPS,
    TW_BUCKETS,
    TW_REUSE,
    UNPRIVILEGED,
    WMEM,
    host,
    listener,
    listening,
    rival,
)

HARM, ADVICE = Severity.HARM, Severity.ADVICE


class Case(NamedTuple):
    """A host, what the profile asks of it, and how bad the check calls it; None for fine, a text for a gap's reason."""

    says: Severity | str | None
    host: HostFacts
    entries: tuple[Entry, ...] = ()


def case(says: Severity | str | None, found: HostFacts, *entries: Entry) -> Case:
    return Case(says, found, entries)


def table(count: int, **fields: int) -> Conntrack:
    return Conntrack.model_validate({"loaded": True, "count": count, "max": 1000, "buckets": 1000, **fields})


def ufw(content: str | None) -> TextFile:
    return TextFile(path="/etc/ufw/sysctl.conf", content=content)


def load(connections: float) -> Entry:
    """Return an entry whose profile is made for so many connections."""
    variable = LoadVariable(default=connections, unit="connections", meaning="open connections at the peak")
    return rule(SOMAXCONN, AtLeast(value="{{ connections | clamp(1, 4096) }}"), load={"connections": variable})


WIDE = {PORTS: "10240 65535"}
KUBELET = (rival("kubelet"),)
UFW = rival("ufw", running=False, detail="ENABLED=yes")
NOT_LOADED = Conntrack(loaded=False)
GONE: dict[str, Any] = {"listeners": "the answer has no such section"}

CASES: dict[str, dict[str, Case]] = {
    "accept-queue": {
        "positive": case(ADVICE, host(listeners=listening(listener(80, 128)))),
        "full": case(HARM, host(listeners=listening(listener(80, 128, queue=129)))),
        "room for one": case(ADVICE, host(listeners=listening(listener(80, 128, queue=128)))),
        "negative": case(None, host(listeners=listening(listener(80, 4096)))),
        "boundary": case(None, host(listeners=listening(listener(80, 1024)))),
        "just too short": case(ADVICE, host(listeners=listening(listener(80, 1023)))),
        "management": case(None, host(listeners=listening(listener(22, 128, "sshd")))),
        "its own host alone": case(None, host(listeners=listening(listener(99, 5, "spooler", address="127.0.0.1")))),
        "capped at somaxconn": case(
            ADVICE, host({SOMAXCONN: "128"}, listeners=listening(listener(80, 128))), rule(SOMAXCONN, "4096")
        ),
        "gap": case("listeners were not read", host(gaps=GONE)),
        "gap of ss": case("ss is not there", host(listeners=listening(listener(80, None), source="proc"))),
        "gap of names": case("does not see of which programs", host(listeners=listening(listener(80, 128, None)))),
        "gap of many": case("more listeners than were read", host(listeners=listening(left_out=3))),
        "gap of somaxconn": case("net.core.somaxconn may not be read", host({SOMAXCONN: UNREADABLE})),
    },
    "port-listeners": {
        "positive": case(HARM, host(WIDE, listeners=listening(listener(27017, 4096, "mongod")))),
        "in the kernel's own range": case(ADVICE, host(listeners=listening(listener(33060, 70, "mysqld")))),
        "negative": case(None, host(WIDE, listeners=listening(listener(443, 4096)))),
        "boundary": case(HARM, host(WIDE, listeners=listening(listener(10240, 4096)))),
        "just outside": case(None, host(WIDE, listeners=listening(listener(10239, 4096)))),
        "reserved": case(None, host({**WIDE, RESERVED: "27017"}, listeners=listening(listener(27017, 4096)))),
        "wanted": case(HARM, host(listeners=listening(listener(27017, 4096, "mongod"))), rule(PORTS, "10240 65535")),
        "gap": case("listeners were not read", host(gaps=GONE)),
        "gap of the range": case(f"these facts do not hold {PORTS}", host(without=(PORTS,))),
    },
    "port-nodeports": {
        "positive": case(HARM, host(WIDE, rivals=KUBELET)),
        "enabled": case(HARM, host(WIDE, rivals=(rival("k3s", running=False, enabled=True),))),
        "negative": case(None, host(WIDE)),
        "files alone": case(None, host(WIDE, rivals=(rival("kubelet", running=False, files=("/var/lib/kubelet",)),))),
        "boundary": case(None, host(rivals=KUBELET)),
        "one port": case(HARM, host({PORTS: "32767 60000"}, rivals=KUBELET)),
        "reserved": case(None, host({**WIDE, RESERVED: "30000-32767"}, rivals=KUBELET)),
        "gap": case("other programs were not looked for", host(WIDE, gaps={"rivals": "the answer is cut"})),
        "gap of processes": case(
            "whether kubelet runs was not seen",
            host(WIDE, rivals=(rival("kubelet", running=None),), rival_notes=("processes are hidden",)),
        ),
    },
    "port-range": {
        "positive": case(HARM, host({PORTS: "2000 2003", RESERVED: "2000-2003"})),
        "equal parity": case(ADVICE, host({PORTS: "1024 65534"})),
        "negative": case(None, host({PORTS: "1024 65535"})),
        "boundary": case(None, host({PORTS: "2000 2003", RESERVED: "2000-2002"})),
        "one port": case(None, host({PORTS: "2000 2000"})),
        "gap": case(f"{PORTS} may not be read", host({PORTS: UNREADABLE})),
    },
    "refused": {
        "positive": case(HARM, host({UNPRIVILEGED: "2048"}), rule(PORTS, "1025 65534")),
        "negative": case(None, host(), rule(PORTS, "10240 65535")),
        "boundary": case(None, host({UNPRIVILEGED: "2048"}), rule(PORTS, "2048 65535")),
        "both move": case(None, host({UNPRIVILEGED: "2048"}), rule(PORTS, "1024 65535"), rule(UNPRIVILEGED, "1024")),
        "the other way": case(HARM, host(), rule(UNPRIVILEGED, "32769")),
        "gap": case(f"{UNPRIVILEGED} may not be read", host({UNPRIVILEGED: UNREADABLE}), rule(PORTS, "10240 65535")),
    },
    "nonsense": {
        "positive": case(HARM, host({RMEM: "8192 4096 2048"})),
        "negative time": case(HARM, host({KEEPALIVE: "-1"})),
        "negative": case(None, host({RMEM: "4096 8192 16384"})),
        "boundary": case(None, host({RMEM: "4096 4096 4096"})),
        "gap": case(None, host({RMEM: UNREADABLE})),
    },
    "time-wait-reuse": {
        "positive": case(HARM, host({TW_REUSE: "1", TIMESTAMPS: "0"}), rule(SYNCOOKIES, "1")),
        "wanted": case(HARM, host({TIMESTAMPS: "0"}), rule(TW_REUSE, "1")),
        "negative": case(None, host({TW_REUSE: "1"}), rule(SYNCOOKIES, "1")),
        "boundary": case(None, host({TW_REUSE: "2", TIMESTAMPS: "0"})),
        "cured": case(None, host({TW_REUSE: "1", TIMESTAMPS: "0"}), rule(TIMESTAMPS, "1")),
        "gap": case(
            f"{TIMESTAMPS} may not be read", host({TW_REUSE: "1", TIMESTAMPS: UNREADABLE}), rule(SYNCOOKIES, "1")
        ),
    },
    "no-effect": {
        "positive": case(ADVICE, host({MODERATE: "0"})),
        "no scaling": case(ADVICE, host({"net.ipv4.tcp_window_scaling": "0"})),
        "negative": case(None, host()),
        "boundary": case(None, host({RMEM: "4096 65535 65535", "net.ipv4.tcp_window_scaling": "0", MODERATE: "0"})),
        "gap": case(f"{MODERATE} may not be read", host({MODERATE: UNREADABLE})),
    },
    "syn-queue": {
        "positive": case(ADVICE, host({SYNCOOKIES: "0"})),
        "negative": case(None, host()),
        "boundary": case(None, host({SYNCOOKIES: "0", MAX_SYN: "4096"})),
        "gap": case(f"these facts do not hold {SYNCOOKIES}", host(without=(SYNCOOKIES,))),
    },
    "keepalive": {
        "positive": case(ADVICE, host(machine="google")),
        "negative": case(None, host(machine="kvm")),
        "boundary": case(None, host({KEEPALIVE: "319", INTVL: "30"}, machine="amazon")),
        "one second more": case(ADVICE, host({KEEPALIVE: "320", INTVL: "30"}, machine="amazon")),
        "gap": case("in which cloud", host(virtualization=None)),
    },
    "keepalive-conntrack": {
        "positive": case(ADVICE, host({ESTABLISHED: "3600"})),
        "negative": case(None, host({ESTABLISHED: "86400"})),
        "boundary": case(None, host({ESTABLISHED: "7276"})),
        "as long": case(ADVICE, host({ESTABLISHED: "7275"})),
        "not loaded": case(None, host({ESTABLISHED: ABSENT}, conntrack=NOT_LOADED)),
        "gap": case("connection tracking was not read", host(gaps={"conntrack": "closed"})),
    },
    "memory": {
        "positive": case(HARM, host({TCP_MEM: "10000000 10000000 10000000"})),
        "much": case(ADVICE, host({TCP_MEM: "380000 500000 1100000"})),
        "negative": case(None, host()),
        "boundary": case(
            None,
            host(
                {TCP_MEM: "1 1 1048576", TW_BUCKETS: "0", CONNTRACK_MAX: ABSENT, BUCKETS: ABSENT},
                listeners=listening(),
                conntrack=NOT_LOADED,
            ),
        ),
        "one page more": case(
            ADVICE, host({TCP_MEM: "1 1 1048577", TW_BUCKETS: "0"}, listeners=listening(), conntrack=NOT_LOADED)
        ),
        "one TIME_WAIT more": case(
            ADVICE, host({TCP_MEM: "1 1 1048576", TW_BUCKETS: "1"}, listeners=listening(), conntrack=NOT_LOADED)
        ),
        "connection tracking": case(HARM, host({CONNTRACK_MAX: "33554432"})),
        "what is known is enough": case(HARM, host({TCP_MEM: "1 1 10000000"}, gaps=GONE)),
        "gap": case("how much memory", host(memory_bytes=None)),
        "gap of listeners": case("listeners were not read", host(gaps=GONE)),
        "gap of conntrack": case("connection tracking was not read", host(gaps={"conntrack": "closed"})),
    },
    "buffers": {
        "positive": case(ADVICE, host({RMEM: f"4096 131072 {1 << 30}"})),
        "negative": case(None, host()),
        "boundary": case(None, host({WMEM: f"4096 16384 {256 << 20}"})),
        "one byte more": case(ADVICE, host({WMEM: f"4096 16384 {(256 << 20) + 1}"})),
        "large host": case(ADVICE, host({WMEM: f"4096 16384 {(512 << 20) + 1}"}, memory_bytes=1 << 40)),
        "gap": case(f"{RMEM} may not be read", host({RMEM: UNREADABLE})),
    },
    "connections": {
        "positive": case(ADVICE, host(), load(5_000_000)),
        "negative": case(None, host(), load(1_000_000)),
        "boundary": case(None, host(memory_bytes=7_400_000), load(1000)),
        "one byte less": case(ADVICE, host(memory_bytes=7_399_998), load(1000)),
        "no such load": case(None, host(memory_bytes=4096)),
        "gap": case("how much memory", host(memory_bytes=None), load(1000)),
    },
    "conntrack-full": {
        "positive": case(HARM, host({CONNTRACK_MAX: "1000"}, conntrack=table(950))),
        "filling": case(ADVICE, host({CONNTRACK_MAX: "1000"}, conntrack=table(949))),
        "negative": case(None, host({CONNTRACK_MAX: "1000"}, conntrack=table(10))),
        "boundary": case(ADVICE, host({CONNTRACK_MAX: "1000"}, conntrack=table(800))),
        "just below": case(None, host({CONNTRACK_MAX: "1000"}, conntrack=table(799))),
        "cured": case(None, host({CONNTRACK_MAX: "1000"}, conntrack=table(990)), rule(CONNTRACK_MAX, "262144")),
        "lowered": case(HARM, host(conntrack=table(990, max=262144)), rule(CONNTRACK_MAX, "1024")),
        "not loaded": case(None, host({CONNTRACK_MAX: ABSENT}, conntrack=NOT_LOADED)),
        "gap": case("connection tracking was not read", host(gaps={"conntrack": "closed"})),
        "gap of entries": case("entries of connection tracking", host(conntrack=Conntrack(loaded=True))),
    },
    "conntrack-chains": {
        "positive": case(ADVICE, host({CONNTRACK_MAX: "524288", BUCKETS: "65536"})),
        "negative": case(None, host()),
        "boundary": case(None, host({CONNTRACK_MAX: "262144", BUCKETS: "65536"})),
        "one more": case(ADVICE, host({CONNTRACK_MAX: "262145", BUCKETS: "65536"})),
        "as the probe read it": case(
            ADVICE, host(without=(CONNTRACK_MAX, BUCKETS), conntrack=table(1, max=8001, buckets=2000))
        ),
        "gap": case(
            "size and buckets", host(without=(CONNTRACK_MAX, BUCKETS), conntrack=Conntrack(loaded=True, count=1))
        ),
    },
    "global-reload": {
        "positive": case(ADVICE, host(files={f"{ETC}/60-old.conf": f"{KEEPALIVE} = 600\n"})),
        "negative": case(None, host(files={f"{ETC}/60-old.conf": f"{KEEPALIVE} = 7200\n"})),
        "boundary": case(None, host(files={f"{ETC}/60-old.conf": f"{RMEM} = 4096\n{RESERVED} = \n"})),
        "the first number": case(ADVICE, host(files={f"{ETC}/60-old.conf": f"{RMEM} = 8192\n"})),
        "a refused line": case(None, host(files={f"{ETC}/60-old.conf": f"{SOMAXCONN} = many\n"})),
        "in another base": case(None, host(files={f"{ETC}/60-old.conf": f"{SOMAXCONN} = 0x1000\n"})),
        "for one loader": case(ADVICE, host(files={"/etc/sysctl.conf": f"{KEEPALIVE} = 600\n"})),
        "gap": case("the files of the next boot were not read", host(gaps={"sysctl_files": "captured"})),
        "gap of one file": case("60-old.conf cannot be read", host(files={f"{ETC}/60-old.conf": None})),
    },
    "rivals": {
        "positive": case(
            HARM, host(rivals=(rival("tuned", detail="network-throughput"),)), rule(RMEM, "4096 131072 16777216")
        ),
        "another profile of tuned": case(
            None, host(rivals=(rival("tuned", detail="virtual-guest"),)), rule(RMEM, "4096 131072 16777216")
        ),
        "negative": case(None, host(rivals=(rival("bpftune"),))),
        "boundary": case(None, host(rivals=(rival("bpftune", running=False),)), rule(TCP_MEM, "200000 254000 380000")),
        "enabled": case(
            HARM, host(rivals=(rival("bpftune", running=False, enabled=True),)), rule(TCP_MEM, "200000 254000 380000")
        ),
        "ufw": case(
            HARM,
            host({SOMAXCONN: "128"}, rivals=(UFW,), config_files=(ufw("net/core/somaxconn=128\n"),)),
            rule(SOMAXCONN, "4096"),
        ),
        "ufw sets it as wanted": case(
            None,
            host({SOMAXCONN: "128"}, rivals=(UFW,), config_files=(ufw("net/core/somaxconn=4096\n"),)),
            rule(SOMAXCONN, "4096"),
        ),
        "ufw is off": case(
            None,
            host(
                {SOMAXCONN: "128"},
                rivals=(rival("ufw", running=False, detail="ENABLED=no"),),
                config_files=(ufw("net/core/somaxconn=128\n"),),
            ),
            rule(SOMAXCONN, "4096"),
        ),
        "gap": case(
            "other programs were not looked for", host(gaps={"rivals": "closed"}), rule(TCP_MEM, "200000 254000 380000")
        ),
        "gap of processes": case(
            "whether bpftune runs",
            host(rivals=(rival("bpftune", running=None),), rival_notes=("hidden",)),
            rule(TCP_MEM, "200000 254000 380000"),
        ),
        "gap of ufw's file": case(
            "/etc/ufw/sysctl.conf was not read",
            host(rivals=(UFW,), gaps={"config_files": "closed"}),
            rule(TCP_MEM, "200000 254000 380000"),
        ),
    },
}
