"""Builders for tests of profiles: a host's facts, and a profile from a few lines of YAML."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from tcptune.adapters.profiles import load_profile
from tcptune.domain.facts import Absent, HostFacts, SysctlFile, System, Value
from tcptune.domain.findings import Finding
from tcptune.domain.hosts import NOTHING_DECLARED, Declared
from tcptune.domain.profile import Profile
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host

TODAY = date(2026, 11, 21)
GIB = 1024**3


def facts(
    sysctl: dict[str, str | None],
    *,
    files: dict[str, str] | None = None,
    kernel: str = "6.12.1",
    memory_bytes: int = 16 * GIB,
    host: str = "web1",
) -> HostFacts:
    """Return facts of a host with these settings; None for one that its kernel does not have."""
    return HostFacts(
        host=host,
        collected_at=datetime(2026, 11, 21, tzinfo=UTC),
        system=System(
            kernel=kernel,
            distribution="debian",
            version="13",
            memory_bytes=memory_bytes,
            cpus=4,
            page_size_bytes=4096,
            boot_id="b",
            hostname=host,
            systemd=True,
            user="0",
        ),
        sysctl={k: Absent() if v is None else Value(text=v, writable=True) for k, v in sysctl.items()},
        sysctl_files=tuple(SysctlFile(path=path, content=text) for path, text in (files or {}).items()),
    )


def written(folder: Path, name: str, settings: str, head: str = "") -> str:
    """Write a profile of that name, with its settings indented by two, and return its path."""
    path = folder / f"{name}.yml"
    path.write_text(f"profile: {name}\n{head}settings:\n{settings}")
    return str(path)


def profile(folder: Path, settings: str, head: str = "") -> Profile:
    """Return a profile with these settings."""
    return load_profile(written(folder, "mine", settings, head))


def only_finding(found: HostFacts, wanted: Profile, declared: Declared = NOTHING_DECLARED) -> Finding:
    """Return the one finding of a profile with one setting."""
    [finding] = audit_host(found, wanted, catalogue(), today=TODAY, declared=declared).findings
    return finding
