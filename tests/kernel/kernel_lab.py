"""The running kernel as an oracle: a fresh network namespace whose settings tests may write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
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
class Seen:
    """A key as the namespace has it."""

    view: str
    mode: int = 0
    text: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What one write did."""

    before: str
    errno: str | None
    after: str
    peers: Mapping[str, str]


class Kernel:
    """One worker process in its namespace."""

    def __init__(self) -> None:
        outside = str(Path("/proc/self/ns/net").readlink())
        self._process = subprocess.Popen(
            ["unshare", "--net", "--mount", sys.executable, str(WORKER), outside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.release = os.uname().release
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
