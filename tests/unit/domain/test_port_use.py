"""How many of the local ports are taken."""

from __future__ import annotations

import pytest

from tcptune.domain.port_use import RANGE, RESERVED, REUSE, TIMESTAMPS, most_taken
from tcptune.domain.sockets import PeerUse, SocketState
from tests.unit.builders import facts
from tests.unit.detectors.hosts import sockets

VALUES = {RANGE: "40000 40199", RESERVED: "", REUSE: "2", TIMESTAMPS: "1"}


def peer(waits: int, others: int, address: str = "10.0.0.9") -> PeerUse:
    states = {SocketState.TIME_WAIT: waits, SocketState.ESTABLISHED: others}
    return PeerUse(local="10.0.0.5", address=address, port=443, states=states, in_range=waits + others)


@pytest.mark.parametrize(
    ("values", "one", "percent"),
    [
        ({}, peer(180, 20), 100),
        ({}, peer(20, 30), 25),
        ({RESERVED: "40000-40099"}, peer(80, 20), 100),
        ({REUSE: "1"}, peer(180, 20), 10),
        ({REUSE: "1", TIMESTAMPS: "0"}, peer(180, 20), 100),
        ({}, peer(180, 20, "127.0.0.1"), 10),
    ],
)
def test_ports_in_time_wait_count_where_they_cannot_be_taken_again(
    values: dict[str, str], one: PeerUse, percent: int
) -> None:
    host = facts(sysctl=VALUES | values).model_copy(update={"sockets": sockets(peers=(one, peer(1, 1)))})

    assert most_taken(host) == percent


def test_what_was_not_looked_at_is_not_zero() -> None:
    assert most_taken(facts(sysctl=VALUES)) is None
    assert most_taken(facts().model_copy(update={"sockets": sockets()})) is None
    assert most_taken(facts(sysctl=VALUES).model_copy(update={"sockets": sockets(peers=())})) == 0
