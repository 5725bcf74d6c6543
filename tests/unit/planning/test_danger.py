from __future__ import annotations

import pytest

from tcptune.domain.facts import HostFacts
from tcptune.domain.state import Conntrack, Listener, Listeners, Process
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.danger import BUFFERS, CONNTRACK_MAX, PORT_RANGE, RESERVED, TCP_MEM, TIME_WAIT, danger
from tests.unit.builders import SOMAXCONN, facts

SSH = Listeners(
    source="ss",
    listeners=(
        Listener(address="*", port=22022, queue=0, backlog=128, pids=(7,)),
        Listener(address="*", port=8080, queue=0, backlog=511, pids=(8,)),
    ),
    processes=(Process(pid=7, name="sshd"), Process(pid=8, name="nginx")),
)


def host(values: dict[str, str] | None = None, **sections: object) -> HostFacts:
    return facts(sysctl=values).model_copy(update=sections)


def reason(key: str, after: str, on: HostFacts, **planned: str) -> str:
    return danger(catalogue()[key], {key: after} | planned, on) or ""


def test_a_high_risk_of_the_catalogue_is_a_danger_and_others_are_none() -> None:
    assert reason(PORT_RANGE, "10240 65535", host())
    assert not reason(SOMAXCONN, "65535", host())


def test_a_value_that_runs_already_is_no_danger() -> None:
    assert not reason(PORT_RANGE, "10240 65535", host({PORT_RANGE: "10240 65535"}))


@pytest.mark.parametrize(
    ("after", "reserved", "planned", "named"),
    [
        ("10240 65535", "", {}, True),
        ("10240 65535", "22022", {}, False),
        ("10240 65535", "", {RESERVED: "22000-22100"}, False),
        ("10240 65535", "22022", {RESERVED: "8080"}, True),
        ("22022 22022", "", {}, True),
        ("22023 65535", "", {}, False),
    ],
)
def test_a_range_over_the_port_of_ssh_is_named(after: str, reserved: str, planned: dict[str, str], named: bool) -> None:
    said = reason(PORT_RANGE, after, host({RESERVED: reserved}, listeners=SSH), **planned)

    assert ("SSH listens on 22022" in said) is named


def test_where_no_listener_was_read_ssh_is_taken_to_be_at_its_own_port() -> None:
    assert "SSH listens on 22," in reason(PORT_RANGE, "1 65535", host())


@pytest.mark.parametrize(("after", "named"), [("999", True), ("1000", True), ("1001", False)])
def test_a_table_of_connections_that_is_full_already_is_named(after: str, named: bool) -> None:
    on = host(conntrack=Conntrack(loaded=True, count=1000, max=262144))

    assert ("1000 connections are tracked now" in reason(CONNTRACK_MAX, after, on)) is named


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("4294967296 4294967297 4294967298", "more than the RAM"),
        ("100 200 5000", "TCP uses 5000 pages now"),
        ("100 200 5001", ""),
    ],
)
def test_memory_of_tcp_that_cannot_fit_is_named(after: str, said: str) -> None:
    found = reason(TCP_MEM, after, host(counters={"sockstat.TCP.mem": 5000}))

    assert said in found
    assert bool(said) is ("pages now" in found or "more than the RAM" in found)


def test_fewer_time_wait_sockets_than_there_are_is_named() -> None:
    on = host(counters={"sockstat.TCP.tw": 3000})

    assert "3000 sockets are in TIME_WAIT" in reason(TIME_WAIT, "3000", on)
    assert "sockets are in TIME_WAIT now" not in reason(TIME_WAIT, "3001", on)


@pytest.mark.parametrize("key", BUFFERS)
def test_default_buffers_of_all_connections_that_exceed_the_ram_are_a_danger(key: str) -> None:
    # The host of the builders has 4 GiB.
    on = host(counters={"Tcp.CurrEstab": 1024})

    assert "1024 connections are open" in reason(key, f"4096 {4 * 1024**2 + 1} 16777216", on)
    assert not reason(key, f"4096 {4 * 1024**2} 16777216", on)
    assert not reason(key, f"4096 {4 * 1024**2 + 1} 16777216", host())
