# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a run whose process died, whose time is over, or whose host was booted.

To be asked where nobody holds the host's lock: then no process is at work, and a state in the middle is a crash.

    the host was booted since
        prepared, running, held    lost: a boot reads no file of ours before confirm, and the values are gone
        confirming                 confirmed if every file is ours: the boot gave the new values. Else rolled back
        rolling_back               rolled back
    it was not
        prepared, running          rolled back
        confirming                 reverted, unless the same run is confirmed again
        rolling_back               rolled back
        held, its time over        reverted: who confirms after that is too late, whichever process comes first
        held, its time not over    stays

failed_restored stays as well: what stood in the way once should be looked at by somebody.
"""

from __future__ import annotations

from typing import Callable

from . import storage, timer
from .host import Host
from .runs import (
    CONFIRMED,
    CONFIRMING,
    HELD,
    LOST,
    PREPARED,
    REVERTED,
    ROLLED_BACK,
    ROLLING_BACK,
    RUNNING,
    Manifest,
)

Kept = Callable[[Manifest, str], bool]
"""Says of a run, and the state in which it is to end, whether the caller deals with it."""


def ending(host: Host, manifest: Manifest) -> str | None:
    """Return the state in which a run is to end that nobody works at, None if it stays as it is. Changes nothing."""
    state = manifest.state
    if manifest.boot_id != host.boot_id():
        if state in (PREPARED, RUNNING, HELD):
            return LOST
        if state == CONFIRMING:
            return CONFIRMED if _all_written(host, manifest) else ROLLED_BACK
    if state == HELD:
        return REVERTED if timer.over(host.runs.at(manifest.run)) else None
    return {PREPARED: ROLLED_BACK, RUNNING: ROLLED_BACK, CONFIRMING: REVERTED, ROLLING_BACK: ROLLED_BACK}.get(state)


def pending(host: Host, kept: Kept) -> list[tuple[Manifest, str]]:
    """Return each run that has to end, and how, but for those that are the caller's own business."""
    found = [(manifest, ending(host, manifest)) for manifest in host.runs.unfinished()]
    return [(manifest, end) for manifest, end in found if end is not None and not kept(manifest, end)]


def settle(host: Host, undo: Callable[[Manifest, str], object], kept: Kept) -> None:
    """End each pending run, with the lock held. `undo` takes one back and leaves it in the given state."""
    for manifest, end in pending(host, kept):
        if end in (LOST, CONFIRMED) or manifest.state == PREPARED:
            host.move(manifest, end)
            host.disarm(manifest.run)
        else:
            undo(manifest, end)


def _all_written(host: Host, manifest: Manifest) -> bool:
    found = [storage.look(host.path(change.path)) for change in manifest.files]
    return all(
        (file.sha256 if file else None) == change.after_sha256
        for file, change in zip(found, manifest.files)  # noqa: B905  Python 3.8 knows no strict=
    )
