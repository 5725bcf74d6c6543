# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The durable steps of each act, as a table: after each one a crash leaves something else on the host.

`Host.reached` is called at each, in this order. Tests take the list from here and kill the process at every one.
"""

from __future__ import annotations

from typing import Iterator

from .runs import CONFIRMED, CONFIRMING, HELD, PREPARED, ROLLED_BACK, ROLLING_BACK, RUNNING, Manifest

EACH_KEY, EACH_FILE = "each key", "each file"

STEPS: dict[str, tuple[str, ...]] = {
    "apply": (PREPARED, "deadline", "armed", RUNNING, EACH_KEY, "stored", HELD),
    # Armed is the guard of a run that has no timer: it undoes the files should confirm die.
    "confirm": (CONFIRMING, "armed", EACH_FILE, CONFIRMED, "disarmed"),
    # Armed again where the run had no timer, or somebody ended it.
    "extend": ("deadline", "armed"),
    # Found and side effects are those of a run that has side effects.
    "roll back": ("found", ROLLING_BACK, EACH_FILE, EACH_KEY, "side effects", "left", ROLLED_BACK, "disarmed"),
}


def steps_of(act: str, manifest: Manifest, *, timed: bool) -> Iterator[str]:
    """Yield the names of the steps of `act` for this run: a state, a setting, a file, or a word.

    `timed` says whether the run has a revert timer, which is running.
    """
    backwards = act == "roll back"
    for step in STEPS[act]:
        if step == EACH_KEY:
            keys = [change.key for change in manifest.keys if change.changes]
            yield from reversed(keys) if backwards else keys
        elif step == EACH_FILE:
            paths = [change.path for change in manifest.files if change.changes]
            yield from reversed(paths) if backwards else paths
        elif step in ("found", "side effects"):
            if manifest.side_effects:
                yield step
        elif step == "deadline":
            if timed or act == "extend":
                yield step
        elif step == "armed":
            if timed == (act == "apply"):
                yield step
        else:
            yield step
