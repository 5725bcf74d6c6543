"""Lists of ports as the kernel prints them: 8080-8082,9000."""

from __future__ import annotations

from collections.abc import Iterable


def ports(text: str) -> frozenset[int]:
    """Return the ports of a list such as '8080,9000-9010'. Raises ValueError for anything else."""
    found: set[int] = set()
    for part in map(str.strip, text.split(",")):
        if not part:
            continue
        low, _, high = part.partition("-")
        first, last = _port(low), _port(high or low)
        if first > last:
            raise ValueError(f"{part!r} runs backwards")
        found.update(range(first, last + 1))
    return frozenset(found)


def folded(found: Iterable[int]) -> str:
    """Return ports as the kernel prints them: sorted, runs joined.

    >>> folded({8081, 8080, 9000, 8082})
    '8080-8082,9000'
    """
    runs: list[list[int]] = []
    for port in sorted(found):
        if runs and port == runs[-1][1] + 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise ValueError(f"{text!r} is no port")
    return int(text)
