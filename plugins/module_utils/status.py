# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of its runs. Changes nothing, and takes no lock: it also answers while a change is under way."""

from __future__ import annotations

from typing import Any

from . import recovery, timer
from .errors import Locked
from .host import Host
from .request import check_run
from .runs import Manifest


def status(host: Host, run: str) -> dict[str, Any]:
    """Return the record of `run` beside what the kernel shows now."""
    manifest = host.runs.load(check_run(run))
    return {
        **_brief(host, manifest),
        "keys": [dict(change._asdict(), now=host.kernel.read(change.key).shown) for change in manifest.keys],
        "files": [change.path for change in manifest.files],
        "left": list(manifest.left),
        "history": [{"state": state, "at": at} for state, at in manifest.history],
    }


def runs(host: Host) -> list[dict[str, Any]]:
    """Return every run of the host in short, the oldest first."""
    return [_brief(host, manifest) for manifest in host.runs.all()]


def busy(host: Host) -> str | None:
    """Return who changes the host right now, None if nobody does."""
    try:
        host.runs.lock.peek()
    except Locked as locked:
        return str(locked.facts["holder"])
    return None


def _brief(host: Host, manifest: Manifest) -> dict[str, Any]:
    found = timer.look(host.runs.at(manifest.run))
    return {
        "run": manifest.run,
        "host_state": manifest.state,
        # What the next call makes of it, if nobody is at work.
        "ends": recovery.ending(host, manifest),
        "booted_since": manifest.boot_id != host.boot_id(),
        "since": manifest.history[-1][1],
        "timer": found._asdict() if found else None,
    }
