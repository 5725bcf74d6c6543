"""One setting: its name, its value, and what the kernel makes of a write."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from module_utils.errors import Refused
from module_utils.kernel import canonical, made_of, relative_path, same

PORTS = "net.ipv4.ip_local_reserved_ports"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net/core/somaxconn"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
    ],
)
def test_the_first_separator_decides_what_a_dot_means(key, path):
    assert relative_path(key) == path


def test_two_spellings_of_one_setting_have_one_canonical_name():
    assert canonical("net/ipv4/conf/eth0.100/rp_filter") == canonical("net.ipv4.conf.eth0/100.rp_filter")
    assert canonical("net/core/somaxconn") == "net.core.somaxconn"


@pytest.mark.parametrize(
    "key",
    [
        *("", "somaxconn", "net..core", ".net.core", "net.core.", "/net/core"),
        *("net/../../etc/passwd", "net.//.x", "net/./x"),
        *("net.core.somax conn", "net.core.somaxconn\n", "net.core.a;b", "net.core.$x", "net.core.\0x"),
    ],
)
def test_what_cannot_name_a_setting_is_refused(key):
    with pytest.raises(Refused, match="no kernel setting"):
        relative_path(key)


@pytest.mark.parametrize(
    "key", ["net.ipv4.tcp_fastopen_key", "net/ipv4/tcp_fastopen_key", "net.ipv6.conf.all.stable_secret"]
)
def test_a_secret_is_refused_by_name_before_it_is_read(fake, key):
    fake.kernel._get = lambda path: pytest.fail(f"read {path}")
    with pytest.raises(Refused, match="secret"):
        fake.kernel.read(key)
    with pytest.raises(Refused, match="secret"):
        fake.kernel.write(key, "1")


def test_a_read_tells_a_value_from_an_absent_and_a_forbidden_setting(fake):
    fake.kernel.secret.add("net.core.somaxconn")

    assert fake.kernel.read("net.ipv4.tcp_rmem") == ("value", "4096 131072 6291456", "")
    assert fake.kernel.read("net.core.somaxconn").state == "forbidden"
    for absent in ("net.core.nosuch", "net.core", "net.core.somaxconn.more"):
        assert fake.kernel.read(absent).state == "absent"


def test_an_empty_value_is_a_value(fake):
    assert fake.kernel.read(PORTS) == ("value", "", "")


def test_a_write_is_read_back_also_when_it_is_refused(fake):
    fake.kernel.refused["net.ipv4.tcp_rmem", "4096 9 x"] = (errno.EINVAL, "4096 9 6291456")

    written = fake.kernel.write("net.ipv4.tcp_rmem", "4096 9 x")

    assert not written.ok
    assert written.error.errno == errno.EINVAL
    assert written.found.text == "4096 9 6291456"


def test_a_write_that_the_kernel_takes_but_does_not_show_is_not_ok(fake):
    fake.kernel._put = lambda *_: None
    written = fake.kernel.write("net.core.somaxconn", "1")

    assert written.error is None
    assert not written.ok


def test_a_refused_write_is_not_ok_even_if_the_value_is_there_already(fake):
    fake.kernel.refused["net.core.somaxconn", "4096"] = (errno.EPERM, None)

    assert not fake.kernel.write("net.core.somaxconn", "4096").ok


def test_a_value_is_written_in_one_piece(fake, monkeypatch):
    calls = []
    monkeypatch.setattr("module_utils.kernel.os.write", lambda _, data: calls.append(data))
    fake.kernel.write("net.ipv4.tcp_rmem", "4096 131072 6291456")

    assert calls == [b"4096 131072 6291456\n"]


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("net.ipv4.tcp_rmem", "4096 131072\t6291456", " 4096\t131072 6291456\n"),
        (PORTS, "8080,8081,8082,9000", "8080-8082,9000"),
        (PORTS, "9000,8080-8081", "8080,8081,9000"),
        ("net.ipv4.tcp_allowed_congestion_control", "bbr reno", "reno bbr"),
        ("net.core.rps_default_mask", "3", "00000000,00000003"),
    ],
)
def test_values_that_mean_the_same_to_the_kernel_are_the_same(key, one, other):
    assert same(key, one, other)
    assert same(key, other, one)


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("net.ipv4.tcp_rmem", "4096 131072 6291456", "4096 131072"),
        ("net.core.somaxconn", "128", "0128"),
        ("net.ipv4.tcp_congestion_control", "bbr", "cubic"),
        (PORTS, "8080-8082", "8080,8082"),
        (PORTS, "8080", "http"),
        (PORTS, "1-99999999999", "1-99999999998"),
        # The order of names matters nowhere else.
        ("net.ipv4.tcp_rmem", "1 2 3", "3 2 1"),
    ],
)
def test_values_that_differ_to_the_kernel_differ(key, one, other):
    assert not same(key, one, other)


@given(st.sets(st.integers(0, 65535), max_size=40), st.sets(st.integers(0, 65535), max_size=40))
def test_a_list_of_ports_equals_its_folded_form_and_no_other_list(ports, others):
    assert same(PORTS, ",".join(str(port) for port in ports), folded(ports))
    assert same(PORTS, folded(ports), folded(others)) == (ports == others)


def test_a_vector_that_was_cut_short_is_recognised_as_ours():
    before, after = "4096 131072 6291456", "8192 262144 16777216"

    for ours in (before, after, "8192 131072 6291456", "8192 262144 6291456"):
        assert made_of("net.ipv4.tcp_rmem", ours, before, after)
    for foreign in ("8192 262145 6291456", "8192 262144", "8192 262144 6291456 1"):
        assert not made_of("net.ipv4.tcp_rmem", foreign, before, after)
    assert not made_of("net.core.somaxconn", "5", "4096", "1024")
    assert not made_of(PORTS, "", "80", "81")


def folded(ports):
    """Write ports as the kernel prints them."""
    runs = []
    for port in sorted(ports):
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
