"""The catalogue's type: views of one kernel, and rules stricter than the kernel's."""

from __future__ import annotations

import pytest

from tcptune.domain.parameters import View
from tcptune.domain.releases import Release
from tcptune.domain.strict import Rule, mistakes
from tcptune.knowledge.catalogue import catalogue


@pytest.mark.parametrize(
    ("key", "text", "rule"),
    [
        ("net.ipv4.tcp_rmem", "9000 8000 7000", Rule.ORDER),
        ("net.ipv4.tcp_rmem", "4096 87380", Rule.ARITY),
        ("net.ipv4.tcp_rmem", "4096,87380,16777216", Rule.SEPARATOR),
        ("net.ipv4.tcp_rmem", "4096, 87380, 16777216", Rule.SEPARATOR),
        ("net.ipv4.tcp_rmem", "0 87380 16777216", Rule.RANGE),
        ("net.ipv4.tcp_rmem", '"4096 87380 16777216"', Rule.QUOTED),
        ("net.ipv4.ip_local_port_range", "60999 32768", Rule.ORDER),
        ("net.ipv4.ip_local_port_range", "1024-65535", Rule.ARITY),
        ("net.core.somaxconn", "010", Rule.OCTAL),
        ("net.core.somaxconn", "0x100", Rule.HEX),
        ("net.core.somaxconn", "4k", Rule.UNIT),
        ("net.core.somaxconn", "4096 # a comment", Rule.ARITY),
        ("net.core.somaxconn", "many", Rule.NOT_A_NUMBER),
        ("net.core.somaxconn", "٤", Rule.NOT_A_NUMBER),
        ("net.core.somaxconn", "-1", Rule.NEGATIVE),
        ("net.core.somaxconn", "100000", Rule.RANGE),
        ("net.core.somaxconn", "4096\n5", Rule.SEPARATOR),
        ("net.ipv4.tcp_fin_timeout", "-1", Rule.NEGATIVE),
        ("net.ipv4.tcp_fin_timeout", "60s", Rule.UNIT),
        ("net.ipv4.tcp_sack", "yes", Rule.BOOLEAN),
        ("net.ipv4.tcp_sack", "2", Rule.RANGE),
        ("net.ipv4.tcp_tw_reuse", "3", Rule.RANGE),
        ("net.ipv4.ip_local_reserved_ports", "8080, 9000", Rule.SEPARATOR),
        ("net.ipv4.ip_local_reserved_ports", "8080,http", Rule.PORT_LIST),
        ("net.ipv4.ip_local_reserved_ports", "9000-8000", Rule.ORDER),
        ("net.ipv4.ip_local_reserved_ports", "0,80", Rule.RANGE),
        ("net.ipv4.tcp_congestion_control", "reno bbr", Rule.ARITY),
        ("net.ipv4.tcp_congestion_control", "bbr;", Rule.NAME),
        ("net.netfilter.nf_conntrack_count", "1", Rule.READ_ONLY),
    ],
)
def test_we_are_stricter_than_the_kernel(key: str, text: str, rule: Rule) -> None:
    assert rule in {mistake.rule for mistake in mistakes(catalogue()[key], text)}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
        ("net.ipv4.ip_local_port_range", "1024 65535"),
        ("net.ipv4.ip_local_reserved_ports", "8080-8082,9000"),
        ("net.ipv4.ip_local_reserved_ports", ""),
        ("net.ipv4.tcp_congestion_control", "bbr"),
        ("net.ipv4.tcp_allowed_congestion_control", "reno cubic"),
        ("net.ipv4.tcp_adv_win_scale", "-2"),
        ("net.ipv4.tcp_fastopen", "1027"),
        ("net.ipv4.tcp_notsent_lowat", "4294967295"),
        ("fs.file-max", "9223372036854775807"),
    ],
)
def test_what_is_sensible_passes(key: str, text: str) -> None:
    assert mistakes(catalogue()[key], text) == ()
    assert catalogue()[key].mistake(text) is None


def test_every_number_of_a_vector_is_judged() -> None:
    found = mistakes(catalogue()["net.ipv4.tcp_rmem"], "010 0x20 5k")
    assert [mistake.rule for mistake in found] == [Rule.OCTAL, Rule.HEX, Rule.UNIT]


def test_a_default_is_that_of_the_kernel() -> None:
    somaxconn = catalogue()["net.core.somaxconn"]
    assert [somaxconn.default(release) for release in ("4.19", "5.3.18", "5.4", "6.18")] == [
        "128",
        "128",
        "4096",
        "4096",
    ]
    assert catalogue()["net.ipv4.tcp_mem"].default("6.1") is None


def test_a_key_exists_between_its_introduction_and_its_removal() -> None:
    recycle, delay = catalogue()["net.ipv4.tcp_tw_recycle"], catalogue()["net.ipv4.tcp_tw_reuse_delay"]
    assert recycle.at("4.11").missing is None
    assert recycle.at("4.12").missing == "removed in Linux 4.12"
    assert delay.at("6.12").missing == "new in Linux ~6.14"
    assert delay.at("6.18").missing is None


def test_next_to_a_release_that_nobody_looked_up_nothing_is_certain() -> None:
    delay = catalogue()["net.ipv4.tcp_tw_reuse_delay"]
    assert [delay.at(release).certain for release in ("6.1", "6.13", "6.14", "6.18")] == [True, False, False, True]


def test_what_a_child_namespace_sees_depends_on_the_kernel() -> None:
    rmem = catalogue()["net.core.rmem_max"]
    assert [rmem.at(release).in_child for release in ("6.1", "6.12")] == [View.ABSENT, View.READ_ONLY]
    assert catalogue()["net.ipv4.tcp_rmem"].at("4.14").in_child is View.ABSENT
    assert catalogue()["net.core.somaxconn"].at("6.1").in_child is View.WRITABLE


def test_releases_know_whether_they_are_certain() -> None:
    assert Release.model_validate("~4.12") == Release(number=(4, 12), approximate=True)
    assert str(Release.model_validate("2.6.35")) == "2.6.35"
    assert Release.model_validate("4.12").reached_by((4, 12))
    assert not Release.model_validate("4.12").reached_by((4, 9))
    with pytest.raises(ValueError, match="no kernel release"):
        Release.model_validate("4.x")
