"""Hosts whose listeners lose connections."""

from __future__ import annotations

from tcptune.domain.state import Listeners
from tests.unit.detectors.case import (
    HIGH,
    LIKELY,
    OVERFLOWS,
    POSSIBLE,
    Faulty,
    aged,
    listening,
    waiting,
)
from tests.unit.detectors.hosts import (
    NGINX,
    SSHD,
    WEB,
    log,
    sampled,
    sockets,
)

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
}
