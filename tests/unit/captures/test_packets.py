"""Bytes -> segments: beside scapy's own dissection, and with bytes that nobody meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback
from scapy.packet import Packet

from tcptune.captures.packets import IcmpError, Segment, Skipped, Way, decode
from tests.fuzz.examples import fuzz

V4, V6 = IP(src="10.0.0.1", dst="10.0.0.2", ttl=61, id=7), IPv6(src="fd00::1", dst="fd00::2", hlim=61)
SEGMENT = TCP(
    sport=40000,
    dport=80,
    seq=1,
    ack=2,
    flags="PA",
    window=77,
    options=[("NOP", None), ("NOP", None), ("Timestamp", (5, 6))],
)
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def decoded(packet: Packet, link: int = 1) -> Any:
    data = bytes(packet)
    return decode(data, link, len(data))


@pytest.mark.parametrize(
    ("packet", "link"),
    [
        (ETHER / V4, 1),
        (ETHER / V6, 1),
        (ETHER / Dot1Q(vlan=5) / V4, 1),
        (ETHER / Dot1AD(vlan=9) / Dot1Q(vlan=5) / V6, 1),
        (CookedLinux(pkttype=0, proto=0x800) / V4, 113),
        (CookedLinux(pkttype=0, proto=0x86DD) / V6, 113),
        (CookedLinuxV2(pkttype=0, proto=0x800) / V4, 276),
        (CookedLinuxV2(pkttype=0, proto=0x86DD) / V6, 276),
        (CookedLinux(proto=0x8100) / Dot1Q(vlan=5) / V4, 113),
        (Loopback(type=2) / V4, 0),
        (Loopback(type=30) / V6, 0),
        (Loopback(type=24) / V6, 108),
        (V4, 101),
        (V6, 101),
        (V4, 228),
        (V6, 229),
        (ETHER / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(), 1),
        (ETHER / V6 / IPv6ExtHdrFragment(offset=0, m=1), 1),
    ],
    ids=lambda one: one.summary().partition(" / 10.")[0][:60] if isinstance(one, Packet) else str(one),
)
def test_a_segment_is_found_below_each_link(packet: Packet, link: int) -> None:
    found = decoded(packet / SEGMENT / b"hello", link)

    assert (found.sport, found.dport, found.seq, found.ack, found.window) == (40000, 80, 1, 2, 77)
    assert (found.length, found.payload, found.stamp, found.ttl) == (5, b"hello", (5, 6), 61)
    assert found.ip_id == (7 if IP in packet else None)


def test_a_cooked_packet_says_which_way_it_went() -> None:
    ways = {kind: decoded(CookedLinux(pkttype=kind, proto=0x800) / V4 / SEGMENT, 113).way for kind in range(5)}

    assert ways == {0: Way.IN, 1: None, 2: None, 3: None, 4: Way.OUT}


@pytest.mark.parametrize(
    ("packet", "link", "why"),
    [
        (ETHER / ARP(), 1, Skipped.NOT_IP),
        (ETHER / V4 / UDP(), 1, Skipped.NOT_TCP),
        (ETHER / V6 / UDP(), 1, Skipped.NOT_TCP),
        (ETHER / V4 / ICMP(), 1, Skipped.NOT_TCP),
        (ETHER / IP(frag=10, proto=6) / (b"x" * 40), 1, Skipped.FRAGMENT),
        (ETHER / V6 / IPv6ExtHdrFragment(offset=9, nh=6) / (b"x" * 40), 1, Skipped.FRAGMENT),
        (ETHER / V4 / SEGMENT, 105, Skipped.LINK),
        (ETHER / IP(ihl=2, proto=6, len=60) / (b"x" * 40), 1, Skipped.BROKEN),
        (ETHER / V4 / TCP(dataofs=15), 1, Skipped.BROKEN),
        (ETHER / V4 / TCP(dataofs=2), 1, Skipped.BROKEN),
    ],
)
def test_what_is_no_segment_has_a_reason(packet: Packet, link: int, why: Skipped) -> None:
    assert decoded(packet, link) is why


def test_headers_that_were_cut_off_are_told_and_options_that_were_are_not_made_up() -> None:
    data = bytes(ETHER / V4 / SEGMENT / b"hello")
    whole = decode(data, 1, len(data))
    assert isinstance(whole, Segment)

    for size in range(len(data)):
        found = decode(data[:size], 1, len(data))
        if size < 14 + 20 + 20:
            assert found is Skipped.SHORT
            continue
        assert isinstance(found, Segment)
        assert found.length == whole.length == 5
        assert found.stamp == (whole.stamp if size >= 14 + 20 + 32 else None)
        assert found.optioned is (True if size >= 14 + 20 + 32 else None)


def test_a_length_that_the_card_was_to_fill_in_is_taken_from_the_packet() -> None:
    assert decoded(ETHER / IP(len=0, proto=6) / SEGMENT / (b"x" * 3000)).length == 3000


def test_options_of_a_syn() -> None:
    syn = TCP(flags="S", options=[("MSS", 1400), ("SAckOK", b""), ("Timestamp", (9, 0)), ("NOP", None), ("WScale", 9)])
    found = decoded(ETHER / V4 / syn)

    assert (found.mss, found.stamp, found.wscale, found.end) == (1400, (9, 0), 9, 1)


def test_icmp_errors_name_the_segment_they_are_about() -> None:
    inner = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=40000, dport=80)
    four = decoded(ETHER / IP(src="10.0.0.254") / ICMP(type=3, code=4, nexthopmtu=1400) / bytes(inner)[:28])
    inner6 = IPv6(src="fd00::1", dst="fd00::2") / TCP(sport=40000, dport=80)
    six = decoded(ETHER / IPv6(src="fd00::fe") / ICMPv6PacketTooBig(mtu=1400) / bytes(inner6))

    for found in (four, six):
        assert isinstance(found, IcmpError)
        assert (found.sport, found.dport, found.mtu, found.too_big) == (40000, 80, 1400, True)


OPTIONS = st.lists(
    st.sampled_from(
        [("NOP", None), ("MSS", 1400), ("WScale", 9), ("SAckOK", b""), ("Timestamp", (7, 8)), ("SAck", (1, 2))]
    ),
    max_size=4,
    unique_by=lambda one: one[0],
)


@given(
    st.sampled_from([ETHER / V4, ETHER / V6, ETHER / Dot1Q() / V4]),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 63),
    OPTIONS,
    st.binary(max_size=50),
)
def test_it_says_what_scapy_says(
    head: Packet, port: int, seq: int, ack: int, flags: int, options: list[Any], payload: bytes
) -> None:
    data = bytes(head / TCP(sport=port, dport=80, seq=seq, ack=ack, flags=flags, options=options) / payload)
    theirs = Ether(data)[TCP]
    ours = decode(data, 1, len(data))

    assert isinstance(ours, Segment)
    assert (ours.sport, ours.seq, ours.ack, ours.flags) == (theirs.sport, theirs.seq, theirs.ack, int(theirs.flags))
    said = dict(theirs.options)
    assert (ours.stamp, ours.mss, ours.wscale) == (said.get("Timestamp"), said.get("MSS"), said.get("WScale"))
    assert ours.payload == payload


LINKS = st.sampled_from([0, 1, 12, 101, 108, 113, 228, 229, 276, 999])


@fuzz(100)
@given(st.binary(max_size=200), LINKS, st.integers(0, 2**32))
def test_no_bytes_break_it(data: bytes, link: int, wire_bytes: int) -> None:
    assert isinstance(decode(data, link, wire_bytes), Segment | IcmpError | Skipped)


@fuzz(100)
@given(
    st.sampled_from([bytes(ETHER / V4 / SEGMENT / b"hello"), bytes(ETHER / V6 / IPv6ExtHdrHopByHop() / SEGMENT)]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 120),
)
def test_no_changed_bytes_break_it(data: bytes, changes: list[tuple[int, int]], size: int) -> None:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] = value
    found = decode(bytes(changed[:size]), 1, len(data))

    assert not isinstance(found, Segment) or 0 <= found.length < 70_000
