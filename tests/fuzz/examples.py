"""How many examples are tried, for how long each, and how a real text is changed into one that nobody wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONGEST = timedelta(seconds=10)
"""For one example: none takes a tenth of a second, on a machine that has nothing else to do."""

_TEXTS = (
    *("0", "-1", "18446744073709551616", "9" * 400, "9" * 5000, "1e999", "NaN", "Infinity", "0x7f", "010", "1_0", "٣"),
    *("\n", "\r\n", "\t", " ", "\0", "\ufeff", "\u2028", "\x1b[2J", '"', "'", "\\", "{", "}", "[" * 300, "]", ":"),
    *(": ", "- ", "&a ", "*a", "!!python/object:os.system ", "{{ 1 }}", "null", "true", "@tcptune done", "@tcptune x"),
    *("2026-13-45T99:99:99Z", "10000-01-01", "://", "%", "$(id)", "/", "..", "x" * 3000),
)
SURPRISES = (*(text.encode() for text in _TEXTS), b"\xff\xfe", b"\xc3", b"\xed\xa0\x80")
"""What breaks readers: numbers without end, ends of lines, signs of YAML and JSON, halves of characters."""

Edit = tuple[str, int, int, bytes]

EDITS: st.SearchStrategy[list[Edit]] = st.lists(
    st.tuples(
        st.sampled_from(["put", "replace", "drop", "double", "move", "cut"]),
        st.integers(0, 1 << 20),
        st.integers(0, 60),
        st.sampled_from(SURPRISES) | st.binary(max_size=8),
    ),
    max_size=8,
)


def fuzz(examples: int) -> settings:
    """Return settings for so many examples, or for TCPTUNE_FUZZ of them where that is more."""
    asked = int(os.environ.get("TCPTUNE_FUZZ", "0"))
    return settings(
        max_examples=max(examples, asked),
        deadline=LONGEST,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )


def changed(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return real texts with up to eight changes each."""
    return st.tuples(st.sampled_from(seeds), EDITS).map(lambda drawn: edited(*drawn))


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """Return the bytes after all edits."""
    for what, where, size, token in edits:
        at = where % (len(data) + 1)
        span = data[at : at + size]
        if what == "put":
            data = data[:at] + token + data[at:]
        elif what == "replace":
            data = data[:at] + token + data[at + size :]
        elif what == "drop":
            data = data[:at] + data[at + size :]
        elif what == "double":
            data = data[: at + size] + span * 3 + data[at + size :]
        elif what == "move":
            data = data[at + size :] + span + data[:at]
        else:
            data = data[:at]
    return data


@contextmanager
def only(error: type[Exception], *names: str) -> Iterator[None]:
    """Let an error of that kind pass that says which file or host it is about, and nothing else."""
    try:
        yield
    except error as problem:
        if not any(name in str(problem) for name in names):
            raise
