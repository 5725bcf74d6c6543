"""How a plan reaches its hosts: the policy of a rollout, and the waves it gives. No host, no clock, no file."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tcptune.domain import time_windows
from tcptune.domain.gates import CountersGate, Gate, SshGate
from tcptune.domain.hosts import Declared
from tcptune.domain.notifications import Receiver
from tcptune.domain.runs import FAILED_STATES, HostState
from tcptune.domain.time_windows import TimeWindow
from tcptune.domain.values import Frozen

POLICY_FORMAT_VERSION: Literal[1] = 1

FAILURES = FAILED_STATES | {HostState.REVERTED, HostState.LOST}
"""States that count as a failure of the rollout. A stale host does not: nothing was tried there, and its values are its
own."""

_COUNT = re.compile(r"[0-9]{1,9}")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")
_DURATION = re.compile(r"([0-9]{1,6})([smh]?)")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}
_LONGEST_SOAK_S = 24 * 3600


def _amount(value: object) -> str:
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if _COUNT.fullmatch(text):
        return str(int(text))
    found = _PERCENT.fullmatch(text)
    if found is None or Fraction(found[1]) > 100:
        raise ValueError(f"{value!r} is no number of hosts and no percentage up to 100%")
    return f"{float(found[1]):g}%"


def _size(value: object) -> str:
    text = _amount(value)
    if text in {"0", "0%"}:
        raise ValueError("a wave has at least one host")
    return text


def _each_counts(waves: tuple[str, ...]) -> tuple[str, ...]:
    before = Fraction(0)
    for number, size in enumerate(waves, start=1):
        if before >= 100:
            raise ValueError(f"no host is left for wave {number}: the percentages before it reach 100%")
        before += Fraction(size[:-1]) if size.endswith("%") else 0
    return waves


def _version(value: object) -> object:
    if str(value) != str(POLICY_FORMAT_VERSION):
        raise ValueError(f"this tcptune reads format version {POLICY_FORMAT_VERSION}, not {value}")
    return POLICY_FORMAT_VERSION


def _words(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text belongs here; quote it where YAML reads it as something else")
    return " ".join(value.split())


def _name(value: object) -> str:
    if not (text := _words(value)):
        raise ValueError("a policy has a name")
    return text


def _soak(value: object) -> str:
    text = str(value)
    if isinstance(value, bool) or (time_s := duration_s(text)) is None or time_s > _LONGEST_SOAK_S:
        raise ValueError(f"{value!r} is no time of at most a day, such as 90s, 10m or 2h")
    return text


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def duration_s(text: str) -> int | None:
    """Return a time such as 90s, 10m or 2h in seconds, or None where it is none.

    >>> duration_s("90"), duration_s("10m"), duration_s("soon")
    (90, 600, None)
    """
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS_S[found[2]] if found else None


_AMOUNT_SCHEMA = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?%?$"}],
}
Amount = Annotated[str, BeforeValidator(_amount), WithJsonSchema(_AMOUNT_SCHEMA)]
"""A number of hosts or a share of them: '5' or '5%'."""
Size = Annotated[str, BeforeValidator(_size), WithJsonSchema(_AMOUNT_SCHEMA)]
"""An amount above zero."""
Duration = Annotated[str, BeforeValidator(_soak), WithJsonSchema({"type": ["string", "integer"]})]
"""A time as it was written; `duration_s` gives its seconds."""
Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "minLength": 1})]
Summary = Annotated[str, BeforeValidator(_words), WithJsonSchema({"type": "string"})]
Version = Annotated[Literal[1], BeforeValidator(_version), WithJsonSchema({"enum": [1, "1"]})]


def share(amount: str, total: int) -> int:
    """Return an amount as a number of hosts out of `total`; a part of a host does not count.

    >>> share("3", 40), share("5%", 40), share("5%", 39)
    (3, 2, 1)
    """
    if amount.endswith("%"):
        return int(Fraction(amount[:-1]) * total / 100)
    return int(amount)


class Selector(Frozen):
    """Some hosts, by what the inventory says of them. What is given has to hold together."""

    labels: dict[str, str] = Field(default={}, description="Labels of tcptune_labels, with their values.")
    group: str | None = Field(default=None, description="A group of the inventory; wildcards are possible.")

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not self.labels and self.group is None:
            raise ValueError("name `labels` or a `group`")
        return self

    def matches(self, host: Declared) -> bool:
        """Say whether a host is one of them."""
        grouped = self.group is None or any(fnmatchcase(group, self.group) for group in host.groups)
        return grouped and all(host.labels.get(name) == value for name, value in self.labels.items())

    def __str__(self) -> str:
        group = [f"group {self.group}"] if self.group is not None else []
        return " and ".join([*(f"{name}={value}" for name, value in sorted(self.labels.items())), *group])


class FailureDomain(Frozen):
    """What fails together, as a rack or a zone: hosts with one value of a label, or in one of some groups."""

    label: str | None = Field(default=None, description="A label of tcptune_labels.")
    groups: tuple[str, ...] = Field(
        default=(), description="Groups of the inventory, or wildcards: each is one domain."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        # `failure_domain: rack` is the usual case.
        if isinstance(value, str):
            return {"label": value}
        if isinstance(value, dict) and isinstance(value.get("groups"), str):
            return {**value, "groups": (value["groups"],)}
        return value

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if bool(self.label) == bool(self.groups):
            raise ValueError("a failure domain is a label, or groups")
        return self

    def of(self, host: Declared) -> tuple[str, ...]:
        """Return the domains a host is in: one, where the inventory is right."""
        if self.label:
            return (host.labels[self.label],) if self.label in host.labels else ()
        return tuple(group for group in host.groups if any(fnmatchcase(group, pattern) for pattern in self.groups))

    def __str__(self) -> str:
        return self.label or f"group {' or '.join(self.groups)}"


class CohortRule(StrEnum):
    """What is asked of the first hosts of each cohort."""

    EACH = "each"
    """The canary holds a host of each cohort, or the rollout does not begin."""
    SPREAD = "spread"
    """As many cohorts in the canary as it has room for, the largest first; the others follow one host at a time."""
    ANY = "any"
    """Cohorts make no difference."""


class OrderBy(StrEnum):
    """In which order hosts are taken where no rule decides."""

    NAME = "name"
    PLAN = "plan"
    SHUFFLED = "shuffled"


class Order(Frozen):
    """Which hosts come first."""

    by: OrderBy = Field(default=OrderBy.NAME, description="name (web2 before web10), plan or shuffled.")
    seed: int | None = Field(
        default=None, ge=0, description="Of `shuffled`; without it, the plan's id gives one. It is recorded either way."
    )
    first: tuple[Selector, ...] = Field(
        default=(), description="Hosts that come before all others: those of the first selector, of the second, ..."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _seed_is_used(self) -> Self:
        if self.seed is not None and self.by is not OrderBy.SHUFFLED:
            raise ValueError(f"a seed has no meaning where the order is by {self.by}")
        return self


class FailureLimits(Frozen):
    """How many hosts may fail, those that cannot be reached among them, before the rollout stops."""

    per_wave: Amount = Field(default="0", description="Of the hosts of a wave: a number or a percentage.")
    total: Amount = Field(default="0", description="Of all hosts of the rollout: a number or a percentage.")

    def exceeded(self, *, wave: int, of_wave: int, total: int, of_total: int) -> str | None:
        """Return why so many failures are too many, or None where they are not."""
        most, most_total = share(self.per_wave, of_wave), share(self.total, of_total)
        if wave > most:
            return f"{wave} of {of_wave} hosts of the wave failed, and at most {_most(self.per_wave, most)} may"
        if total > most_total:
            return f"{total} of {of_total} hosts failed, and at most {_most(self.total, most_total)} may"
        return None


def _most(amount: str, hosts: int) -> str:
    return f"{hosts} ({amount})" if amount.endswith("%") else amount


class OnFailure(StrEnum):
    """What becomes of changed hosts when a gate fails or a limit is passed. In every case no further wave begins."""

    HOLD = "hold"
    """They keep the change, and a person decides."""
    ROLL_BACK_WAVE = "roll_back_wave"
    ROLL_BACK_ALL = "roll_back_all"


class Confirmation(StrEnum):
    """Who keeps the change."""

    AFTER_GATES = "after_gates"
    """The rollout: each wave as soon as its gates have passed, and before the next begins."""
    BY_PERSON = "by_person"


class PolicyFile(Frozen):
    """What a policy file says."""

    policy: Name = Field(description="The policy's name.")
    format_version: Version = POLICY_FORMAT_VERSION
    summary: Summary = Field(default="", description="What it is for, in one sentence.")
    waves: Annotated[tuple[Size, ...], AfterValidator(_each_counts)] = Field(
        min_length=1,
        description="Hosts of each wave, as a number or as a share of all; the first is the canary. "
        "The last size is repeated until no host is left.",
    )
    failure_domain: FailureDomain | None = Field(
        default=None,
        description="What fails together: a label, or {groups: ...}. The canary never holds two hosts of one.",
    )
    cohorts: CohortRule = Field(
        default=CohortRule.SPREAD, description="Which cohorts the canary holds: each, spread (as many as fit) or any."
    )
    order: Order = Field(default=Order(), description="name, plan or shuffled; or a mapping with by, seed and first.")
    concurrency: int | None = Field(default=None, ge=1, le=1000, description="Most hosts of a wave changed at once.")
    soak: Duration = Field(default="0s", description="Time between a wave's change and its last look at the gates.")
    gates: tuple[Gate, ...] = Field(
        default=(SshGate(), CountersGate()), min_length=1, description="Checks that every wave has to pass."
    )
    failures: FailureLimits = Field(default=FailureLimits(), description="How many hosts may fail; none without it.")
    on_failure: OnFailure = Field(
        default=OnFailure.ROLL_BACK_WAVE,
        description="hold, roll_back_wave or roll_back_all, when a gate or limit fails.",
    )
    confirm: Confirmation = Field(
        default=Confirmation.AFTER_GATES, description="after_gates, wave by wave, or by_person."
    )
    window: Annotated[tuple[TimeWindow, ...], BeforeValidator(_one_or_more)] = Field(
        default=(), description="When a wave may begin: a window, or a list of them; always without it."
    )
    notify: tuple[Receiver, ...] = Field(default=(), description="HTTP servers that are sent events of the rollout.")


class Policy(PolicyFile):
    """A policy as it was loaded."""

    tcptune: Literal["policy"] = "policy"
    origin: str
    """Its path, or that it is built in."""
    digest: str
    """SHA-256 of its text: a run keeps it."""

    @property
    def soak_s(self) -> int:
        """The soak time in seconds."""
        return duration_s(self.soak) or 0

    def allowed(self, now: datetime) -> bool:
        """Say whether a wave may begin."""
        return time_windows.allowed(self.window, now)

    def opens_next(self, now: datetime) -> datetime | None:
        """Return when, after `now`, a window opens next, in UTC; None where waves may always begin."""
        return time_windows.opens_next(self.window, now)


class ListedPolicy(Frozen):
    """One policy in a list."""

    name: str
    waves: tuple[str, ...]
    summary: str


class PolicyList(Frozen):
    """The built-in policies."""

    tcptune: Literal["policies"] = "policies"
    format_version: Literal[1] = POLICY_FORMAT_VERSION
    policies: tuple[ListedPolicy, ...]


class Wave(Frozen):
    """Hosts that are changed together."""

    number: int
    """Counted from 1; the first is the canary."""
    asked: str
    """Its size in the policy: '5%'. The last wave may be smaller."""
    hosts: tuple[str, ...]
    """In the order in which they were chosen."""
    tries: tuple[str, ...]
    """Cohorts of which no earlier wave had a host."""
    whole_domains: tuple[str, ...]
    """Failure domains of two hosts and more that the wave takes whole: all of their hosts in the rollout."""
    reasons: tuple[str, ...]
    """Sentences: what was decided about the wave that its size does not say."""


class Waves(Frozen):
    """The hosts of a plan, cut into waves."""

    tcptune: Literal["waves"] = "waves"
    format_version: Literal[1] = POLICY_FORMAT_VERSION
    plan_id: str
    policy: str
    policy_digest: str
    seed: int | None
    """What hosts were shuffled with; None where they were not."""
    waves: tuple[Wave, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host, in the order of the rollout."""
        return tuple(host for wave in self.waves for host in wave.hosts)
