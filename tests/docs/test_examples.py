"""What runs the examples can tell a wrong page from a right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.examples import Command, blocks, commands, difference, run_page

PAGE = """\
Text.

```yaml title="a.yml"
key: value
```

```console
$ first --option  # exits 10
one
...
three
$ second

$ third
```
"""

REPORT = """\
  web2: applying
  web1: applying
Run 20260302-093000-1a2b3c  profile baseline  plan fe17120d9ae9
  by ops@controller, tcptune 0.1.0, started 2026-03-02 09:30:00 UTC, ended 09:30:02
"""


def test_a_page_is_taken_apart() -> None:
    file, console = blocks(PAGE)

    assert (file.title, file.text, file.line) == ("a.yml", "key: value\n", 4)
    assert list(commands(console)) == [
        Command(8, "first --option", 10, ("one", "...", "three")),
        Command(12, "second", 0, ()),
        Command(14, "third", 0, ()),
    ]


def test_a_block_without_an_end_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="line 1: this block never ends"):
        list(blocks("```console\n$ ls\n"))


def test_output_without_a_command_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="line 2: a console block begins with a command"):
        list(commands(*blocks("```console\nls\n```\n")))


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (("one", "two"), "one\ntwo\n"),
        (("one", "...", "four"), "one\ntwo\nthree\nfour\n"),
        (("one", "...", "two"), "one\ntwo\n"),
        (("read ... hosts",), "read 3 hosts\n"),
        (("trailing",), "trailing  \n\n"),
    ],
)
def test_what_a_page_shows_is_found_in_what_is_said(shown: tuple[str, ...], said: str) -> None:
    assert difference(shown, said) is None


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (("one", "two"), "one\n"),
        (("one",), "one\ntwo\n"),
        (("one", "..."), "two\none\n"),
        (("...", "four"), "one\nfour\nfive\n"),
        (("read ... hosts",), "read 3 host\n"),
        (("a.b",), "axb\n"),
    ],
)
def test_what_a_page_shows_and_is_not_said_is_a_difference(shown: tuple[str, ...], said: str) -> None:
    assert difference(shown, said)


def test_ids_times_and_the_order_of_progress_may_differ() -> None:
    later = (
        REPORT.replace("20260302-093000-1a2b3c", "20270405-101500-ffeedd")
        .replace("fe17120d9ae9", "0123456789ab")
        .replace("2026-03-02 09:30:00", "2027-04-05 10:15:00")
        .replace("09:30:02", "10:15:09")
        .replace("ops@controller", "root@machine")
    )
    swapped = later.replace("web2: ", "web0: ").replace("web1: ", "web2: ").replace("web0: ", "web1: ")

    assert difference(tuple(REPORT.splitlines()), swapped) is None
    assert difference(tuple(REPORT.splitlines()), swapped.replace("baseline", "web-frontend"))
    assert difference(tuple(REPORT.splitlines()), swapped.replace("web1: applying", "web1: held"))


def test_commands_share_a_shell_and_end_at_the_first_surprise(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    page = """\
```yaml title="a.yml"
key: value
```

```console
$ mkdir sub && cd sub
$ false  # exits 1
$ pwd; cat ../a.yml
$ false
$ pwd
```
"""
    [file, console] = blocks(page)

    done = run_page([file, *commands(console)], folder, {"PATH": "/usr/bin:/bin"})

    assert [code for _, code, _ in done] == [0, 1, 0, 1, None]
    assert done[2][2] == f"{folder}/sub\nkey: value\n"


def test_a_time_of_the_next_day_has_its_date() -> None:
    assert difference(("held until 23:59:18Z",), "held until 2026-11-22 00:03:18Z\n") is None
