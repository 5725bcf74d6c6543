"""The output of `sysctl -a`, saved on a host that nobody can reach now: facts of what ran then, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tcptune.domain.facts import HostFacts, Reading, System, Unreadable, Value, kernel_version
from tcptune.domain.values import sysctl_key
from tcptune.probes import OPTIONAL

BOOT_GAP = "a captured `sysctl -a` holds no files"
_GAP = "a captured `sysctl -a` does not tell"
_DENIED = "permission denied on key "
_FAILED = "reading key "


def parse(text: str, name: str, collected_at: datetime, kernel: str | None = None) -> HostFacts:
    """Understand the text: facts with runtime values alone. The host is called `name` where the text has no name.

    Keys it does not hold are not taken for absent: a capture may be of one folder, or of a login that saw less.
    Secrets are dropped.

    Raises ValueError, with the line, where this is not the output of one `sysctl -a`, and where the kernel is told
    neither in the text nor by `kernel`, or not the same.
    """
    sysctl = _readings(text)
    release = _kernel(sysctl, kernel)
    return HostFacts(
        host=_text(sysctl, "kernel.hostname") or name,
        collected_at=collected_at,
        system=System(
            kernel=release,
            distribution="unknown",
            version="",
            memory_bytes=None,
            cpus=None,
            page_size_bytes=None,
            boot_id=_text(sysctl, "kernel.random.boot_id"),
            hostname=_text(sysctl, "kernel.hostname"),
            systemd=None,
            user="unknown",
        ),
        sysctl=sysctl,
        sysctl_files=(),
        gaps={"sysctl_files": BOOT_GAP, **dict.fromkeys(OPTIONAL, _GAP)},
    )


def _readings(text: str) -> dict[str, Reading]:
    values: dict[str, list[str]] = {}
    closed: list[str] = []
    last = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("sysctl: ") or not line.strip():
            # What it wrote to standard error, where both went into the file.
            closed += _refused(line)
            continue
        key, sign, value = line.partition("=")
        key = key.strip()
        if not sign or not key or " " in key:
            raise ValueError(f"line {number} is no 'key = value': {line[:60]!r}")
        if key in values and key != last:
            raise ValueError(f"line {number} names {key} again: is this the output of one host?")
        # A value of many lines comes as many lines with the same key.
        values.setdefault(key, []).append(value)
        last = key
    if not values:
        raise ValueError("it holds no settings")
    found: dict[str, Reading] = {}
    for key, texts in values.items():
        if stored := _storable(key):
            # Nobody asked whether it may be written; `user` of these facts says that nobody knows.
            found[stored] = Value(text=" ".join(" ".join(texts).split()), writable=False)
    for key in closed:
        if stored := _storable(key):
            found.setdefault(stored, Unreadable())
    return found


def _refused(line: str) -> list[str]:
    for said in (_DENIED, _FAILED):
        if said in line:
            return [line.partition(said)[2].lstrip("'\"").partition("'")[0].partition('"')[0]]
    return []


def _storable(key: str) -> str | None:
    """Return the key as it is stored, or None for secrets and for names that tcptune has no use for."""
    try:
        return sysctl_key(key)
    except ValueError:
        return None


def _kernel(sysctl: Mapping[str, Reading], given: str | None) -> str:
    told = _text(sysctl, "kernel.osrelease")
    if not told and not given:
        raise ValueError("it does not tell the kernel (kernel.osrelease): give --kernel")
    if told and given and kernel_version(told) != kernel_version(given):
        raise ValueError(f"it says the kernel is {told}, --kernel says {given}")
    release = told or given or ""
    kernel_version(release)
    return release


def _text(sysctl: Mapping[str, Reading], key: str) -> str:
    reading = sysctl.get(key)
    return reading.text if isinstance(reading, Value) else ""
