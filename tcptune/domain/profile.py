"""What a host should be like: entries with an operator, a reason and a source."""

from __future__ import annotations

from pydantic import Field

from tcptune.domain.demands import Demand
from tcptune.domain.values import Frozen, SysctlKey

PROFILE_FORMAT_VERSION = 1


class Entry(Frozen):
    """What a profile asks of one setting."""

    key: SysctlKey
    demand: Demand
    why: str
    source: str
    profile: str
    """Name of the profile that says so: with `extends` it may not be the one that was asked for."""


class Profile(Frozen):
    """A named set of entries, with everything it extends already merged in."""

    name: str
    summary: str
    origin: str
    """'built in', or the path it was read from."""
    extends: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = Field(min_length=1)
    digest: str
    """SHA-256 over the text of the profile and of all it extends."""
