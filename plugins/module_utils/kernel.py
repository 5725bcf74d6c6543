# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One kernel setting at a time: name it, read it, write it, compare it as the kernel would.

No Ansible and no other package: this runs with the Python found on the managed host.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from typing import Any, Callable, NamedTuple

from .errors import Refused

SECRETS = frozenset({"tcp_fastopen_key", "stable_secret"})
"""Last parts of keys that hold secrets: never read, never written."""

VALUE, ABSENT, FORBIDDEN = "value", "absent", "forbidden"

_PART = re.compile(r"[A-Za-z0-9_.:@+,=~%-]+")
_SWAP = str.maketrans("./", "/.")
# A large bitmap is printed by the first read alone, and 65535 ports can take 200 kB.
_READ_BYTES = 1 << 18


class Reading(NamedTuple):
    """What a read gave: a value, or the reason why there is none."""

    state: str
    text: str = ""
    why: str = ""

    @property
    def shown(self) -> str:
        """Return the value, or the state where there is none."""
        return self.text if self.state == VALUE else self.state


class Written(NamedTuple):
    """What a write did. `found` was read afterwards, whether or not the kernel refused."""

    key: str
    value: str
    found: Reading
    error: OSError | None

    @property
    def ok(self) -> bool:
        """Return whether the kernel took the value, and now shows it."""
        return self.error is None and self.found.state == VALUE and same(self.key, self.found.text, self.value)


def relative_path(key: str) -> str:
    """Return the file of `key` below /proc/sys. The first separator decides what a dot means.

    >>> relative_path("net.ipv4.conf.eth0/100.rp_filter")
    'net/ipv4/conf/eth0.100/rp_filter'

    Raises Refused for anything that cannot be the name of a setting, and for secrets.
    """
    first = next((char for char in key if char in "./"), "")
    path = key.translate(_SWAP) if first == "." else key
    parts = path.split("/")
    if len(parts) < 2 or any(part in ("", ".", "..") or not _PART.fullmatch(part) for part in parts):
        raise Refused(f"{key!r} is no kernel setting", hint="write it as sysctl does: net.core.somaxconn", key=key)
    if parts[-1] in SECRETS:
        raise Refused(f"{dotted(path)} is a secret: it is never read or written", hint="leave it out", key=key)
    return path


def dotted(path: str) -> str:
    """Return the name with dots, the one spelling used in records, of a path below /proc/sys.

    >>> dotted("net/ipv4/conf/eth0.100/rp_filter")
    'net.ipv4.conf.eth0/100.rp_filter'
    """
    return path.translate(_SWAP)


def canonical(key: str) -> str:
    """Return the one spelling of `key` that is used in records. Raises Refused like `relative_path`."""
    return dotted(relative_path(key))


def kernel_text(text: str) -> str:
    """Return a value with single spaces: the kernel separates with tabs, people with spaces."""
    return " ".join(text.split())


def bitmap(text: str) -> frozenset[int]:
    """Return the numbers of a list such as 80,8080-8082. Raises ValueError."""
    bits: set[int] = set()
    for piece in text.split(",") if text else ():
        low, _, high = piece.partition("-")
        if int(high or low) > 65535:
            raise ValueError(text)
        bits.update(range(int(low), int(high or low) + 1))
    return frozenset(bits)


def names(text: str) -> frozenset[str]:
    """Return the words, without their order."""
    return frozenset(text.split())


def mask(text: str) -> int:
    """Return the number that a hexadecimal mask stands for. Raises ValueError."""
    return int(text.replace(",", ""), 16)


FOLDED: dict[str, Callable[[str], Any]] = {
    # Written as "8081,8080,8082", shown as "8080-8082".
    "net.ipv4.ip_local_reserved_ports": bitmap,
    "net.ipv4.icmp.ratemask": bitmap,
    "net.ipv6.icmp.ratemask": bitmap,
    # Shown in the order in which the modules were loaded.
    "net.ipv4.tcp_allowed_congestion_control": names,
    # Hexadecimal, with as many zeros in front as there are CPUs.
    "net.core.flow_limit_cpu_bitmap": mask,
    "net.core.rps_default_mask": mask,
}
"""Keys whose value the kernel shows in other words than it was written: how to compare them."""


