from __future__ import annotations

import ctypes
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tcptune.planning.boot_globs import braced, expansion, matches

LIBC = ctypes.CDLL(None)
GLOB_BRACE = 1 << 10
NAMES = ["".join(chars) for size in (1, 2) for chars in itertools.product("ab,-{}", repeat=size)]


class GlobT(ctypes.Structure):
    _fields_ = (
        ("pathc", ctypes.c_size_t),
        ("pathv", ctypes.POINTER(ctypes.c_char_p)),
        ("offs", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("functions", ctypes.c_void_p * 5),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("names")
    for name in NAMES:
        (folder / name).touch()
    here = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(here)


def glibc_finds(pattern: str) -> set[str]:
    found = GlobT()
    LIBC.glob(pattern.encode(), GLOB_BRACE, None, ctypes.byref(found))
    names = {found.pathv[at].decode() for at in range(found.pathc)}
    LIBC.globfree(ctypes.byref(found))
    return names


BRACKETS = st.builds(
    "[{}{}{}]".format,
    st.sampled_from(["", "!", "^"]),
    st.sampled_from(["", "]"]),
    st.lists(
        st.sampled_from(
            ["a", "b", "z", "*", "?", "a-c", "z-a", "\\]", "\\a", "[", "[:alpha:]", "[:digit:]", "[:punct:]"]
        ),
        min_size=1,
        max_size=3,
    ).map("".join),
)
PATTERNS = st.lists(st.one_of(st.sampled_from([*"ab/-]!^{,", "*", "?", "\\*", "\\a"]), BRACKETS), max_size=4).map(
    "".join
)


# An unterminated bracket is left out: what it matches depends on how far glibc had to look. No key needs one.
@settings(derandomize=True, deadline=None, max_examples=2000)
@given(PATTERNS, st.text("abz7-]![^\\/*", max_size=4))
@example("[[:alpha:]]", "b")
@example("[^[:digit:]]", "7")
@example("[!]]", "]")
@example("a\\", "a\\")
def test_a_pattern_matches_what_it_matches_in_glibc(pattern: str, text: str) -> None:
    assert matches(pattern, text) == (LIBC.fnmatch(pattern.encode(), text.encode(), 0) == 0)


@pytest.mark.usefixtures("folder")
@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.text("ab,-{}{}*[]\\", max_size=9))
def test_braces_and_patterns_find_what_they_find_in_glibc(pattern: str) -> None:
    ours = {name for name in NAMES for plain in braced(pattern) if expansion(plain, name) is not None}

    assert ours == glibc_finds(pattern)
