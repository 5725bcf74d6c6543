"""Find the counter that a word names, the causes it is a sign of, and the settings that speak of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tcptune.domain.causes import Cause
from tcptune.domain.counters import Counter
from tcptune.domain.explanation import CounterPage
from tcptune.domain.parameters import Parameter
from tcptune.knowledge.causes import causes
from tcptune.knowledge.counters import counters
from tcptune.planning.explain_cause import line_of


def find_counter(word: str, parameters: Mapping[str, Parameter]) -> CounterPage | None:
    """Return the page of a counter by its name: as facts have it, as nstat has it, or without its group."""
    asked = word.strip()
    # TW is a counter, and 'tw' a word to search for.
    found = next((one for one in counters().values() if asked in one.names), None) or next(
        (one for one in counters().values() if asked.casefold() in {name.casefold() for name in one.names[:2]}), None
    )
    if found is None:
        return None
    return CounterPage(
        counter=found,
        causes=tuple(line_of(one) for one in causes().values() if _speaks_of(one, found)),
        settings=tuple(key for key, page in parameters.items() if found.short in page.counters),
    )


def _speaks_of(cause: Cause, counter: Counter) -> bool:
    name = re.compile(rf"(?<![A-Za-z]){re.escape(counter.short)}(?![A-Za-z])")
    return any(name.search(sign.match) for sign in cause.evidence if sign.kind == "counter")
