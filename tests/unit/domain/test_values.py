from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tcptune.domain.facts import Value
from tcptune.domain.values import kernel_text, key_path, numbers, sysctl_key

WORD = st.text("abcXYZ019_-", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("written", "kernel"),
    [
        ("4096\t131072  6291456\n", "4096 131072 6291456"),
        (4096, "4096"),
        ([4096, "131072", 6291456], "4096 131072 6291456"),
        (("32768", "60999"), "32768 60999"),
        ("  ", ""),
    ],
)
def test_a_value_becomes_the_text_the_kernel_would_print(written: object, kernel: str) -> None:
    assert kernel_text(written) == kernel


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (True, "no booleans"),
        (False, "no booleans"),
        ([4096, True], "no booleans"),
        (None, "missing"),
        ([None], "missing"),
        ({"low": 1}, "not a mapping"),
    ],
)
def test_what_the_kernel_has_no_word_for_is_refused(written: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        kernel_text(written)


@given(st.text())
def test_settling_a_text_twice_changes_nothing_more(text: str) -> None:
    assert kernel_text(kernel_text(text)) == kernel_text(text)


@pytest.mark.parametrize(
    "written",
    [
        "net.ipv4.conf.eth0/100.rp_filter",
        "net/ipv4/conf/eth0.100/rp_filter",
        "  net/ipv4/conf/eth0.100/rp_filter\n",
    ],
)
def test_both_spellings_of_a_vlan_key_are_one_key(written: str) -> None:
    assert sysctl_key(written) == "net.ipv4.conf.eth0/100.rp_filter"
    assert key_path(sysctl_key(written)) == "net/ipv4/conf/eth0.100/rp_filter"


@pytest.mark.parametrize("key", ["net.core.somaxconn", "net.ipv4.conf.br-lan.rp_filter", "net.ipv4.conf.eth0:1.mtu"])
def test_a_dotted_key_stays_as_it_is(key: str) -> None:
    assert sysctl_key(key) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "somaxconn",
        ".",
        "/",
        "net..core",
        "net.core.",
        ".net.core",
        "/net/core",
        "net/../../etc/passwd",
        "net//core",
        "net.core.*",
        "net.core.a b",
        "net.core.a\nb",
        "net.core.a=1",
        "net.core.$(id)",
        "net.core.é",
        "-net.core.a;id",
    ],
)
def test_what_names_no_file_below_proc_sys_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="not a sysctl key"):
        sysctl_key(text)


@pytest.mark.parametrize(
    "key",
    [
        "net.ipv4.tcp_fastopen_key",
        "net/ipv4/tcp_fastopen_key",
        "net.ipv4/tcp_fastopen_key",
        "net.ipv6.conf.all.stable_secret",
        "net/ipv6/conf/eth0.100/stable_secret",
    ],
)
def test_a_secret_is_no_key_in_any_spelling(key: str) -> None:
    with pytest.raises(ValueError, match="is a secret"):
        sysctl_key(key)


def test_a_key_that_only_sounds_like_a_secret_is_one() -> None:
    assert sysctl_key("net.ipv4.tcp_fastopen_keys") == "net.ipv4.tcp_fastopen_keys"


@given(st.lists(WORD, min_size=2, max_size=5), st.sampled_from("./"))
def test_a_key_settled_twice_is_the_same_key(words: list[str], separator: str) -> None:
    key = sysctl_key(separator.join(words))

    assert sysctl_key(key) == key
    assert sysctl_key(key_path(key)) == key


@pytest.mark.parametrize(
    ("text", "found"),
    [("4096 131072 6291456", (4096, 131072, 6291456)), ("-1", (-1,)), ("cubic", None), ("1 x", None), ("0x10", None)],
)
def test_numbers_are_all_decimal_or_none(text: str, found: tuple[int, ...] | None) -> None:
    assert numbers(text) == found


def test_a_domain_value_is_frozen_and_refuses_what_it_does_not_know() -> None:
    value = Value(text="1", writable=True)

    with pytest.raises(ValidationError, match="frozen"):
        value.text = "2"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        Value(text="1", writable=True, colour="red")  # type: ignore[call-arg]
