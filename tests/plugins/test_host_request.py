"""What is asked of a host, before the host is looked at."""

from __future__ import annotations

import pytest
from fake_host import DROPIN, asking, dropin
from module_utils.errors import Refused
from module_utils.request import mistake_in


def test_settings_keep_their_order_and_get_one_spelling():
    made = asking({"net/ipv4/tcp_rmem": "4096\t131072  6291456", "net.core.somaxconn": 128})

    assert list(made.settings.items()) == [("net.ipv4.tcp_rmem", "4096 131072 6291456"), ("net.core.somaxconn", "128")]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (True, "YAML boolean"),
        (False, "YAML boolean"),
        (None, "NoneType, not text"),
        (1.5, "float, not text"),
        ([1, 2, 3], "list, not text"),
        ('"4096 1 2"', "a character the kernel cannot take"),
        ("1\0", "a character the kernel cannot take"),
    ],
)
@pytest.mark.parametrize("where", ["settings", "before"])
def test_a_value_that_no_kernel_prints_is_refused(value, why, where):
    given = {"settings": {"net.core.somaxconn": "1"}, where: {"net.core.somaxconn": value}}
    with pytest.raises(Refused, match=why):
        asking(**given)


def test_an_empty_value_is_refused_but_for_a_list():
    with pytest.raises(Refused, match="no value"):
        asking({"net.core.somaxconn": ""})
    assert asking({"net.ipv4.ip_local_reserved_ports": ""}).settings == {"net.ipv4.ip_local_reserved_ports": ""}


def test_one_setting_in_two_spellings_is_refused():
    with pytest.raises(Refused, match="given twice"):
        asking({"net.core.somaxconn": "1", "net/core/somaxconn": "2"})


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/sysctl.conf", "/etc/sysctl.d/99-sysctl.conf", "/etc/sysctl.d/tcptune.conf", ""),
        *("/usr/lib/sysctl.d/99-tcptune.conf", "etc/sysctl.d/99-tcptune.conf", "/etc/sysctl.d/x99-tcptune.conf"),
        *("/etc/sysctl.d/99-tcptune.conf\n", "/etc/sysctl.d/99-tcptune.conf.bak"),
        *("/etc/sysctl.d/99-tcptune/../x.conf", "/etc/sysctl.d/../sysctl.d/99-tcptune.conf"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(path):
    with pytest.raises(Refused, match="not ours"):
        asking(files=[dropin(path=path)])


@pytest.mark.parametrize("path", [DROPIN, "/etc/sysctl.d/00-tcptune.conf", "/etc/sysctl.d/99-tcptune-limits.conf"])
def test_our_own_files_are_accepted(path):
    assert asking(files=[dropin(path=path)]).files[0].path == path


@pytest.mark.parametrize("digest", ["", "ABSENT", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_a_digest_that_is_none_is_refused(digest):
    with pytest.raises(Refused, match="before_sha256"):
        asking(files=[dropin(before_sha256=digest)])


def test_a_file_given_twice_is_refused():
    with pytest.raises(Refused, match="given twice"):
        asking(files=[dropin(), dropin()])


@pytest.mark.parametrize("run", ["", ".", "..", "../x", "a/b", "-x", "a b", "x\n", "a" * 65, "é"])
def test_an_id_that_cannot_name_a_folder_is_refused(run):
    with pytest.raises(Refused, match="id of a run"):
        asking(run=run)


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(Refused) as caught:
        asking({"net.core.somaxconn": True, "x": "1", "net.ipv4.tcp_rmem": ""}, files=[dropin(path="/etc/passwd")])

    assert [problem["key"] for problem in [caught.value.as_dict(), *caught.value.as_dict()["also"]]] == [
        "net.core.somaxconn",
        "x",
        "net.ipv4.tcp_rmem",
        "/etc/passwd",
    ]


def test_the_digest_covers_order_preconditions_and_bytes_but_not_the_id():
    settings = {"net.core.somaxconn": "1", "net.ipv4.tcp_congestion_control": "bbr"}
    first = asking(settings, files=[dropin("a")])

    assert asking(settings, files=[dropin("a")], run="another").sha256 == first.sha256
    different = [
        asking(dict(reversed(settings.items())), files=[dropin("a")]),
        asking(settings, {"net.core.somaxconn": "2"}, [dropin("a")]),
        asking(settings, files=[dropin("b")]),
        asking(settings, files=[dropin("a", before_sha256="absent")]),
        asking(settings),
    ]
    assert len({first.sha256, *(one.sha256 for one in different)}) == 1 + len(different)


@pytest.mark.parametrize(
    ("key", "wanted", "actual", "mistake"),
    [
        ("net.ipv4.tcp_rmem", "4096 131072", "1 2 3", "takes 3 numbers, this has 2"),
        ("net.ipv4.tcp_rmem", "4096 131072 6291456 1", "1 2 3", "takes 3 numbers, this has 4"),
        ("net.core.somaxconn", "128 5", "4096", "takes 1 number, this has 2"),
        ("net.core.somaxconn", "010", "4096", "plain decimal numbers, not 010"),
        ("net.core.somaxconn", "0x10", "4096", "plain decimal numbers, not 0x10"),
        ("net.ipv4.tcp_keepalive_time", "5s", "7200", "plain decimal numbers, not 5s"),
        ("net.ipv4.ip_local_reserved_ports", "1," * 2047 + "1", "", "takes at most 4094 characters at once"),
        ("net.ipv4.ip_local_reserved_ports", "", "1," * 2047 + "1", "takes at most 4094 characters at once"),
        ("net.ipv4.ip_local_reserved_ports", "1," * 2046 + "22", "", None),
        ("net.core.somaxconn", "-1", "4096", None),
        ("net.core.somaxconn", "0", "4096", None),
        ("net.ipv4.tcp_congestion_control", "bbr", "cubic", None),
        ("net.ipv4.ip_local_reserved_ports", "80-90,100", "8080", None),
        ("net.ipv4.ip_local_reserved_ports", "8080", "", None),
    ],
)
def test_a_value_that_the_kernel_would_silently_misread_is_named(key, wanted, actual, mistake):
    found = mistake_in(key, wanted, actual)

    assert found is None if mistake is None else mistake in found
