"""Runs the genuine sysctl loaders where they can do no harm, on behalf of boot_lab.

Started by `unshare --mount --net`, as root. The loaders are confined to a root of their own, in which only the network
keys of this namespace can be written. Reads one JSON request per line and answers with one; ends with its input.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDERS = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d")
COMMANDS = {"systemd": ["/usr/lib/systemd/systemd-sysctl"], "procps": ["/usr/sbin/sysctl", "-q", "--system"]}
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin", "SYSTEMD_LOG_TARGET": "null"}


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def build(root: Path, *, merged: bool) -> None:
    """Build the loaders' root. Unless `merged`, /lib is a folder of its own with its own sysctl.d."""
    mount("-t", "tmpfs", "tmpfs", root)
    for name in ("etc", "run", "tmp", "dev", "proc", "usr"):
        (root / name).mkdir()
    for name in ("bin", "sbin", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    mount("--bind", "/usr", root / "usr")
    mount("-o", "remount,bind,ro", root / "usr")
    mount("-t", "tmpfs", "tmpfs", root / "usr/lib/sysctl.d")
    mount("-t", "tmpfs", "tmpfs", root / "usr/local/lib")
    if merged:
        (root / "lib").symlink_to("usr/lib")
    else:
        (root / "lib").mkdir()
        for entry in Path("/usr/lib").iterdir():
            if entry.name != "sysctl.d":
                (root / "lib" / entry.name).symlink_to(entry)
    (root / "dev/null").touch()
    mount("--bind", "/dev/null", root / "dev/null")
    mount("-t", "proc", "proc", root / "proc")
    mount("--bind", root / "proc/sys", root / "proc/sys")
    mount("-o", "remount,bind,ro", root / "proc/sys")
    mount("--bind", root / "proc/sys/net", root / "proc/sys/net")
    mount("-o", "remount,bind,rw", root / "proc/sys/net")
    subprocess.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0.100"], check=True)


def refuse_to_do_harm(root: Path, outside: str) -> None:
    if str(Path("/proc/self/ns/net").readlink()) == outside:
        raise SystemExit("this is the machine's own network namespace")
    for path in (root / "proc/sys").rglob("*"):
        if path.is_file() and path.relative_to(root / "proc/sys").parts[0] != "net" and os.access(path, os.W_OK):
            raise SystemExit(f"{path} can be written")


class Worker:
    def __init__(self, root: Path, keys: dict[str, str]) -> None:
        self.root = root
        self.paths = {key: root / "proc/sys" / path for key, path in keys.items()}
        self.defaults = self.values()
        for key, path in self.paths.items():
            # Once written, an interface's value no longer follows conf.default.
            path.write_text(self.defaults[key] + "\n")

    def values(self) -> dict[str, str]:
        return {key: path.read_text().rstrip("\n") for key, path in self.paths.items()}

    def reset(self) -> None:
        for key, value in self.values().items():
            if value != self.defaults[key]:
                self.paths[key].write_text(self.defaults[key] + "\n")

    def write(self, key: str, value: str) -> dict[str, Any]:
        """Write one value over the default; say whether the kernel took it and what it holds then."""
        self.reset()
        try:
            descriptor = os.open(self.paths[key], os.O_WRONLY)
            try:
                os.write(descriptor, f"{value}\n".encode(errors="surrogateescape"))
            finally:
                os.close(descriptor)
        except OSError:
            accepted = False
        else:
            accepted = True
        return {"accepted": accepted, "value": self.values()[key]}

    def boot(self, loader: str, files: list[dict[str, Any]]) -> dict[str, str]:
        """Lay out the files, run one loader and read every key."""
        self.reset()
        for name in FOLDERS:
            folder = self.root / name
            folder.mkdir(exist_ok=True)
            for old in folder.iterdir():
                old.unlink()
        for old in (self.root / "etc").iterdir():
            if not old.is_dir():
                old.unlink()
        for file in files:
            path = self.root / file["path"].lstrip("/")
            if file["target"] is not None:
                path.symlink_to(file["target"])
            else:
                path.write_bytes(file["content"].encode(errors="surrogateescape"))
        self.run(COMMANDS[loader])
        return self.values()

    def run(self, command: list[str]) -> None:
        child = os.fork()
        if child == 0:
            try:
                os.chroot(self.root)
                os.chdir("/")
                null = os.open("/dev/null", os.O_RDWR)
                for descriptor in (0, 1, 2):
                    os.dup2(null, descriptor)
                os.execve(command[0], command, ENVIRONMENT)  # noqa: S606 - no shell is the point
            finally:
                os._exit(127)
        _, status = os.waitpid(child, 0)
        if not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 127:
            raise SystemExit(f"{command[0]} did not run: {status}")


def main() -> None:
    setup = json.loads(sys.stdin.readline())
    root = Path(setup["root"])
    build(root, merged=setup["merged"])
    refuse_to_do_harm(root, setup["outside"])
    worker = Worker(root, setup["keys"])
    answer: Any = worker.defaults
    while True:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        request = json.loads(line)
        answer = getattr(worker, request.pop("do"))(**request)


if __name__ == "__main__":
    if shutil.which("ip") is None:
        raise SystemExit("needs iproute2")
    main()
