# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is replaced, checked, and perhaps put back: what was there is kept beside it until all of that is done.

    .NAME.SHA256.before    the previous file, with its bytes, mode, owner and label
    .NAME.SHA256.absent    there was none

SHA256 is the digest of what replaces it, or `absent`. A process that dies in the middle leaves it, and the next one
puts the previous file back, unless the file is no longer the one that was written. By hand, `mv` does the same. Who
includes `*` or `*.conf` does not read it: a pattern matches no name that begins with a dot.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from . import storage

_ABSENT = "absent"


class Unfinished(NamedTuple):
    """What a change left that has died."""

    kept: str
    """Where the previous file is kept."""
    before: storage.FileState | None
    """The previous file, None where there was none."""
    stands: bool
    """Whether the file is as that change wrote it, so that it has to go back."""


def look(path: str) -> Unfinished | None:
    """Return what a change of `path` left that has died, None if none did. Raises OSError where it cannot be read."""
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape("." + name) + r"\.([0-9a-f]{64}|absent)\.(before|absent)")
    last = None
    for found in sorted(os.listdir(folder)):
        matched = pattern.fullmatch(found)
        if matched is None:
            continue
        kept = os.path.join(folder, found)
        before = storage.look(kept) if matched.group(2) == "before" else None
        last = Unfinished(kept, before, _digest(storage.look(path)) == matched.group(1))
        if last.stands:
            break
    return last


def keep(path: str, found: storage.FileState | None, wanted: bytes | None) -> str:
    """Keep what is at `path`, for good, before `wanted` takes its place. Return where."""
    folder, name = os.path.split(path)
    digest = _ABSENT if wanted is None else storage.sha256(wanted)
    kept = os.path.join(folder, f".{name}.{digest}.{_ABSENT if found is None else 'before'}")
    storage.write(kept, found or storage.new_file(b"", 0o600))
    return kept


def settle(path: str) -> None:
    """Put back what changes of `path` that died have replaced, and forget them."""
    folder, name = os.path.split(path)
    storage.sweep(path)
    storage.sweep(os.path.join(folder, "." + name))
    left = look(path)
    while left:
        if left.stands:
            put(path, left.before)
        storage.remove(left.kept)
        left = look(path)


def put(path: str, found: storage.FileState | None) -> None:
    """Make `path` be `found`, or be gone where that is None."""
    if found is None:
        storage.remove(path)
    else:
        storage.write(path, found)


def _digest(found: storage.FileState | None) -> str:
    return _ABSENT if found is None else found.sha256
