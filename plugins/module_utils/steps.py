# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The durable steps of each act, as a table: after each one a crash leaves something else on the host.

`Host.reached` is called at each, in this order. Tests take the list from here and kill the process at every one.
"""

from __future__ import annotations

from typing import Iterator

from .runs import CONFIRMED, CONFIRMING, HELD, PREPARED, ROLLED_BACK, ROLLING_BACK, RUNNING, Manifest

EACH_KEY, EACH_FILE, EACH_FOLDER = "each key", "each file", "each folder"

STEPS: dict[str, tuple[str, ...]] = {
    "apply": (PREPARED, "deadline", "armed", RUNNING, EACH_KEY, "stored", HELD),
    # Armed is the guard of a run that has no timer: it undoes the files should confirm die.
    # Folders is the record of those that are made; reloaded is where a drop-in of a service changes.
    "confirm": ("folders", CONFIRMING, "armed", EACH_FOLDER, EACH_FILE, "reloaded", CONFIRMED, "disarmed"),
    # Armed again where the run had no timer, or somebody ended it.
    "extend": ("deadline", "armed"),
    # Found and side effects are those of a run that has side effects.
    "roll back": (
        *("found", ROLLING_BACK, EACH_FILE, EACH_FOLDER, EACH_KEY, "side effects", "reloaded", "left"),
        *(ROLLED_BACK, "disarmed"),
    ),
}


def steps_of(act: str, manifest: Manifest, *, timed: bool) -> Iterator[str]:
    """Yield the names of the steps of `act` for this run: a state, a setting, a file, a folder, or a word.

    `timed` says whether the run has a revert timer, which is running.
    """
    each = {
        EACH_KEY: [change.key for change in manifest.keys if change.changes],
        EACH_FILE: [change.path for change in manifest.files if change.changes],
        EACH_FOLDER: [*manifest.folders],
    }
    needed = {
        "found": bool(manifest.side_effects),
        "side effects": bool(manifest.side_effects),
        "folders": bool(manifest.folders),
        "reloaded": manifest.changes_units,
        "deadline": timed or act == "extend",
        "armed": timed == (act == "apply"),
    }
    for step in STEPS[act]:
        if step in each:
            yield from reversed(each[step]) if act == "roll back" else each[step]
        elif needed.get(step, True):
            yield step
