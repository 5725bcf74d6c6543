from __future__ import annotations

import doctest

import pytest

from tcptune.reports import layout
from tcptune.reports.layout import WIDTH, aligned, count, names, visible, wrapped


def test_the_examples_in_the_module_are_true() -> None:
    assert doctest.testmod(layout).failed == 0


def test_columns_are_aligned_and_the_last_one_is_ragged() -> None:
    assert aligned([("a", "bbb", "c"), ("aaa", "b", "cc")]) == ["  a    bbb  c", "  aaa  b    cc"]


def test_a_line_has_no_blanks_at_its_end() -> None:
    assert aligned([("a", "bbb", ""), ("aaa", "b", "cc")])[0] == "  a    bbb"


def test_no_rows_are_no_lines() -> None:
    assert aligned([]) == []


def test_a_long_text_is_wrapped_within_the_width_and_indented() -> None:
    lines = wrapped("word " * 60, indent="      ")

    assert len(lines) > 1
    assert all(line.startswith("      ") and len(line) <= WIDTH for line in lines)


@pytest.mark.parametrize("text", ["plain", "two\nlines", "grüße 日本"])
def test_what_can_be_read_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\r", "\t", "\x00", "\x7f", "\x9b", "\u202e", "\u200b", "\ufeff"])
def test_what_steers_a_terminal_or_cannot_be_seen_is_made_visible(char: str) -> None:
    assert visible(f"a{char}b") == "a\ufffdb"


def test_few_hosts_are_all_named_and_many_are_counted() -> None:
    assert names(["a", "b"], most=2) == "a, b"
    assert names(["a", "b", "c", "d"], most=2) == "a, b and 2 more"


def test_a_noun_follows_its_number() -> None:
    assert [count(n, "host") for n in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]
    assert count(2, "match", "matches") == "2 matches"
