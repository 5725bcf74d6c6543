"""The journal's export format -> the lines of it that matter: when each entry was written, and what it says.

A field is a line; or, where its data is no text or of several lines, its name alone, eight bytes of length, and data.
Source: systemd.io/JOURNAL_EXPORT_FORMATS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tcptune.adapters.logs.packed import Packed
from tcptune.planning.logs.tally import JOURNAL_TIME

LONGEST_MESSAGE_BYTES = 256 * 1024
"""What is said behind that is passed over."""
_LONGEST_LINE_BYTES = 4 * 1024 * 1024
_BARE = re.compile(rb"\n([A-Z0-9_]{1,64})\n")
_SAYS = b"MESSAGE="
_WANTED = (JOURNAL_TIME, _SAYS)
_LENGTH_BYTES = 8
_SO_FAR = "; what stood before counts"


def is_export(head: bytes) -> bool:
    """Say whether a file that begins like this is in the export format."""
    return head.startswith(b"__CURSOR=") or b"\n" + JOURNAL_TIME in b"\n" + head


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines with times and messages, each message in one line, some of them at a time.

    Raises Packed where the format is broken, or ends in the middle of a field.
    """
    # The end of a line before it, so that a name alone in its line is found at the beginning, too.
    ahead, skip = b"\n", 0
    for block in blocks:
        if skip >= len(block):
            skip -= len(block)
            continue
        ahead += block[skip:]
        found, ahead, skip = _taken(ahead)
        if found:
            yield found
        if len(ahead) > _LONGEST_LINE_BYTES:
            raise Packed(f"damaged: a line of more than {_LONGEST_LINE_BYTES} bytes{_SO_FAR}")
    if skip or _BARE.match(ahead + b"\n"):
        raise Packed(f"ends in the middle of an entry{_SO_FAR}")
    yield _wanted(ahead)


def _taken(ahead: bytes) -> tuple[bytes, bytes, int]:
    """Return the lines that matter, what is left until more is there, and how much of the following to pass over."""
    found: list[bytes] = []
    at = 0
    while bare := _BARE.search(ahead, at):
        found.append(_wanted(ahead[at : bare.start() + 1]))
        begin = bare.end() + _LENGTH_BYTES
        if len(ahead) < begin:
            return b"".join(found), ahead[bare.start() :], 0
        size = int.from_bytes(ahead[bare.end() : begin], "little")
        if bare[1] == b"MESSAGE":
            kept = min(size, LONGEST_MESSAGE_BYTES)
            if len(ahead) < begin + kept:
                return b"".join(found), ahead[bare.start() :], 0
            found.append(_SAYS + ahead[begin : begin + kept].replace(b"\n", b" ") + b"\n")
        at = begin + size
        if at >= len(ahead):
            # What comes then begins with the end of its line; until it does, the entry is not whole.
            return b"".join(found), b"", at - len(ahead)
        if ahead[at] != ord("\n"):
            raise Packed(f"damaged: a field is not as long as it says{_SO_FAR}")
    last = ahead.rfind(b"\n")
    found.append(_wanted(ahead[at:last]))
    return b"".join(found), ahead[max(last, at) :], 0


def _wanted(text: bytes) -> bytes:
    lines = [line for line in text.split(b"\n") if line.startswith(_WANTED)]
    return b"\n".join([*lines, b""])
