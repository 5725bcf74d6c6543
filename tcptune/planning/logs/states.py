"""How HAProxy's logs say why a session ended: its termination states, and what stands around them.

Source: HAProxy configuration manual, 8.2.2, 8.2.3 and 8.5; lines that HAProxy 2.6.12 wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tcptune.domain.logs import Phrase

Sure = re.Pattern[bytes] | None
"""What a line has to match as well; None where the text alone says it."""

# Connections of process, frontend, backend and server; retries, with a plus where another server was taken.
_COUNTS = rb" \d+/\d+/\d+/\d+/\+?\d+"
_OF_CLIENT = rb"[NIDVEOU-]"
_OF_SERVER = rb"[NIUPRD-]"


def forms(phrase: Phrase) -> Iterator[tuple[str, Sure]]:
    """Yield the texts by which lines of a phrase are found, each with what makes them sure.

    >>> [text for text, _ in forms(Phrase(id="a", product="b", error="EOF", http_states=("SH",), tcp_states=("SD",),
    ...     source="c", verified="source"))]
    [' SH-- ', ' - SH', ' SD ']
    """
    for text in phrase.texts:
        yield text, None
    for state in phrase.http_states:
        yield f" {state}-- ", None
        # Before it stands the captured cookie of the answer; a server that gave none has a hyphen there.
        flags = rb" - " + state.encode() + _OF_CLIENT + _OF_SERVER
        yield f" - {state}", re.compile(flags + _COUNTS)
    for state in phrase.tcp_states:
        yield f" {state} ", re.compile(rb" " + state.encode() + _COUNTS)
