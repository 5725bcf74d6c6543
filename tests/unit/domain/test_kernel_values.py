"""What a kernel stores, in examples. tests/kernel asks a running one."""

from __future__ import annotations

import pytest

from tcptune.domain import strict
from tcptune.domain.kernel_values import Refused, Stored, equal, stored
from tcptune.knowledge.catalogue import catalogue

KERNEL = "6.18"


def held(key: str, text: str, kernel: str = KERNEL, **more: object) -> str | None:
    """Return what is stored, or None for a refusal."""
    verdict = stored(catalogue()[key], text, kernel=kernel, **more)  # type: ignore[arg-type]
    return verdict.text if isinstance(verdict, Stored) else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("128", "128"),
        ("010", "8"),
        ("0x100", "256"),
        ("\t7 ", "7"),
        ("4096 5", "4096"),
        ("4096 # a comment", "4096"),
        ("-0", "0"),
        ("", None),
        ("5s", None),
        ("+5", None),
        ("-1", None),
        ("2147483648", None),
        ("08", None),
        ("00000000000000000005", "5"),
        ("000000000000000000005", None),
    ],
)
def test_an_int_is_read_as_c_reads_it(text: str, value: str | None) -> None:
    assert held("net.core.somaxconn", text) == value


def test_a_byte_takes_no_sign_and_an_older_kernel_took_any_int() -> None:
    assert held("net.ipv4.tcp_window_scaling", "-0") is None
    assert held("net.ipv4.tcp_window_scaling", "256") is None
    assert held("net.ipv4.tcp_window_scaling", "256", kernel="5.4") == "256"
    assert held("net.ipv4.tcp_window_scaling", "-1", kernel="5.4") == "-1"


def test_no_rule_of_ours_lets_pass_a_sign_that_a_byte_refuses() -> None:
    assert held("net.ipv4.tcp_orphan_retries", "-0") is None
    assert strict.mistakes(catalogue()["net.ipv4.tcp_orphan_retries"], "-0")


def test_a_bound_by_another_setting_holds_from_its_release_on() -> None:
    assert held("net.ipv4.tcp_reordering", "301") is None
    assert held("net.ipv4.tcp_reordering", "301", kernel="6.1") == "301"


def test_the_queue_of_an_old_listener_had_sixteen_bits() -> None:
    assert held("net.core.somaxconn", "65536", kernel="4.0") is None
    assert held("net.core.somaxconn", "65536", kernel="4.9") == "65536"


def test_numbers_wrapped_before_linux_5_1() -> None:
    assert held("net.core.somaxconn", str(2**64 + 5), kernel="5.0") == "5"
    assert held("net.core.somaxconn", str(2**64 + 5), kernel="5.1") is None


def test_seconds_are_limited_by_the_timer_rate() -> None:
    assert held("net.ipv4.tcp_fin_timeout", "8589934", hz=250) == "8589934"
    assert held("net.ipv4.tcp_fin_timeout", "8589934", hz=1000) is None
    assert held("net.ipv4.tcp_fin_timeout", "-8589934", hz=250) == "-8589934"
    assert held("net.ipv4.tcp_fin_timeout", "-8589935", hz=250) is None


def test_milliseconds_are_rounded_up_to_a_tick() -> None:
    key = "net.ipv4.tcp_invalid_ratelimit"
    assert held(key, "127", hz=250) == "128"
    assert held(key, "127", hz=1000) == "127"
    assert held(key, "127", hz=100) == "130"
    assert held(key, "4294967296", hz=250) == "0"
    assert equal(catalogue()[key], "127", "128", kernel=KERNEL, hz=250)
    assert not equal(catalogue()[key], "127", "128", kernel=KERNEL, hz=1000)


def test_a_vector_takes_fewer_numbers_and_changes_the_leading_ones() -> None:
    key, now = "net.ipv4.tcp_rmem", "4096 131072 33554432"
    assert held(key, "8192", current=now) == "8192 131072 33554432"
    assert held(key, "9000 8000 7000 6000", current=now) == "9000 8000 7000"
    assert stored(catalogue()[key], "8192", kernel=KERNEL) == Stored(text="8192", whole=False)


def test_a_refused_vector_keeps_what_was_read_before_the_bad_number() -> None:
    verdict = stored(catalogue()["net.ipv4.tcp_rmem"], "8192 abc", kernel=KERNEL, current="4096 131072 33554432")
    assert isinstance(verdict, Refused)
    assert verdict.leaves == "8192 131072 33554432"


def test_a_port_range_is_checked_as_a_whole_and_against_the_unprivileged_start() -> None:
    key, start = "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"
    verdict = stored(catalogue()[key], "40000 abc", kernel=KERNEL, current="32768 60999")
    assert isinstance(verdict, Refused)
    assert verdict.leaves is None
    assert held(key, "60999 32768") is None
    assert held(key, "500 60000") is None
    assert held(key, "500 60000", peers={start: "0"}) == "500 60000"
    assert held(start, "2000", peers={key: "1024 65535"}) is None
    assert held(start, "2000", peers={key: "2000 65535"}) == "2000"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8080,8081,8082,9000", "8080-8082,9000"),
        ("9000,8080", "8080,9000"),
        ("80,80,80-81", "80-81"),
        ("", ""),
        ("80,", "80"),
        ("0x50", "80"),
        ("80 81", None),
        ("81-80", None),
        ("65536", None),
        ("80-", None),
    ],
)
def test_a_port_list_is_folded(text: str, value: str | None) -> None:
    assert held("net.ipv4.ip_local_reserved_ports", text) == value


def test_port_lists_are_equal_as_sets() -> None:
    page = catalogue()["net.ipv4.ip_local_reserved_ports"]
    assert equal(page, "8082,8080-8081", "8080-8082", kernel=KERNEL)


def test_an_algorithm_has_to_be_there_and_to_be_allowed() -> None:
    key = "net.ipv4.tcp_congestion_control"
    peers = {
        "net.ipv4.tcp_available_congestion_control": "reno bbr cubic",
        "net.ipv4.tcp_allowed_congestion_control": "reno bbr",
    }
    verdicts = [
        stored(catalogue()[key], name, kernel=KERNEL, peers=peers, in_child=True) for name in ("nosuch", "cubic")
    ]
    assert [verdict.errno for verdict in verdicts if isinstance(verdict, Refused)] == ["ENOENT", "EPERM"]
    assert held(key, "cubic", peers=peers) == "cubic"
    assert held(key, "bbr") == "bbr"


def test_pages_are_unsigned_longs() -> None:
    assert held("net.ipv4.tcp_mem", "1 2 18446744073709551615") == "1 2 18446744073709551615"
    assert held("net.ipv4.tcp_mem", "1 2 18446744073709551616") is None
    assert held("net.ipv4.tcp_notsent_lowat", "4294967295") == "4294967295"


def test_a_table_is_rounded_up() -> None:
    assert held("net.core.rps_sock_flow_entries", "30000") == "32768"
    assert held("net.core.rps_sock_flow_entries", "0") == "0"


def test_a_read_only_key_takes_nothing() -> None:
    assert held("net.netfilter.nf_conntrack_count", "1") is None
