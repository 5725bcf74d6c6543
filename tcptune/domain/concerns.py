"""What several settings, or a setting and the host around it, make wrong together. A finding judges one key alone."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from tcptune.domain.values import Frozen, SysctlKey


class Severity(StrEnum):
    """Whether anybody suffers."""

    HARM = "harm"
    """Something is broken, or will be: connections, a service, or a change that will not last."""
    ADVICE = "advice"
    """Nothing breaks. A setting does less than it seems to, or a margin is thin."""


class Owner(StrEnum):
    """Where the remedy has to be done."""

    KERNEL = "kernel"
    LIMIT = "limit"
    APPLICATION = "application"
    PROXY = "proxy"
    NETWORK = "network"
    OPERATOR = "operator"
    """A person's decision, or another tool's configuration."""


class Holds(StrEnum):
    """When a concern holds. One that the wanted values cure is none: its settings deviate, and that is shown."""

    NOW = "now"
    """And still once the wanted values are set."""
    WANTED = "once the wanted values are set"


class Observation(Frozen):
    """What one check saw on one host."""

    keys: tuple[SysctlKey, ...]
    severity: Severity
    what: str = Field(min_length=1)
    """One sentence. It names no number that differs from host to host for no reason: equal ones are shown once."""
    evidence: tuple[str, ...] = Field(min_length=1)
    """What was read: values, sockets, 'file:line'."""
    remedy: str
    owner: Owner


class Concern(Observation):
    """An observation, by whom, and when it holds."""

    check: str
    holds: Holds


class NotJudged(Frozen):
    """A check that lacks its facts. It says nothing, and that is said."""

    check: str
    why: str


class Judged(Frozen):
    """What all checks made of one host."""

    concerns: tuple[Concern, ...] = ()
    not_judged: tuple[NotJudged, ...] = ()
