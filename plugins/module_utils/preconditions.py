# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to hold on a host beside values and files: room for the record, and the order of its runs."""

from __future__ import annotations

import os
from typing import Iterator

from .errors import ChangeError, Refused
from .host import Host
from .kernel import VALUE, same
from .owned import kind_of, nofile_limits
from .request import Request
from .runs import CONFIRMING, UNDONE, Manifest

NR_OPEN = "fs.nr_open"
"""The highest limit of open files that the kernel takes, from anybody: setrlimit(2)."""

ROOM_BYTES, ROOM_FILES = 256 * 1024, 32
"""What a file system has to have left beside the bytes of the files: for the record, its states and the way back."""


def newest_first(host: Host, manifest: Manifest) -> None:
    """Raise Refused if a newer run stands on this one: what it would restore is then not what was there."""
    for newer in host.runs.all():
        if newer.sequence <= manifest.sequence or newer.state in UNDONE:
            continue
        theirs = {*_touched(newer)}
        both = [key for key in _touched(manifest) if key in theirs]
        if manifest.reached(CONFIRMING) and newer.reached(CONFIRMING):
            both += [change.path for change in manifest.files if change.path in {file.path for file in newer.files}]
        if both:
            raise Refused(
                f"run {newer.run} came after run {manifest.run} and changed {both[0]} too",
                hint=f"roll back {newer.run} first",
                run=manifest.run,
                host_state=manifest.state,
                key=both[0],
                newer=newer.run,
            )


def _touched(manifest: Manifest) -> Iterator[str]:
    """Yield the settings that a run, or the kernel along with it, may have changed."""
    yield from (change.key for change in manifest.keys)
    yield from (
        effect.key
        for effect in manifest.side_effects
        if effect.stored is None or not same(effect.key, effect.replaced, effect.stored)
    )


def no_room(host: Host, request: Request) -> Iterator[ChangeError]:
    """Yield a problem for each file system that could not take the record, or the files."""
    size = sum(len(file.data or b"") for file in request.files)
    folders = {_existing(os.path.dirname(host.path(file.path))): size for file in request.files}
    # The record holds each file twice, before and after.
    folders[_existing(host.runs.folder)] = 2 * size
    for folder, needed in sorted(folders.items()):
        try:
            free = os.statvfs(folder)
        except OSError:
            # No folder: that is said elsewhere.
            continue
        bytes_left = free.f_bfree * free.f_frsize
        # Some file systems count no files.
        if bytes_left < needed + ROOM_BYTES or (free.f_files and free.f_ffree < ROOM_FILES):
            left = f"{bytes_left // 1024} kB and {free.f_ffree} files"
            yield Refused(f"{folder} has room for {left} only", hint="make room on that file system", key=folder)


def no_logins(host: Host, request: Request) -> Iterator[ChangeError]:
    """Yield a problem for each limit that the kernel would refuse: then PAM opens no session, and nobody logs in."""
    found = host.kernel.read(NR_OPEN)
    most = request.settings.get(NR_OPEN, found.text if found.state == VALUE else "")
    if not most.isdigit():
        return
    for file in request.files:
        kind, text = kind_of(file.path), (file.data or b"").decode()
        highest = max(nofile_limits(text), default=0) if kind and kind.is_for_logins else 0
        if highest > int(most):
            yield Refused(
                f"{file.path}: {highest} open files are above {NR_OPEN} = {most}, so nobody could log in",
                hint=f"set {NR_OPEN} in the same run, or a lower limit",
                key=file.path,
            )


def _existing(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
