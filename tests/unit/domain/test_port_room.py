from __future__ import annotations

import pytest

from tcptune.domain.facts import Absent, Reading, Unreadable, Value
from tcptune.domain.port_room import port_room
from tests.unit.builders import facts

RANGE, RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"


def room(span: str | Reading, reserved: str | Reading) -> int | None:
    readings = {RANGE: span, RESERVED: reserved}
    values = {key: Value(text=one, writable=True) if isinstance(one, str) else one for key, one in readings.items()}
    return port_room(facts("web1").model_copy(update={"sysctl": values}))


@pytest.mark.parametrize(
    ("span", "reserved", "ports"),
    [
        ("32768 60999", "", 28232),
        ("32768 60999", "8080,9148", 28232),
        ("32768 60999", "32000-32769,60999,61000", 28229),
        ("1024 65535", "1024-65535", 0),
        ("50000 50000", "", 1),
    ],
)
def test_reserved_ports_within_the_range_are_no_room(span: str, reserved: str, ports: int) -> None:
    assert room(span, reserved) == ports


@pytest.mark.parametrize(
    ("span", "reserved"),
    [(Absent(), ""), ("32768 60999", Unreadable()), ("32768", ""), ("low high", ""), ("1 2", "9-1"), ("1 2", "x")],
)
def test_room_that_cannot_be_told_is_not_known(span: str | Reading, reserved: str | Reading) -> None:
    assert room(span, reserved) is None


def test_facts_without_these_settings_tell_no_room() -> None:
    assert port_room(facts("web1").model_copy(update={"sysctl": {}})) is None
