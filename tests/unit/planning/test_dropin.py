from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.planning.dropin import merged, owned
from tests.unit.builders import FIN_TIMEOUT, SOMAXCONN, SYNCOOKIES

SETTINGS = st.dictionaries(
    st.sampled_from([SOMAXCONN, SYNCOOKIES, FIN_TIMEOUT, "net.ipv4.conf.eth0/100.rp_filter"]),
    st.lists(st.integers(0, 2**31).map(str), min_size=1, max_size=3).map(" ".join),
)


def test_a_new_file_says_whose_it_is_and_holds_a_line_a_key() -> None:
    text = merged(None, {SYNCOOKIES: "1", SOMAXCONN: "4096"})

    assert text.startswith("# Written by tcptune")
    assert text.endswith(f"\n{SOMAXCONN} = 4096\n{SYNCOOKIES} = 1\n")


def test_what_an_earlier_run_set_is_kept_and_what_this_one_sets_wins() -> None:
    before = merged(None, {SOMAXCONN: "128", FIN_TIMEOUT: "30"})

    assert owned(merged(before, {SOMAXCONN: "4096"})) == {SOMAXCONN: "4096", FIN_TIMEOUT: "30"}


def test_one_key_in_two_spellings_is_kept_once() -> None:
    assert owned(merged("net/core/somaxconn = 128\n", {SOMAXCONN: "4096"})) == {SOMAXCONN: "4096"}


@pytest.mark.parametrize(
    "line",
    [
        "# a = 1",
        "; net.core.somaxconn = 1",
        "net.core.somaxconn",
        "-net.core.somaxconn",
        "net.core.* = 1",
        " = 1",
        "net.ipv4.tcp_fastopen_key = 0-0-0-0",
    ],
)
def test_a_line_that_is_no_plain_setting_is_not_ours(line: str) -> None:
    assert owned(f"{line}\n{SYNCOOKIES} = 1\n") == {SYNCOOKIES: "1"}


@given(SETTINGS, SETTINGS)
def test_the_file_holds_what_was_set_before_and_what_is_set_now(before: dict[str, str], now: dict[str, str]) -> None:
    text = merged(merged(None, before), now)

    assert owned(text) == {**before, **now}
    assert merged(text, now) == text
