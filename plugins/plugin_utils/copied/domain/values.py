# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/values.py by tests/collection/copies.py: change it there.
"""What every domain value is made of: the frozen base, and kernel text settled once at the edge."""

from __future__ import annotations

import re
from typing import Annotated

from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_:@-]+)+")
_NUMBER = re.compile(r"-?[0-9]{1,20}")
_SECRET = re.compile(r"(?:^|[./])(?:tcp_fastopen_key|netdev_rss_key|\w*_secret)$")


class Frozen(BaseModel):
    """Base of every domain value: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def kernel_text(value: object) -> str:
    r"""Return `value` as the kernel would print it, with single spaces.

    >>> kernel_text("4096\t131072  6291456\n")
    '4096 131072 6291456'

    Raises ValueError for a YAML boolean or a null: the kernel has neither.
    """
    if isinstance(value, bool):
        raise ValueError("write 0 or 1; the kernel has no booleans")
    if value is None:
        raise ValueError("a value is missing here")
    if isinstance(value, list | tuple):
        return " ".join(kernel_text(item) for item in value)
    if isinstance(value, dict):
        raise ValueError("write a value here, not a mapping")
    return " ".join(str(value).split())


def sysctl_key(value: str) -> str:
    """Return a key in dotted form. Raises ValueError for what cannot name a file below /proc/sys.

    The first separator decides what the dots mean, as in sysctl.d(5): `net/ipv4/conf/eth0.100/rp_filter`
    and `net.ipv4.conf.eth0/100.rp_filter` are one key, and the latter is how it is stored.
    """
    text = value.strip()
    if not _KEY.fullmatch(text) or ".." in text or "//" in text:
        raise ValueError(f"{value!r} is not a sysctl key")
    first = next(c for c in text if c in "./")
    if first == "/":
        text = text.translate(str.maketrans("./", "/."))
    if is_secret(text):
        raise ValueError(f"{text} is a secret; it is never read, compared or written")
    return text


def is_secret(key: str) -> bool:
    """Say whether a key, dotted or as a path, holds what must not leave the host."""
    return _SECRET.search(key) is not None


def key_path(key: str) -> str:
    """Return the file of a dotted `key`, relative to /proc/sys.

    >>> key_path("net.ipv4.conf.eth0/100.rp_filter")
    'net/ipv4/conf/eth0.100/rp_filter'
    """
    return key.translate(str.maketrans("./", "/."))


KernelText = Annotated[str, BeforeValidator(kernel_text)]
SysctlKey = Annotated[str, AfterValidator(sysctl_key)]


def numbers(text: str) -> tuple[int, ...] | None:
    """Return the decimal numbers of a kernel text, or None where it holds anything else."""
    tokens = text.split()
    # Not int() alone: it takes 1_000, +5 and the digits of other scripts, which the kernel does not.
    if not all(_NUMBER.fullmatch(token) for token in tokens):
        return None
    return tuple(int(token) for token in tokens)
