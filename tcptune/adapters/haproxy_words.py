"""The words of a line of an HAProxy configuration: quotes, escapes, comments, and variables of the environment.

Source: HAProxy configuration manual, 2.2 and 2.3; compared with what HAProxy 2.6.12 takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLANKS = " \t\r\v\f"
_SPECIAL = re.compile(r"""["'\\]""")
_PLAIN = re.compile(r"""[^"'\\# \t\r\v\f]+""")
_WEAK = re.compile(r"""[^"\\$]+""")
_ESCAPE = re.compile(r"x([0-9A-Fa-f]{2})|([nrt])|([ \\\"'#$])")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_VARIABLE = "\0"
"""Stands before each $ that HAProxy takes for a variable. It refuses files with such a character in them."""


def words(line: str) -> list[str]:
    r"""Split a line as HAProxy does: # begins a comment wherever it is not quoted. Raises ValueError.

    >>> words(r"timeout 'http-keep-alive' \x33s # short")
    ['timeout', 'http-keep-alive', '3s']
    """
    line = line.replace(_VARIABLE, "\N{REPLACEMENT CHARACTER}")
    if _SPECIAL.search(line) is None:
        return _PLAIN.findall(line.partition("#")[0])
    found: list[str] = []
    open_word = False
    for piece in _pieces(line):
        if piece is None:
            open_word = False
        elif open_word:
            found[-1] += piece
        else:
            found.append(piece)
            open_word = True
    return found


def of_environment(word: str) -> bool:
    """Say whether a word depends on the environment in which HAProxy is started: $ counts in double quotes alone."""
    return _VARIABLE in word


def shown(word: str) -> str:
    """Return a word as the file has it."""
    return word.replace(_VARIABLE, "")


def _pieces(line: str) -> Iterator[str | None]:
    """Yield the parts of words, and None wherever a word ends."""
    at = 0
    while at < len(line) and line[at] != "#":
        character = line[at]
        if character in _BLANKS:
            yield None
            at += 1
        elif character == "'":
            end = line.find("'", at + 1)
            if end < 0:
                raise ValueError("a quote has no end")
            yield line[at + 1 : end]
            at = end + 1
        elif character == '"':
            text, at = _weak(line, at + 1)
            yield text
        elif character == "\\":
            text, at = _escaped(line, at + 1)
            yield text
        else:
            end = _end(_PLAIN, line, at)
            yield line[at:end]
            at = end


def _weak(line: str, at: int) -> tuple[str, int]:
    """Return what stands in double quotes from a place on, and where it goes on behind them."""
    parts: list[str] = []
    while at < len(line):
        character = line[at]
        if character == '"':
            return "".join(parts), at + 1
        if character == "\\":
            text, at = _escaped(line, at + 1)
        elif character == "$":
            text, at = f"{_VARIABLE}$", at + 1
        else:
            end = _end(_WEAK, line, at)
            text, at = line[at:end], end
        parts.append(text)
    raise ValueError("a quote has no end")


def _escaped(line: str, at: int) -> tuple[str, int]:
    """Return what a backslash before a place makes of it, and where it goes on."""
    found = _ESCAPE.match(line, at)
    if found is None:
        if line.startswith("x", at):
            raise ValueError(r"two hexadecimal digits belong behind \x")
        return "\\", at  # before anything else it stands for itself, as in regular expressions
    if found[1]:
        return chr(int(found[1], 16)).replace(_VARIABLE, "\N{REPLACEMENT CHARACTER}"), found.end()
    return _LETTERS.get(found[2] or "", found[3] or ""), found.end()


def _end(pattern: re.Pattern[str], line: str, at: int) -> int:
    found = pattern.match(line, at)
    return found.end() if found else at + 1
