"""The genuine loaders, in namespaces of their own, as an oracle for the boot model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tcptune.domain.boot import Loader
from tcptune.domain.facts import SysctlFile
from tcptune.domain.values import key_path

WORKER = Path(__file__).with_name("boot_worker.py")
LOADERS = ("/usr/lib/systemd/systemd-sysctl", "/usr/sbin/sysctl")


def missing() -> str | None:
    """Say what the lab lacks on this machine, if anything."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in ("unshare", "mount", "ip") if shutil.which(name) is None]
    lacking += [path for path in LOADERS if not os.access(path, os.X_OK)]
    return f"needs {', '.join(lacking)}" if lacking else None


@dataclass(frozen=True)
class Laid:
    """A file as it is laid out: with content, or as a link to `target`."""

    path: str
    content: str = ""
    target: str | None = None


def as_facts(files: Iterable[Laid]) -> list[SysctlFile]:
    """Return what a probe would have seen: links followed, and nothing behind those that lead nowhere."""
    by_path = {file.path: file for file in files}
    found = []
    for path, file in by_path.items():
        seen = {path}
        end: Laid | None = file
        while end is not None and end.target is not None:
            target = os.path.normpath(PurePosixPath(end.path).parent / end.target)
            end = None if target in seen else by_path.get(target)
            seen.add(target)
        found.append(SysctlFile(path=path, content=end.content if end else "", link=file.target is not None))
    return found


class Lab:
    """One worker process. `keys` are the only ones that are reset between cases, so the only ones to use."""

    def __init__(self, root: Path, keys: Iterable[str], *, merged: bool = False) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--net", sys.executable, "-I", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        outside = str(Path("/proc/self/ns/net").readlink())
        paths = {key: key_path(key) for key in keys}
        self.defaults: dict[str, str] = self._ask(root=str(root), keys=paths, merged=merged, outside=outside)
        self._written: dict[tuple[str, str], dict[str, Any]] = {}

    def accepts(self, key: str, value: str) -> bool:
        """Ask the kernel."""
        return bool(self._write(key, value)["accepted"])

    def holding(self, key: str, value: str) -> str:
        """Return what the kernel prints after `value` was written over the default of `key`."""
        return str(self._write(key, value)["value"])

    def boot(self, loader: Loader, files: Iterable[Laid]) -> Mapping[str, str]:
        """Return what the loader leaves in every key."""
        laid = [{"path": f.path, "content": f.content, "target": f.target} for f in files]
        answer: dict[str, str] = self._ask(do="boot", loader=loader.value, files=laid)
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=10)

    def _write(self, key: str, value: str) -> dict[str, Any]:
        if (key, value) not in self._written:
            self._written[key, value] = self._ask(do="write", key=key, value=value)
        return self._written[key, value]

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the worker ended with {self._process.wait(10)}"
        return json.loads(answer)
