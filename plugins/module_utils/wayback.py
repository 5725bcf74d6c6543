# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rollback.sh reads, beside the manifest: the same facts, a line each, in the order of the way back.

    keys    six lines for each setting that changes: name, path, how to compare, before, after, after as the kernel
            shows it (the same as after until it was read back)
    effects six lines for each side effect: name, path, how to compare, the setting that takes it along, before, as the
            kernel shows it (before again until it was read back)
    files   eight lines for each owned file: name, path, number, digest before and digest after (or absent), mode,
            owner, label
    folders a line for each folder that confirm makes, or has made: its path
    reload  a line if the service manager has to be told of the files: the folder that is there if that is systemd
    boot    two lines: where the kernel says which boot this is, and what it said

No line holds a line end: values have single spaces, names and paths were checked when the request was made.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Iterable

from . import systemd
from .kernel import FOLDED, bitmap, mask, names
from .request import ABSENT

if TYPE_CHECKING:
    from .runs import FileChange, KeyChange, Manifest, SideEffect

_HOW: dict[Any, str] = {names: "names", mask: "mask"}


def lines(manifest: Manifest, key_path: Callable[[str], str], path: Callable[[str], str]) -> dict[str, bytes]:
    """Return what each file holds. `key_path` says where a setting is, `path` where a file of a real host is."""
    changing = [change for change in reversed(manifest.keys) if change.changes]
    return {
        "keys": _text(line for change in changing for line in _key(change, key_path(change.key))),
        "effects": _text(line for effect in manifest.side_effects for line in _effect(effect, key_path(effect.key))),
        "files": _text(
            line for at, change in reversed([*enumerate(manifest.files)]) for line in _file(at, change, path)
        ),
        "folders": _text(path(folder) for folder in reversed(manifest.folders)),
        "reload": _text((path(systemd.BOOTED),) if manifest.changes_units else ()),
        "boot": _text((path("/proc/sys/kernel/random/boot_id"), manifest.boot_id)),
    }


def _key(change: KeyChange, path: str) -> tuple[str, ...]:
    fold = FOLDED.get(change.key)
    after = change.after
    if fold is bitmap:
        # A shell cannot compare two lists of ports, so it is told how the kernel will show this one. A list that is
        # wrong is left as it is: the kernel will refuse it.
        with contextlib.suppress(ValueError):
            after = _ranges(bitmap(after))
    stored = after if change.stored is None else change.stored
    return (change.key, path, _HOW.get(fold, "text"), change.replaced, after, stored)


def _effect(effect: SideEffect, path: str) -> tuple[str, ...]:
    stored = effect.replaced if effect.stored is None else effect.stored
    return (effect.key, path, _HOW.get(FOLDED.get(effect.key), "text"), effect.by, effect.replaced, stored)


def _file(at: int, change: FileChange, path: Callable[[str], str]) -> tuple[str, ...]:
    before, after = change.before, change.after_sha256 or ABSENT
    if before is None:
        return (change.path, path(change.path), str(at), ABSENT, after, "-", "-", "")
    return (
        change.path,
        path(change.path),
        str(at),
        before.sha256,
        after,
        f"{before.mode:04o}",
        f"{before.uid}:{before.gid}",
        before.label or "",
    )


def _ranges(bits: frozenset[int]) -> str:
    """Return the bits as the kernel shows them.

    >>> _ranges(frozenset({8080, 8081, 8082, 9000}))
    '8080-8082,9000'
    """
    found: list[list[int]] = []
    for bit in sorted(bits):
        if found and found[-1][1] == bit - 1:
            found[-1][1] = bit
        else:
            found.append([bit, bit])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in found)


def _text(lines_: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines_).encode("utf-8", "surrogateescape")
