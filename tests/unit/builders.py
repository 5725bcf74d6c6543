"""Domain values for tests: each builder fills in what a test does not care about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tcptune.domain.changes import DROPIN_PATH, Change, Cohort, FileChange, Plan, Skipped, plan_digest
from tcptune.domain.demands import Demand, Exactly
from tcptune.domain.facts import Absent, HostFacts, Reading, SysctlFile, System, Unreadable, Value
from tcptune.domain.findings import Boot
from tcptune.domain.hosts import Connection, Declared, Host, Secrets
from tcptune.domain.parameters import Bounds, Default, Effect, Parameter, Risk, Shape
from tcptune.domain.profile import Entry, Profile
from tcptune.domain.rollout import Policy
from tcptune.domain.runs import HostResult, HostState, Run
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.dropin import merged

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)

SOMAXCONN = "net.core.somaxconn"
SYNCOOKIES = "net.ipv4.tcp_syncookies"
FIN_TIMEOUT = "net.ipv4.tcp_fin_timeout"
PORTS = "net.ipv4.ip_local_port_range"
RMEM = "net.ipv4.tcp_rmem"
MAX_SYN = "net.ipv4.tcp_max_syn_backlog"

ETC = "/etc/sysctl.d"
LATER = f"{ETC}/zz-later.conf"
"""A file that wins over our own."""


def system(**fields: Any) -> System:
    given = {
        "kernel": "6.12.0",
        "distribution": "debian",
        "version": "13",
        "memory_bytes": 4 << 30,
        "cpus": 4,
        "page_size_bytes": 4096,
        "boot_id": "b0071d00-0000-4000-8000-000000000001",
        "hostname": "web1",
        "systemd": True,
        "user": "0",
    }
    return System.model_validate({**given, **fields})


def facts(
    host: str = "web1",
    sysctl: Mapping[str, str | Reading] | None = None,
    files: Mapping[str, str | None] | None = None,
    **fields: Any,
) -> HostFacts:
    """Return what a host said; a text stands for a writable value, None for a file that could not be read."""
    readings = {key: reading(value) for key, value in (sysctl or {}).items()}
    found = tuple(SysctlFile(path=path, content=content) for path, content in (files or {}).items())
    return HostFacts(host=host, collected_at=NOW, system=system(**fields), sysctl=readings, sysctl_files=found)


def reading(value: str | Reading) -> Reading:
    return Value(text=value, writable=True) if isinstance(value, str) else value


def read_only(text: str) -> Value:
    return Value(text=text, writable=False)


ABSENT = Absent()
UNREADABLE = Unreadable()


def rule(key: str = SOMAXCONN, demand: str | Demand = "4096", **fields: Any) -> Entry:
    """Return an entry; a text stands for `exactly`."""
    wanted = Exactly(value=demand) if isinstance(demand, str) else demand
    given = {"why": f"why {key}", "source": "tcp(7)", "profile": "test"}
    return Entry.model_validate({"key": key, "demand": wanted, **given, **fields})


def profile(*entries: Entry, name: str = "test") -> Profile:
    return Profile(name=name, summary="", origin="here", entries=entries or (rule(),), digest="d" * 64)


def parameter(key: str = "net.core.test", shape: Shape = Shape.INT, **fields: Any) -> Parameter:
    given = {
        "summary": "a setting of a test",
        "unit": "things",
        "defaults": (Default(value="1"),),
        "sensible": Bounds(min=0, max=1000),
        "accepts": [{"storage": "int", "min": -1000, "max": 100000}],
        "range_note": "a thousand either way",
        "introduced": "2.4",
        "namespace_note": "per network namespace",
        "in_child": [{"view": "writable"}],
        "effect": Effect.IMMEDIATE,
        "effect_note": "at once",
        "risk": Risk.LOW,
        "risk_note": "none",
        "sources": ("tcp(7)",),
        "verified": "source",
    }
    return Parameter.model_validate({"key": key, "shape": shape, **given, **fields})


def change(key: str = SOMAXCONN, before: str = "128", after: str = "4096", **fields: Any) -> Change:
    known = catalogue()[key]
    given = {
        "at_boot": Boot(value=before, by="kernel default"),
        "demand": after,
        "why": f"why {key}",
        "source": "tcp(7)",
        "effect": known.effect,
        "effect_note": known.effect_note,
        "risk": known.risk,
        "risk_note": known.risk_note,
    }
    return Change.model_validate({"key": key, "before": before, "after": after, **given, **fields})


def dropin(*changes: Change, before: str | None = None) -> FileChange:
    return FileChange(path=DROPIN_PATH, before=before, after=merged(before, {c.key: c.after for c in changes}))


def cohort(*hosts: str, changes: tuple[Change, ...] | None = None, name: str = "cohort1", **fields: Any) -> Cohort:
    made = (change(),) if changes is None else changes
    given = {"files": (dropin(*made),)}
    return Cohort.model_validate({"name": name, "hosts": hosts or ("web1",), "changes": made, **given, **fields})


def plan(*cohorts: Cohort, fine: tuple[str, ...] = (), skipped: tuple[Skipped, ...] = (), **fields: Any) -> Plan:
    """Return a sealed plan."""
    made = cohorts or (cohort(),)
    given = {
        "plan_id": "",
        "made_at": NOW,
        "profile": "test",
        "profile_digest": "d" * 64,
        "hosts": {host: connection(f"{host}.example") for one in made for host in one.hosts},
    }
    draft = Plan.model_validate({"cohorts": made, "fine": fine, "skipped": skipped, **given, **fields})
    return draft.model_copy(update={"plan_id": plan_digest(draft.model_dump(mode="json"))})


def connection(address: str = "web1.example", **fields: Any) -> Connection:
    return Connection.model_validate({"address": address, **fields})


def host(
    name: str = "web1", *, login_password: str | None = None, become_password: str | None = None, **fields: Any
) -> Host:
    """Return a host; fields that are no password are of its connection."""
    secrets = Secrets.model_validate({"login": login_password, "become": become_password})
    return Host(name=name, connection=connection(**{"address": f"{name}.example", **fields}), secrets=secrets)


def result(name: str = "web1", state: HostState = HostState.HELD, **fields: Any) -> HostResult:
    return HostResult.model_validate({"host": name, "cohort": "cohort1", "state": state, **fields})


def run(*results: HostResult, run_id: str = "20260314-150926-a1b2c3", **fields: Any) -> Run:
    given = {
        "plan_id": plan().plan_id,
        "profile": "test",
        "started_at": NOW,
        "ended_at": None,
        "operator": "ada@controller",
        "tool_version": "0.1.0",
    }
    return Run.model_validate({"run_id": run_id, "results": results or (result(),), **given, **fields})


def answer(sysctl: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None) -> str:
    """Return what the probe prints on a host with these values and files."""
    values = sysctl or {}
    lines = ["@tcptune system", "kernel 6.12.0", "boot_id b1", "hostname web1", "systemd 1", "os ID=debian"]
    lines += ["memory_kib 4194304", "cpus 4", "page_kib 4", "user 0", "@tcptune sysctl"]
    lines += [f"rw {key.replace('.', '/')}" for key in values]
    lines += [f"/proc/sys/{key.replace('.', '/')}:{value}" for key, value in values.items()]
    lines += ["@tcptune sysctl_files"]
    for path, content in (files or {}).items():
        lines += [f"file 0 {path}", *(f"|{line}" for line in content.splitlines())]
    return "\n".join([*lines, "@tcptune done", ""])


def policy(**fields: Any) -> Policy:
    """Return a rollout policy: its file's fields as YAML has them."""
    given = {"policy": "test", "origin": "test.yml", "digest": "d" * 64, "waves": [1, "5%", "25%", "100%"]}
    return Policy.model_validate({**given, **fields})


def declared(label: str = "rack", **values: str) -> dict[str, Declared]:
    """Return hosts with their value of one label."""
    return {host: Declared(labels={label: value}) for host, value in values.items()}
