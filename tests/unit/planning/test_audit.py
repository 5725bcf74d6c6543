from __future__ import annotations

from typing import Any

import pytest

from tcptune.domain.demands import AtLeast, AtMost, Between, Elements, Exactly, Leave
from tcptune.domain.findings import Deviates, Finding, Met, NotApplicable, Unknown, Where
from tcptune.domain.profile import Entry
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tests.unit.builders import (
    ABSENT,
    ETC,
    FIN_TIMEOUT,
    MAX_SYN,
    PORTS,
    RMEM,
    SOMAXCONN,
    SYNCOOKIES,
    UNREADABLE,
    facts,
    parameter,
    profile,
    read_only,
    rule,
)

FILE = f"{ETC}/60-web.conf"


def judge(entry: Entry, sysctl: dict[str, Any], files: dict[str, str | None] | None = None, **host: Any) -> Finding:
    return audit_host(facts(sysctl=sysctl, files=files, **host), profile(entry), catalogue()).findings[0]


def judged(entry: Entry, actual: str, files: dict[str, str | None] | None = None, **host: Any) -> Met | Deviates:
    """Return the finding on a value that could be read."""
    found = judge(entry, {entry.key: actual}, files, **host)
    assert isinstance(found, Met | Deviates)
    return found


def sets(value: str, key: str = SOMAXCONN) -> dict[str, str | None]:
    return {FILE: f"{key} = {value}\n"}


# What is as wanted


def test_a_value_as_wanted_now_and_at_boot_meets_the_rule() -> None:
    found = judged(rule(SOMAXCONN, "4096"), "4096")

    assert isinstance(found, Met)
    assert (found.layers.wanted, found.layers.actual, found.layers.at_boot.value) == ("4096", "4096", "4096")


def test_more_than_the_least_meets_a_rule_that_asks_for_the_least() -> None:
    assert isinstance(judged(rule(SOMAXCONN, AtLeast(value="1024")), "4096"), Met)


def test_findings_come_in_the_order_of_the_profile() -> None:
    entries = (rule(SYNCOOKIES, "1"), rule(SOMAXCONN, "4096"), rule(FIN_TIMEOUT, "60"))
    found = audit_host(facts(), profile(*entries), catalogue()).findings

    assert [f.key for f in found] == [SYNCOOKIES, SOMAXCONN, FIN_TIMEOUT]


@pytest.mark.parametrize(
    ("hz", "actual", "kind", "wanted"),
    [
        (250, "504", Met, "504"),
        (1000, "501", Met, "501"),
        (1000, "504", Deviates, "501"),
        # Not known: the value as it was asked for.
        (None, "504", Deviates, "501"),
        (None, "501", Met, "501"),
    ],
)
def test_milliseconds_are_compared_as_a_host_with_this_timer_rate_rounds_them(
    hz: int | None, actual: str, kind: type[Finding], wanted: str
) -> None:
    key = "net.ipv4.tcp_invalid_ratelimit"
    found = judged(rule(key, "501"), actual, sets("501", key), hz=hz)

    assert isinstance(found, kind)
    assert (found.layers.wanted, found.layers.at_boot.value) == (wanted, wanted)


@pytest.mark.parametrize(("hz", "at_boot"), [(100, "10000000"), (1000, "60"), (None, "60")])
def test_seconds_are_refused_at_boot_beyond_what_the_timer_rate_allows(hz: int | None, at_boot: str) -> None:
    assert judged(rule(FIN_TIMEOUT, "60"), "60", sets("10000000", FIN_TIMEOUT), hz=hz).layers.at_boot.value == at_boot


# Which layer deviates


@pytest.mark.parametrize(
    ("actual", "at_boot", "where"),
    [
        ("128", "4096", Where.RUNTIME),
        ("4096", "128", Where.BOOT),
        ("128", "512", Where.BOTH),
        ("128", "128", Where.BOTH),
    ],
)
def test_a_deviation_says_which_layer_it_is_in(actual: str, at_boot: str, where: Where) -> None:
    found = judged(rule(SOMAXCONN, "4096"), actual, sets(at_boot))

    assert isinstance(found, Deviates)
    assert found.where is where
    assert (found.layers.actual, found.layers.at_boot.value) == (actual, at_boot)
    assert found.layers.wanted == "4096"


def test_what_is_wanted_starts_from_the_value_the_host_has() -> None:
    wanted = Elements(each=(Leave(), Exactly(value="131072"), AtLeast(value="6291456")))

    assert judged(rule(RMEM, wanted), "8192 87380 33554432").layers.wanted == "8192 131072 33554432"


def test_a_rule_that_leaves_a_setting_alone_never_deviates() -> None:
    found = judged(rule(MAX_SYN, Leave()), "7", {FILE: f"{MAX_SYN} = 8\n"})

    assert isinstance(found, Met)
    assert (found.layers.actual, found.layers.at_boot.value) == ("7", "8")


