from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.yaml_source import Document, Mistake, Place
from tests.fuzz.examples import fuzz

TEXT = """\
profile: web
settings:
  net.core.somaxconn:
    exactly: 4096
  net.ipv4.tcp_rmem:
    elements: [{at_least: 1}, leave,
      {at_most: 9}]
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 1, 1),
        (("profile",), 1, 1),
        (("settings", "net.core.somaxconn"), 3, 3),
        (("settings", "net.core.somaxconn", "exactly"), 4, 5),
        (("settings", "net.ipv4.tcp_rmem", "elements", 0), 6, 16),
        (("settings", "net.ipv4.tcp_rmem", "elements", 0, "at_least"), 6, 17),
        (("settings", "net.ipv4.tcp_rmem", "elements", 1), 6, 31),
        (("settings", "net.ipv4.tcp_rmem", "elements", 2, "at_most"), 7, 8),
    ],
)
def test_everything_knows_its_place(path: tuple[Any, ...], line: int, column: int) -> None:
    assert Document(TEXT).place(path) == Place(line, column)


def test_what_is_missing_is_placed_at_the_nearest_thing_above_it() -> None:
    document = Document(TEXT)

    assert document.place(("settings", "net.core.somaxconn", "why")) == Place(3, 3)
    assert document.place(("nothing", "here")) == Place(1, 1)


@pytest.mark.parametrize(
    ("yaml", "data"),
    [
        ("a: 4096", "4096"),
        ("a: 010", "010"),
        ("a: 0x10", "0x10"),
        ("a: 1e3", "1e3"),
        ("a: 1_000", "1_000"),
        ("a: 2026-03-14", "2026-03-14"),
        ("a: 4096 131072", "4096 131072"),
        ("a: 'true'", "true"),
        ('a: "no"', "no"),
        ("a: true", True),
        ("a: False", False),
        ("a: yes", True),
        ("a: NO", False),
        ("a: On", True),
        ("a: off", False),
        ("a:", None),
        ("a: ~", None),
        ("a: null", None),
        ("a: 'null'", "null"),
        ("a: ''", ""),
        ("a: >-\n  one\n  two\n", "one two"),
        ("a: [1, yes, '2']", ["1", True, "2"]),
        ("a: {b: 1}", {"b": "1"}),
    ],
)
def test_a_scalar_stays_the_text_that_was_written_but_for_booleans_and_null(yaml: str, data: object) -> None:
    assert Document(yaml).data == {"a": data}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_document_is_readable_and_holds_nothing(text: str) -> None:
    document = Document(text)

    assert document.readable
    assert document.data is None or document.data == ""


def test_a_key_that_stands_twice_is_a_mistake_and_the_rest_is_still_read() -> None:
    document = Document("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")

    assert document.readable
    assert document.mistakes == [
        Mistake(Place(4, 3), "'c' stands twice, first in line 3"),
        Mistake(Place(5, 1), "'a' stands twice, first in line 1"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\n\tb: 2\n", 2),
        ("a: [1, 2\nb: 3\n", 2),
        ("a: 'open\n", 2),
        ("a: 1\n b: 2\n", 2),
        ("a: b: c\n", 1),
        ("a: *nowhere\n", 1),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: \x07\n", 1),
        ("%YAML 9.9 x\n---\na: 1\n", 1),
    ],
)
def test_what_is_no_yaml_is_one_mistake_with_its_line(text: str, line: int) -> None:
    document = Document(text)

    assert not document.readable
    [mistake] = document.mistakes
    assert mistake.message.startswith("this is no YAML: ")
    assert "\n" not in mistake.message
    assert mistake.place.line == line


def test_what_is_no_yaml_is_placed_where_it_stops_making_sense() -> None:
    [mistake] = Document("a: 1\nb: [1, *nowhere]\n").mistakes

    assert mistake.place == Place(2, 8)


@pytest.mark.parametrize("text", ["a: &x [*x]", "&x a: {b: &y {c: *y}}"])
def test_a_value_that_holds_itself_is_a_mistake_instead_of_a_crash(text: str) -> None:
    assert Document(text).mistakes


@pytest.mark.parametrize("text", ["? [a, b]\n: c\n", "? {a: b}\n: c\n"])
def test_a_key_that_is_no_word_is_a_mistake_in_words(text: str) -> None:
    document = Document(text)

    assert document.mistakes
    assert "Node(" not in str(document.data) + document.mistakes[0].message


@fuzz(100)
@given(st.text(st.sampled_from("ab:-[]{}?&*!|>'\"%@`#, \n\t0")))
def test_no_text_makes_the_reader_crash(text: str) -> None:
    document = Document(text)

    assert document.readable or document.mistakes