SIDE_EFFECTS: dict[str, tuple[str, ...]] = {
    # A router forwards on every interface and takes no redirects; a host is the opposite.
    "net.ipv4.ip_forward": ("net/ipv4/conf/*/forwarding", "net/ipv4/conf/all/accept_redirects"),
    "net.ipv4.conf.all.forwarding": ("net/ipv4/conf/*/forwarding", "net/ipv4/conf/all/accept_redirects"),
    "net.ipv6.conf.all.disable_ipv6": ("net/ipv6/conf/*/disable_ipv6",),
}
"""Keys that change others when they change: the paths of those below /proc/sys, `*` for one folder."""

_DEFAULT = "net.ipv4.conf.default."


def side_effects(key: str) -> tuple[str, ...]:
    """Return the paths below /proc/sys, with `*` for one folder, of the keys that a change of `key` changes too."""
    if key.startswith(_DEFAULT):
        # Also given to every interface whose own value nobody has written yet.
        return ("net/ipv4/conf/*/" + key[len(_DEFAULT) :],)
    return SIDE_EFFECTS.get(key, ())


def same(key: str, one: str, other: str) -> bool:
    """Return whether two values of `key` mean the same to the kernel."""
    one, other = kernel_text(one), kernel_text(other)
    if one == other:
        return True
    fold = FOLDED.get(key)
    if fold is None:
        return False
    try:
        return bool(fold(one) == fold(other))
    except ValueError:
        return False


def made_of(key: str, text: str, *ours: str) -> bool:
    """Return whether `text` is one of `ours`, or a mix of their numbers, field by field.

    The kernel stores the leading numbers of a vector before it refuses a later one, so a write that was cut short
    leaves such a mix.
    """
    if any(same(key, text, one) for one in ours):
        return True
    fields = [one.split() for one in ours]
    tokens = text.split()
    return len(tokens) > 1 and all(
        any(len(one) == len(tokens) and one[at] == token for one in fields) for at, token in enumerate(tokens)
    )


class Kernel:
    """The settings below one folder, /proc/sys unless a test says otherwise."""

    def __init__(self, root: str = "/proc/sys") -> None:
        self.root = root

    def path(self, key: str) -> str:
        """Return the file of `key`. Raises Refused like `relative_path`."""
        return os.path.join(self.root, relative_path(key))

    def read(self, key: str) -> Reading:
        """Return the value with single spaces, or why there is none."""
        try:
            return Reading(VALUE, kernel_text(self._get(self.path(key)).decode("utf-8", "replace")))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            return Reading(ABSENT, why=error.strerror or "")
        except OSError as error:
            return Reading(FORBIDDEN, why=error.strerror or str(error))

    def writable(self, key: str) -> bool:
        """Return whether a write would be let in. Asks, never writes: also right in a read-only tree."""
        return os.access(self.path(key), os.W_OK)

    def found(self, pattern: str) -> list[str]:
        """Return the keys at a path below /proc/sys with `*` for one folder, sorted."""
        names = glob.glob(os.path.join(glob.escape(self.root), pattern))
        paths = [os.path.relpath(name, self.root) for name in names]
        # An interface may have a name that no key can have.
        return sorted(dotted(path) for path in paths if all(_PART.fullmatch(part) for part in path.split("/")))

    def write(self, key: str, value: str) -> Written:
        """Write `value` at once, then read back, also after a refusal: the kernel may have stored a part."""
        error = None
        try:
            self._put(self.path(key), (value + "\n").encode())
        except OSError as refusal:
            error = refusal
        return Written(key, value, self.read(key), error)

    def _get(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(descriptor, _READ_BYTES)
        finally:
            os.close(descriptor)

    def _put(self, path: str, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            # Once: what a second call would write is a value of its own.
            os.write(descriptor, data)
        finally:
            os.close(descriptor)


_HINTS = {
    errno.EINVAL: "the value is outside what this kernel accepts",
    errno.ENOENT: "this kernel knows no such name; a module may have to be loaded first",
    errno.EPERM: "this network namespace, or a security module, does not allow this value",
    errno.EACCES: "the setting is read-only here, or this is not root",
    errno.EROFS: "/proc/sys is mounted read-only here, as in most containers",
}


def hint_for(error: OSError | None) -> str:
    """Return what a refusal by the kernel most probably means."""
    if error is None:
        return "the kernel took it and shows something else; plan the value it shows"
    return _HINTS.get(error.errno or 0, "see the kernel's log: dmesg")
