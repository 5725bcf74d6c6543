"""What packets can show, and how long the silences of known products are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from tcptune.domain.captures import CaptureCause, KnownGap

_MARGIN, _MOST_LATE_S = 0.02, 10.0
"""A timeout fires late by timers and round trips, so a silence may be longer by this share, up to so many seconds."""


@cache
def capture_causes() -> Mapping[str, CaptureCause]:
    """Return every cause by its id, in the order of the file."""
    found = (CaptureCause.model_validate(item) for item in _load("capture_causes.yml"))
    return MappingProxyType({cause.id: cause for cause in found})


@cache
def known_gaps() -> tuple[KnownGap, ...]:
    """Return every known silence, the shortest first."""
    return tuple(sorted((KnownGap.model_validate(item) for item in _load("silences.yml")), key=lambda one: one.seconds))


def gap_like(silence_s: float) -> KnownGap | None:
    """Return the known silence that one of `silence_s` seconds is as long as, or None.

    >>> gap_like(60.4).seconds, gap_like(62.0)
    (60.0, None)
    """
    # Of two that fit, the longer: what ends a connection is late by little, and never early.
    fits = [one for one in known_gaps() if _fits(one.seconds, silence_s)]
    return fits[-1] if fits else None


def _fits(seconds: float, silence_s: float) -> bool:
    return seconds - 0.2 <= silence_s <= seconds + min(seconds * _MARGIN, _MOST_LATE_S) + 0.5


def _load(name: str) -> Any:
    text = (files("tcptune.knowledge") / "data" / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
