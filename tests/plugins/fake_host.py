"""A host whose /proc/sys, /etc and /var/lib are plain files below one folder."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from module_utils.host import Host
from module_utils.kernel import Kernel
from module_utils.request import make_request

SETTINGS = {
    "net.core.somaxconn": "4096",
    "net.ipv4.tcp_rmem": "4096\t131072\t6291456",
    "net.ipv4.tcp_congestion_control": "cubic",
    "net.ipv4.ip_local_reserved_ports": "",
}
DROPIN = "/etc/sysctl.d/99-tcptune.conf"
MODULES = "/etc/modules-load.d/99-tcptune.conf"
LIMITS = "/etc/security/limits.d/99-tcptune.conf"
# An instance, of which the name has an escape.
UNIT = "/etc/systemd/system/web@a\\x2db.service.d/99-tcptune.conf"
EVERY_KIND = {
    MODULES: "# late\nnf_conntrack\n",
    LIMITS: "* soft nofile 65536\n* hard nofile 65536\n",
    UNIT: "[Service]\nLimitNOFILE=65536\n",
    DROPIN: "net.core.somaxconn = 1024\n",
}
"""A file of each kind. Two of their folders are missing on a fake host."""
MISSING = ("/etc/security/limits.d", "/etc/systemd/system/web@a\\x2db.service.d")


class Crash(BaseException):
    """The power went."""


class FakeKernel(Kernel):
    """Takes any value, unless told to refuse it."""

    def __init__(self, root):
        super().__init__(root)
        self.refused = {}
        """(key, value) -> the errno to refuse with, and what is stored all the same."""
        self.moves = {}
        """Key -> another key, or several, that take the same value when it is written."""
        self.read_only = set()
        self.secret = set()
        self.writes = []

    def writable(self, key):
        return key not in self.read_only and super().writable(key)

    def _get(self, path):
        if path in {self.path(key) for key in self.secret}:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return super()._get(path)

    def _put(self, path, data):
        key, value = self._name(path), data.decode().strip()
        self.writes.append((key, value))
        if (key, value) in self.refused:
            number, stored = self.refused[key, value]
            if stored is not None:
                super()._put(path, stored.encode())
            raise OSError(number, os.strerror(number))
        super()._put(path, data)
        for moved in self.moved_by(key):
            super()._put(self.path(moved), data)

    def moved_by(self, key):
        moved = self.moves.get(key, ())
        return (moved,) if isinstance(moved, str) else moved

    def _name(self, path):
        return os.path.relpath(path, self.root).replace("/", ".")


class FakeHost(Host):
    """Builders and looks for tests. `crash_at` is the number of the step at which the power goes."""

    def __init__(self, root):
        self.steps = []
        self.crash_at = None
        self.armed = []
        super().__init__(str(root), FakeKernel(str(root / "proc/sys")), self._step)
        for key, value in SETTINGS.items():
            self.set(key, value)
        self.boot("first-boot")
        for folder in ("etc/sysctl.d", "etc/modules-load.d", "etc/security", "etc/systemd/system"):
            (root / folder).mkdir(parents=True)

    def arm(self, run, seconds):
        """Start no process: what a timer does is tested where it is meant to."""
        self.armed.append((run, seconds))
        self.reached("armed")

    def _step(self, step):
        self.steps.append(step)
        if self.crash_at == len(self.steps):
            raise Crash(step)

    def set(self, key, value):
        """Somebody else writes a setting."""
        path = Path(self.kernel.path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")

    def get(self, key):
        return self.kernel.read(key).shown

    def values(self):
        return {key: self.get(key) for key in SETTINGS}

    def file(self, path=DROPIN):
        return Path(self.path(path))

    def boot(self, boot_id, settings=None):
        """The host boots: the settings are what they were, or `settings`."""
        path = Path(self.path("/proc/sys/kernel/random/boot_id"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(boot_id + "\n")
        for key, value in (settings or {}).items():
            self.set(key, value)

    def tree(self):
        """Every file but our records and the boot's id: its bytes (settings: with single spaces), mode and owner.

        Of /etc, the folders too.
        """
        found = {}
        for path in sorted(Path(self.root).rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_file() and not name.startswith("var/lib/tcptune") and path.name != "boot_id":
                data = " ".join(path.read_text().split()) if name.startswith("proc") else path.read_bytes()
                found[name] = (data, oct(path.stat().st_mode), path.stat().st_uid)
            elif path.is_dir() and name.startswith("etc"):
                found[name] = (None, oct(path.stat().st_mode), path.stat().st_uid)
        return found

    def everything(self):
        """Every file and folder, with times: what a mere look must leave as it is."""
        return {
            str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in sorted(Path(self.root).rglob("*"))
        }


def asking(settings=None, before=None, files=(), run="run-1", **more):
    """A request; by default the one that most tests need: two settings and one file."""
    if settings is None:
        settings = {"net.core.somaxconn": "1024", "net.ipv4.tcp_rmem": "4096 131072 16777216"}
    return make_request(settings, before or {}, files, run, **more)


def dropin(content="net.core.somaxconn = 1024\n", **more):
    return dict({"path": DROPIN, "content": content}, **more)


def every_kind():
    """A file of each kind, in an order that has a folder to make in the middle."""
    return [dropin(content, path=path) for path, content in EVERY_KIND.items()]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()
