# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An outcome as the list of before and after texts that Ansible prints with --diff, and its files in short."""

from __future__ import annotations

from .decisions import KeyShift, Outcome
from .request import ABSENT
from .storage import sha256


def diff(outcome: Outcome, note: str = "") -> list[dict[str, str]]:
    """Return the runtime's entry, then one for each file, whose name is followed by `note`."""
    entries = [_entry("runtime", _lines(outcome.keys, 1), _lines(outcome.keys, 2))]
    entries += [_entry(file.path + note, _text(file.now), _text(file.then)) for file in outcome.files]
    return entries


def digests(outcome: Outcome) -> list[dict[str, str]]:
    """Return each file with the SHA-256 of what is there before and after, `absent` where there is none."""
    return [
        {"path": file.path, "before_sha256": _digest(file.now), "after_sha256": _digest(file.then)}
        for file in outcome.files
    ]


def _digest(data: bytes | None) -> str:
    return ABSENT if data is None else sha256(data)


def _entry(header: str, before: str, after: str) -> dict[str, str]:
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def _lines(shifts: tuple[KeyShift, ...], column: int) -> str:
    return "".join(f"{shift.key} = {shift[column]}".rstrip() + "\n" for shift in shifts)


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "replace")
