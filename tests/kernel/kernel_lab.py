"""A kernel as an oracle: a fresh network namespace of it, whose settings tests may write; here or elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcptune.domain.values import key_path

WORKER = Path(__file__).with_name("kernel_worker.py")
INT_MAX = 2**31 - 1


def missing() -> str | None:
    """Say what the lab lacks on this machine, if anything."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in ("unshare", "mount") if shutil.which(name) is None]
    return f"needs {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True)
class System:
    """What the machine is, as far as its kernel's defaults depend on it."""

    release: str
    memory_bytes: int
    page_size_bytes: int
    cpus: int
    modules: frozenset[str]
    """Those that are loaded, built-in ones with parameters included."""

    @classmethod
    def here(cls) -> System:
        """Look at this machine."""
        page = os.sysconf("SC_PAGE_SIZE")
        return cls(
            release=os.uname().release,
            memory_bytes=page * os.sysconf("SC_PHYS_PAGES"),
            page_size_bytes=page,
            cpus=os.cpu_count() or 1,
            modules=loaded(entry.name for entry in Path("/sys/module").iterdir()),
        )


def loaded(names: Iterable[str]) -> frozenset[str]:
    """Give the modules that serve settings, from the names in /sys/module."""
    # A kernel without modules has this one built in, and has no name for it there.
    built_in = {"nf_conntrack"} if Path("/proc/sys/net/netfilter/nf_conntrack_max").exists() else set()
    return frozenset(names) | built_in


@dataclass(frozen=True)
class Seen:
    """A key as the namespace has it."""

    view: str
    mode: int = 0
    text: str | None = None


def network_namespace() -> str:
    """Give the name of the machine's own network namespace: the worker refuses to be in it."""
    return str(Path("/proc/self/ns/net").readlink())


@dataclass(frozen=True)
class Outcome:
    """What one write did."""

    before: str
    errno: str | None
    after: str
    peers: Mapping[str, str]


class Kernel:
    """One worker process in its namespace."""

    def __init__(self, argv: Sequence[str] = (), system: System | None = None) -> None:
        """Start the worker here, or by `argv` on the machine that `system` describes."""
        self._process = subprocess.Popen(
            argv or ["unshare", "--net", "--mount", sys.executable, str(WORKER), network_namespace()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.system = system or System.here()
        self.release = self.system.release
        self.hz = self._hz()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)

    def see(self, keys: Iterable[str]) -> dict[str, Seen]:
        """Return what the namespace has of each key."""
        known = {key_path(key): key for key in keys}
        return {known[path]: Seen(**found) for path, found in self._ask(seen=list(known)).items()}

    def write(self, key: str, text: str, setup: Mapping[str, str] | None = None) -> Outcome:
        """Write `text` after the setup, and take everything back."""
        made = setup or {}
        answer = self._ask(path=key_path(key), setup=[[key_path(k), v] for k, v in made.items()], text=text)
        assert answer.pop("restored"), f"{key} could not be put back after {text!r}"
        peers = {key: answer["peers"][key_path(key)] for key in made}
        return Outcome(before=answer["before"], errno=answer["errno"], after=answer["after"], peers=peers)

    def _hz(self) -> int:
        """Find the timer rate: a time in jiffies has to fit an int."""
        for hz in (100, 250, 300, 1000, 1024):
            if self.write("net.ipv4.tcp_fin_timeout", str(INT_MAX // hz)).errno is None:
                return hz
        raise AssertionError("no timer rate fits")

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
