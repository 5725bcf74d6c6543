"""The causes are complete, agree with each other, and with what reads and judges hosts."""

from __future__ import annotations

import re

import pytest

from tcptune.domain.causes import Cause, Look, RemedyKind
from tcptune.domain.parameters import Verified
from tcptune.domain.strain import KernelMessage
from tcptune.knowledge.catalogue import catalogue
from tcptune.knowledge.causes import causes, errors, kernel_patterns, log_myths, thresholds
from tests.unit.knowledge.known_causes import CAUSES, ERRORS, KERNEL_LINES

KERNEL_SAYS = {
    "possible_syn_flooding": [
        "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.  Check SNMP counters.",
        "TCP: request_sock_TCPv6: Possible SYN flooding on port [::]:443. Sending cookies.",
        "request_sock_TCP: Possible SYN flooding on port 10.0.0.1:8080. Dropping request.",
    ],
    "too_many_orphans": ["TCP: too many orphaned sockets", "TCP: too many of orphaned sockets"],
    "tcp_out_of_memory": ["TCP: out of memory -- consider tuning tcp_mem", "Out of socket memory"],
    "tw_overflow": ["TCP: time wait bucket table overflow"],
    "conntrack_full": [
        "nf_conntrack: nf_conntrack: table full, dropping packet",
        "nf_conntrack: table full in netns 4026531840, dropping packet",
    ],
    "neighbor_overflow": ["neighbour: arp_cache: neighbor table overflow!", "arp_cache: neighbor table overflow!"],
    "file_max": ["VFS: file-max limit 1024 reached"],
    "link_down": ["e1000e 0000:00:1f.6 eth0: NIC Link is Down", "smsc95xx eth0: Link is Down"],
    "tx_timeout": ["NETDEV WATCHDOG: eth0 (igb): transmit queue 3 timed out"],
    "martian": ["IPv4: martian source 10.0.0.5 from 192.0.2.7, on dev eth0"],
    "page_alloc": ["kworker/0:1: page allocation failure: order:3, mode:0x40a20"],
    "oom_killer": ["Out of memory: Killed process 712 (java)", "oom-kill:constraint=CONSTRAINT_NONE"],
    "shrunk_window": ["TCP: Peer 192.0.2.7:443/50000 unexpectedly shrunk window 1:2 (repaired)"],
}


@pytest.mark.parametrize("known", CAUSES, ids=lambda known: known[0])
def test_nothing_of_a_cause_is_left_out(known: tuple[str, bool, str, int, int, tuple[str, ...], int]) -> None:
    name, helps, verified, symptoms, signs, remedies, not_this = known
    cause = causes()[name]

    assert (cause.kernel_change_helps, cause.verified) == (helps, Verified(verified))
    assert (len(cause.symptoms), len(cause.evidence), len(cause.not_this)) == (symptoms, signs, not_this)
    assert tuple(remedy.kind.value for remedy in cause.remedies) == remedies


def test_there_are_no_other_causes() -> None:
    assert list(causes()) == sorted(known[0] for known in CAUSES)


@pytest.mark.parametrize("cause", causes().values(), ids=causes())
def test_a_cause_agrees_with_the_others(cause: Cause) -> None:
    others = {*causes()} - {cause.id}

    assert {one.cause for one in cause.apart} <= others
    assert set(cause.leads_to) <= others
    assert set(cause.errors) <= {error.name for error in errors()}
    assert not cause.summary.endswith(".")
    assert len({one.cause for one in cause.apart}) == len(cause.apart)


@pytest.mark.parametrize("cause", causes().values(), ids=causes())
def test_where_no_kernel_setting_helps_none_is_the_first_remedy(cause: Cause) -> None:
    if not cause.kernel_change_helps:
        assert cause.remedies[0].kind is not RemedyKind.SYSCTL


def test_every_error_has_a_cause_and_its_own_texts() -> None:
    named = {error for cause in causes().values() for error in cause.errors}

    assert {error.name: error.number for error in errors()} == ERRORS
    assert named == set(ERRORS)


@pytest.mark.parametrize("pattern", kernel_patterns(), ids=lambda pattern: pattern.id)
def test_a_pattern_knows_what_the_kernel_really_says(pattern: object) -> None:
    found = next(one for one in kernel_patterns() if one is pattern)

    assert all(re.search(found.regex, line) for line in KERNEL_SAYS[found.id])
    others = [line for name, lines in KERNEL_SAYS.items() if name != found.id for line in lines]
    assert not [line for line in others if re.search(found.regex, line)]


def test_each_message_that_is_read_names_its_cause() -> None:
    assert {one.id: one.cause for one in kernel_patterns()} == KERNEL_LINES
    assert set(KERNEL_LINES) == {message.value for message in KernelMessage}
    assert set(KERNEL_LINES.values()) <= {one.id for one in causes().values() if Look.HOST in one.shown_by}


def test_lines_that_people_look_for_in_vain_say_so() -> None:
    assert len(log_myths()) == 6
    assert all(one.finding for one in log_myths())


def test_a_threshold_has_a_reason_and_a_source() -> None:
    for one in thresholds().values():
        assert one.value > 0, one.name
        assert one.why != one.source


def test_settings_that_a_remedy_spells_out_are_in_the_catalogue() -> None:
    spelled = {
        word
        for cause in causes().values()
        for remedy in cause.remedies
        for word in re.findall(r"\b(?:net|fs|vm)\.[a-z0-9_.-]+[a-z0-9]", remedy.action)
    }

    assert {"net.core.somaxconn", "fs.file-max"} <= spelled
    assert spelled <= set(catalogue())
