"""One host for each cause that two samples can show, with the numbers such a host really has."""

from __future__ import annotations

from tcptune.domain.sockets import SocketState
from tcptune.domain.state import Conntrack, NetNamespace
from tests.unit.detectors import cases_of_peers, cases_of_queues, cases_of_shortage
from tests.unit.detectors.case import (
    AMAZON,
    CLIENT,
    listening,
    owner,
    stuck,
)
from tests.unit.detectors.hosts import (
    BUSY,
    CLIENTS,
    RANGE,
    busier,
    drops,
    log,
    old_log,
    sampled,
    sockets,
)

CASES = {**cases_of_queues.CASES, **cases_of_shortage.CASES, **cases_of_peers.CASES}
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