# What cannot be judged


def test_a_setting_this_kernel_lacks_is_not_a_deviation() -> None:
    found = judge(rule(SOMAXCONN), {SOMAXCONN: ABSENT}, kernel="6.12.43+deb13-amd64")

    assert found == NotApplicable(key=SOMAXCONN, why="Linux 6.12.43+deb13-amd64 has no such key here")


def test_a_setting_that_was_removed_is_not_applicable_and_says_since_when() -> None:
    gone = parameter("net.ipv4.tcp_tw_recycle", removed_in="4.12")
    host = facts(sysctl={gone.key: ABSENT})

    assert audit_host(host, profile(rule(gone.key, "0")), {gone.key: gone}).findings == (
        NotApplicable(key=gone.key, why="removed in Linux 4.12"),
    )


def test_a_value_nobody_may_read_is_unknown_and_names_who_asked() -> None:
    found = judge(rule(SOMAXCONN), {SOMAXCONN: UNREADABLE}, user="1000")

    assert found == Unknown(key=SOMAXCONN, why="uid 1000 may not read it on this host")


def test_facts_that_were_collected_without_the_key_are_no_verdict() -> None:
    found = judge(rule(SOMAXCONN), {})

    assert isinstance(found, Unknown)
    assert "collect them again" in found.why


@pytest.mark.parametrize("user", ["0", "1000"])
def test_a_sysctl_file_that_could_not_be_read_leaves_the_boot_unknown(user: str) -> None:
    found = judge(rule(SOMAXCONN, "4096"), {SOMAXCONN: "4096"}, {FILE: None}, user=user)

    assert found == Unknown(key=SOMAXCONN, why=f"what a boot gives is not known: {FILE} cannot be read")


def test_a_folder_that_could_not_be_listed_leaves_the_boot_unknown() -> None:
    found = judge(rule(SOMAXCONN, "4096"), {SOMAXCONN: "4096"}, {"/run/sysctl.d/*.conf": None})

    assert isinstance(found, Unknown)
    assert "/run/sysctl.d/*.conf" in found.why


def test_an_unread_file_does_not_matter_where_a_later_line_decides() -> None:
    found = judged(rule(SOMAXCONN, "4096"), "4096", {FILE: None, f"{ETC}/70-later.conf": f"{SOMAXCONN} = 4096\n"})

    assert isinstance(found, Met)


def test_a_value_of_another_shape_is_unknown_instead_of_an_error() -> None:
    assert isinstance(judge(rule(SOMAXCONN, AtLeast(value="4096")), {SOMAXCONN: "many"}), Unknown)
    assert isinstance(judge(rule(RMEM, Elements(each=(Leave(), Leave()))), {RMEM: "1 2 3"}), Unknown)


def test_a_boot_that_depends_on_the_release_of_procps_says_so() -> None:
    files: dict[str, str | None] = {FILE: "net.ipv4.tcp_fin_* = 30\n-net.ipv4.tcp_*\n"}
    found = judge(rule(FIN_TIMEOUT, Between(low="15", high="60")), {FIN_TIMEOUT: "60"}, files, systemd=False)

    assert isinstance(found, Unknown)
    assert "depends on the release of procps" in found.why


# May it be written


def test_a_read_only_key_seen_by_root_cannot_be_written() -> None:
    found = judge(rule(SOMAXCONN, "4096"), {SOMAXCONN: read_only("128")}, user="0")

    assert isinstance(found, Deviates)
    assert not found.writable


def test_a_login_without_root_learns_nothing_about_what_root_may_write() -> None:
    found = judge(rule(SOMAXCONN, "4096"), {SOMAXCONN: read_only("128")}, user="1000")

    assert isinstance(found, Deviates)
    assert found.writable


def test_a_finding_carries_the_reason_and_the_source_of_its_rule() -> None:
    found = judged(rule(SOMAXCONN, AtMost(value="1"), why="because", source="a book"), "128")

    assert (found.demand, found.why, found.source) == ("at most 1", "because", "a book")


def test_a_host_names_its_deviations_and_its_unknowns() -> None:
    entries = (rule(SOMAXCONN, "4096"), rule(SYNCOOKIES, "1"), rule(FIN_TIMEOUT, "60"), rule(PORTS, "1 2"))
    host = facts(sysctl={SOMAXCONN: "1", SYNCOOKIES: "1", FIN_TIMEOUT: UNREADABLE, PORTS: ABSENT})
    found = audit_host(host, profile(*entries), catalogue())

    assert [f.key for f in found.deviations] == [SOMAXCONN]
    assert [f.key for f in found.unknowns] == [FIN_TIMEOUT]
    assert (found.host, found.kernel) == ("web1", "6.12.0")
