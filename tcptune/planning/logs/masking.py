"""Lines of a log as examples: short, one line, and without what looks like a secret."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of an example."""
_READ_BYTES = 4096
_HIDDEN = "***"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Query strings carry tokens under any name.
    (re.compile(r"\?[^\s\"'<>]+"), f"?{_HIDDEN}"),
    # user:password@ in a URL, and a password alone.
    (re.compile(r"://[^/\s\"'@]+@"), f"://{_HIDDEN}@"),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-[a-z-]*token)"
            r"(\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\"'\r\n]+"
        ),
        rf"\1\2{_HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {_HIDDEN}"),
    (
        re.compile(
            r"(?i)\b([\w-]{0,32}?(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
            r"|session(?:[_-]?id)?|sid|signature|credentials?))(\\?[\"']?\s*[:=]\s*)(\\?[\"'])?[^\s\"',;&)}]+"
        ),
        rf"\1\2\3{_HIDDEN}",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}"), _HIDDEN),
    (
        re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"),
        _HIDDEN,
    ),
    # Long runs of letters and digits without a sense that a reader would miss: keys, sessions, digests.
    (re.compile(r"(?<![\w/+.-])(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}"), _HIDDEN),
)


def example(line: bytes, at: int = 0) -> str:
    """Return the line as it may be shown: what surrounds the byte `at`, masked before it is cut."""
    start = max(0, min(at - _READ_BYTES // 2, len(line) - _READ_BYTES))
    text = line[start : start + _READ_BYTES].decode("utf-8", errors="replace").strip()
    if start:
        # A secret may begin before the window: the first word of it is not shown.
        text = text.partition(" ")[2] or _HIDDEN
    text = masked(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def masked(text: str) -> str:
    """Return the text with what looks like a secret replaced.

    >>> masked("GET /a?token=1 http://bob:pw@db/ Authorization: Bearer abcdefgh")
    'GET /a?*** http://***@db/ Authorization: ***'
    """
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
