"""Shell patterns as glibc's glob(3) and fnmatch(3) read them. Python's fnmatch knows no escapes, classes or braces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_NEVER = "(?!)"
_MAGIC = re.compile(r"[*?\[]")
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


def is_glob(text: str) -> bool:
    """Say whether both loaders take `text` for a pattern. Braces alone do not make one."""
    return _MAGIC.search(text) is not None


def matches(pattern: str, text: str) -> bool:
    """Match as fnmatch(3) without flags: a star crosses slashes."""
    return _compiled(pattern).fullmatch(text) is not None


def expansion(pattern: str, path: str) -> str | None:
    """Return `path` as glob(3) would spell it when it finds it by `pattern`, or None where it does not match.

    >>> expansion("net//ipv4/conf/*/rp_filter", "net/ipv4/conf/all/rp_filter")
    'net//ipv4/conf/all/rp_filter'
    """
    rest = path.split("/")
    spelled = []
    for part in pattern.split("/"):
        if part in {"", "."}:
            spelled.append(part)
        elif rest and matches(part, rest[0]):
            spelled.append(rest.pop(0))
        else:
            return None
    if rest or spelled[-1] in {"", "."}:
        return None
    return "/".join(spelled)


def braced(pattern: str) -> Iterator[str]:
    """Spell out {a,b} as glob(3) does with GLOB_BRACE. A brace that never closes is an ordinary character."""
    start = _find(pattern, 0, "{")
    ends = list(_ends(pattern, start + 1)) if start is not None else []
    if start is None or not ends or pattern[ends[-1]] != "}":
        yield pattern
        return
    for begin, end in zip([start, *ends], ends, strict=False):
        yield from braced(pattern[:start] + pattern[begin + 1 : end] + pattern[ends[-1] + 1 :])


def _ends(pattern: str, at: int) -> Iterator[int]:
    """Yield where each alternative of a brace ends: at its commas, then at the closing brace."""
    depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif char == "}" or (char == "," and not depth):
            yield at
            if char == "}":
                return
        at += 1


def _find(pattern: str, at: int, wanted: str) -> int | None:
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == wanted:
            return at
        at += 1
    return None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[":
            expression, at = _bracket(pattern, at)
            out.append(expression)
        elif char == "\\":
            out.append(re.escape(pattern[at]) if at < len(pattern) else _NEVER)
            at += 1
        else:
            out.append(re.escape(char))
    return re.compile("".join(out), re.DOTALL)


def _bracket(pattern: str, start: int) -> tuple[str, int]:
    """Translate what follows a '[' into an expression, and say where it ends. Without a ']' it is a plain '['."""
    at = start
    negated = pattern[at : at + 1] in {"!", "^"}
    at += negated
    first = at
    items = []
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if named := re.compile(r"\[:([a-z]+):\]").match(pattern, at):
            items.append(_CLASSES.get(named[1], ""))
            at = named.end()
            continue
        low, at = _literal(pattern, at)
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in {"", "]"}:
            high, at = _literal(pattern, at + 1)
            items.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
        else:
            items.append(re.escape(low))
    if at >= len(pattern):
        return re.escape("["), start
    if any(items):
        return f"[{'^' if negated else ''}{''.join(items)}]", at + 1
    return ("." if negated else _NEVER), at + 1


def _literal(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    return pattern[at], at + 1
