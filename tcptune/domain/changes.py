"""Changes, cohorts of hosts that share them, and the plan: all that apply needs."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from tcptune.domain.findings import Boot
from tcptune.domain.followups import FollowUp
from tcptune.domain.hosts import Connection
from tcptune.domain.limits import LimitLayers
from tcptune.domain.parameters import Effect, Risk
from tcptune.domain.values import Frozen, KernelText, SysctlKey

PLAN_FORMAT_VERSION: Literal[1] = 1

DROPIN_PATH = "/etc/sysctl.d/99-tcptune.conf"
"""The one sysctl.d file that is ours."""

MODULES_PATH = "/etc/modules-load.d/99-tcptune.conf"
"""Our list of modules that a boot loads before it reads sysctl.d."""

LIMITS_PATH = "/etc/security/limits.d/99-tcptune.conf"
"""Our limits of login sessions."""

ABSENT = "absent"
"""Stands for the digest of a file that does not exist."""


class Change(Frozen):
    """Before -> after of one setting on every host of a cohort."""

    key: SysctlKey
    before: KernelText
    """The kernel's value when the plan was made: the precondition of the write."""
    after: KernelText
    """Equal to `before` where only the next boot has to change."""
    at_boot: Boot
    """What the next boot would have given without us."""
    shadowed_by: str | None = None
    """'file:line' that wins at boot even over our drop-in: the change will not survive a reboot."""
    other_loader: Boot | None = None
    """What wins over our drop-in under the loader that this host does not boot with, where ours wins under its own."""
    lost_at_boot: str | None = None
    """Why no file can set it for the next boot, and what to do: until then the change will not survive a reboot."""
    module: str | None = None
    """The kernel module of the setting, where a boot loaded it too late until now and our own list brings it up first.
    """
    demand: str
    why: str
    source: str
    effect: Effect
    effect_note: str
    risk: Risk
    risk_note: str
    danger: str | None = None
    """Why `apply` has to be told --allow-risk for it: it can strand the host, or take its services down."""
    writer: str | None = None
    """A program that is known to write the setting too: to be named where the value does not last."""
    order: str | None = None
    """What is written later than this, and why: 'written before KEY: REASON'. None where its place does not matter."""

    @property
    def at_runtime(self) -> bool:
        """Whether the kernel's value has to be written."""
        return self.before != self.after

    @property
    def formula(self) -> str | None:
        """The demand with the formula it was computed from, or None where the profile has a fixed value."""
        return self.demand if " = " in self.demand else None

    def inverse(self) -> Change:
        """Return the change back, for a preview. What is really undone comes from what was really replaced."""
        # Whatever waited for it goes first now.
        return self.model_copy(update={"before": self.after, "after": self.before, "order": None})


class LimitChange(Frozen):
    """The limit that the processes of one name in one service, or in a login, get at their next start."""

    limit: Literal["nofile"] = "nofile"
    process: str
    unit: str | None
    """None for a login session."""
    layers: LimitLayers
    """What was there when the plan was made: wanted, now, at the next start without us."""
    path: str
    """The file of ours that says so: one of the plan's."""
    demand: str
    why: str
    source: str
    notes: tuple[str, ...] = ()

    @property
    def who(self) -> str:
        """The processes, in words."""
        return f"{self.process} ({self.unit})" if self.unit else f"{self.process} (login of root)"


class FileChange(Frozen):
    """Before -> after of one file that is ours."""

    path: str
    before: str | None
    """Previous text; None where the file does not exist."""
    after: str

    @property
    def before_sha256(self) -> str:
        """Digest of the previous bytes, or 'absent'."""
        return ABSENT if self.before is None else sha256(self.before)


class HostPlan(Frozen):
    """What one host needs. Empty where it needs nothing."""

    host: str
    changes: tuple[Change, ...]
    files: tuple[FileChange, ...]
    """In the order in which they are written: modules, settings, limits."""
    limits: tuple[LimitChange, ...] = ()
    afterwards: tuple[FollowUp, ...] = ()

    def inverse(self) -> HostPlan:
        """Return the way back, for a preview: last change first, as coupled settings need it."""
        return HostPlan(host=self.host, changes=tuple(c.inverse() for c in reversed(self.changes)), files=())


class Cohort(Frozen):
    """Hosts whose changes are identical, before and after."""

    name: str
    hosts: tuple[str, ...]
    changes: tuple[Change, ...]
    """In the order in which they are written. A roll back goes the other way."""
    files: tuple[FileChange, ...]
    limits: tuple[LimitChange, ...] = ()
    """Brought about by files alone, when the run is confirmed."""

    @property
    def change_count(self) -> int:
        """What changes on each host: settings and limits. Files carry them, and are not counted."""
        return len(self.changes) + len(self.limits)


class SkipKind(StrEnum):
    """Why something is not in a plan."""

    UNREAD = "unread"
    """The whole host could not be read."""
    UNKNOWN = "unknown"
    """The rule could not be judged."""
    OUT_OF_REACH = "out of reach"
    """It deviates, and cannot be changed from here."""
    WAIVED = "waived"
    """It deviates, and somebody answers for that until a day."""
    NOT_APPLICABLE = "not applicable"
    """Nothing is missing: the rule has no meaning on this host."""


class Skipped(Frozen):
    """Something that was asked for and is not in the plan, with the reason."""

    host: str
    key: SysctlKey | None
    """None where the whole host could not be read."""
    why: str
    hint: str | None = None
    kind: SkipKind = SkipKind.UNKNOWN


class Plan(Frozen):
    """A reviewed set of changes. Apply reads nothing else and takes no new decision."""

    tcptune: Literal["plan"] = "plan"
    format_version: Literal[1] = PLAN_FORMAT_VERSION
    plan_id: str
    """SHA-256 over all below but `made_at`: planning an unmoved fleet again gives the same id."""
    made_at: datetime
    profile: str
    profile_digest: str
    hosts: dict[str, Connection]
    """Every host of a cohort and how it is reached."""
    cohorts: tuple[Cohort, ...]
    fine: tuple[str, ...]
    """Hosts that were read and judged in full, and need nothing."""
    skipped: tuple[Skipped, ...]
    afterwards: tuple[FollowUp, ...] = ()
    """What a person has to do for the changes to matter; apply and confirm do none of it."""

    @property
    def change_count(self) -> int:
        """Changes summed over hosts."""
        return sum(c.change_count * len(c.hosts) for c in self.cohorts)

    @property
    def undecided(self) -> bool:
        """Whether a host could not be read, or a rule not be judged."""
        return any(s.kind in {SkipKind.UNREAD, SkipKind.UNKNOWN} for s in self.skipped)

    @property
    def out_of_reach(self) -> tuple[Skipped, ...]:
        """Deviations that cannot be changed from here."""
        return tuple(s for s in self.skipped if s.kind is SkipKind.OUT_OF_REACH)

    @property
    def unread(self) -> tuple[Skipped, ...]:
        """Hosts that could not be read when the plan was made."""
        return tuple(s for s in self.skipped if s.key is None)

    def cohort_of(self, host: str) -> Cohort:
        """Return the cohort of a host. Raises KeyError where the plan does not change it."""
        for cohort in self.cohorts:
            if host in cohort.hosts:
                return cohort
        raise KeyError(host)


def plan_digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a plan's canonical content (JSON mode), whatever id and date it carries."""
    kept = {k: v for k, v in content.items() if k not in {"plan_id", "made_at"}}
    return sha256(json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True))


def sha256(text: str) -> str:
    """Return the hexadecimal SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()
