"""The values of hops, as the rules for them compare and tell them. Pure."""

from __future__ import annotations

import math

from tcptune.domain.chain import COUNTED, Aspect, Hop, Known, time_text
from tcptune.domain.chain_verdicts import KnobChange

LEAST_MARGIN_S = 1.0
"""A request that leaves just before the connection is closed needs about a round trip; a second covers any."""


def margin(time_s: float) -> float:
    """Return how far apart two timeouts should be: 1 to 5 s.

    >>> margin(5), margin(20), margin(60)
    (1.0, 2.0, 5.0)
    """
    return min(5.0, max(LEAST_MARGIN_S, time_s / 10))


def limit(known: Known | None) -> float:
    """Return a value to compare with: infinite where there is no limit, or none is known."""
    return math.inf if known is None or known.value is None else known.value


def remedy(hop: Hop, aspect: Aspect, value: float) -> KnobChange:
    """Return the change of a setting to `value`, in seconds or requests, as it is called at that hop."""
    known, counted = hop.settings.get(aspect), aspect is Aspect.RECEIVES_REQUESTS
    before = "not known" if known is None else f"{known.value:g}" if counted else time_text(known.value)
    # Whole seconds are what most programs take; a timeout below a second stays what it is.
    rounded = value if value < 1 else float(f"{value:.6g}")
    # One setting of a load balancer's is several of ours.
    others = ", ".join(one.value for one in hop.together if one is not aspect) if aspect in hop.together else ""
    return KnobChange(
        hop=hop.name,
        knob=hop.knob(aspect),
        before=before,
        after=f"{value:g}" if counted else time_text(rounded),
        note=f"it sets {others}, too: check the chain with it" if others else "",
    )


def evident(hop: Hop, aspect: Aspect) -> str:
    """Return a setting with its value and who says so, or that it is not known."""
    known = hop.settings.get(aspect)
    if known is None:
        return gap(hop, aspect)
    value = f"{known.value:g}" if aspect in COUNTED and known.value is not None else time_text(known.value)
    return f"{hop.name}: {hop.knob(aspect)} {value} ({known.said})"


def gap(hop: Hop, aspect: Aspect) -> str:
    """Say that a setting is not known, and why."""
    why = hop.unknown.get(aspect)
    return f"{hop.name}: {aspect.value} is not known{f': {why}' if why else ''}"


def span(known: Known) -> str:
    """Return a time as it is said of what lasts."""
    return "for ever" if known.value is None else time_text(known.value)
