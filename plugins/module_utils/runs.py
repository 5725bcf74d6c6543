# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own record of each run, and the states it moves through.

    /var/lib/tcptune/lock
    /var/lib/tcptune/runs/RUN/manifest.json   what was there, what was written, how far we got
    /var/lib/tcptune/runs/RUN/0.before        previous bytes of file 0, missing if there was no file
    /var/lib/tcptune/runs/RUN/0.after         the bytes that confirm writes

A state is on disk before it is acted upon.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import Any, Iterator, NamedTuple

from . import storage
from .errors import Failed, Refused, UnknownRun
from .kernel import same
from .lock import HostLock

FORMAT_VERSION = 1

PREPARED = "prepared"  # everything needed for the way back is on disk, nothing is written
RUNNING = "running"  # keys are being written
HELD = "held"  # all keys are written and read back; a boot would still give the old values
CONFIRMING = "confirming"  # files are being written
CONFIRMED = "confirmed"  # a boot gives the new values too
ROLLING_BACK = "rolling_back"  # files and keys are being restored
ROLLED_BACK = "rolled_back"  # all is restored, by roll back or by an apply that failed, except what `left` names
FAILED_RESTORED = "failed_restored"  # the restore itself failed: something of ours is still there

MOVES: dict[str, frozenset[str]] = {
    PREPARED: frozenset({RUNNING, ROLLED_BACK, ROLLING_BACK}),
    RUNNING: frozenset({HELD, ROLLED_BACK, FAILED_RESTORED, ROLLING_BACK}),
    HELD: frozenset({CONFIRMING, ROLLING_BACK}),
    CONFIRMING: frozenset({CONFIRMED, HELD, ROLLING_BACK}),
    CONFIRMED: frozenset({ROLLING_BACK}),
    ROLLING_BACK: frozenset({ROLLED_BACK, FAILED_RESTORED}),
    # Again, for a key that was left alone and is now to be forced.
    ROLLED_BACK: frozenset({ROLLING_BACK}),
    FAILED_RESTORED: frozenset({ROLLING_BACK}),
}

FINISHED = frozenset({CONFIRMED, ROLLED_BACK})
"""States that leave the host free for the next run."""


class KeyChange(NamedTuple):
    """One setting of a run."""

    key: str
    before: str | None
    """What the plan said would be there; None where it did not say."""
    replaced: str
    """What was really there."""
    after: str
    stored: str | None = None
    """`after` as the kernel shows it, once it was read back."""

    @property
    def ours(self) -> tuple[str, ...]:
        """Return every value that is there because of us."""
        return (self.after, self.stored if self.stored is not None else self.after)

    @property
    def changes(self) -> bool:
        """Return whether the run had anything to do here."""
        return not same(self.key, self.replaced, self.after)


class SideEffect(NamedTuple):
    """A setting that nobody asked for and the kernel changes along with one of the run."""

    key: str
    by: str
    """The key of the run that changes it."""
    replaced: str
    """What was there."""
    stored: str | None = None
    """What the kernel made of it, once the run was held."""


class Before(NamedTuple):
    """A file as it was. Its bytes are beside the manifest."""

    sha256: str
    mode: int
    uid: int
    gid: int
    label: str | None


class FileChange(NamedTuple):
    """One owned file of a run. Its new bytes are beside the manifest."""

    path: str
    after_sha256: str
    before: Before | None
    """None where there was no file."""

    @property
    def before_sha256(self) -> str | None:
        """Return the digest of the previous bytes, None where there was no file."""
        return self.before.sha256 if self.before else None

    @property
    def changes(self) -> bool:
        """Return whether confirm has anything to write here."""
        return self.before_sha256 != self.after_sha256


class Manifest(NamedTuple):
    """All that a host knows of one run."""

    run: str
    state: str
    request_sha256: str
    boot_id: str
    keys: tuple[KeyChange, ...]
    files: tuple[FileChange, ...]
    side_effects: tuple[SideEffect, ...] = ()
    left: tuple[str, ...] = ()
    """Keys and files that a roll back left alone: a third party had changed them."""
    history: tuple[tuple[str, str], ...] = ()
    """Each state with the time in UTC when it was entered."""

    def reached(self, state: str) -> bool:
        """Return whether the run was ever in `state`."""
        return any(entered == state for entered, _ in self.history)

    @property
    def previous(self) -> dict[str, str]:
        """Return the values that the run replaced."""
        return {change.key: change.replaced for change in self.keys if change.changes}


class Runs:
    """The records below one folder, /var/lib/tcptune on a real host."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.join(folder, "runs")
        self.lock = HostLock(os.path.join(folder, "lock"))

    def load(self, run: str) -> Manifest:
        """Return the record of `run`. Raises UnknownRun, and Failed for a record that cannot be used."""
        path = os.path.join(self.folder, run, "manifest.json")
        try:
            with open(path, encoding="utf-8") as file:
                return decode(json.load(file))
        except (FileNotFoundError, NotADirectoryError):
            raise UnknownRun(f"this host has no run {run}", hint="compare the run's id and the host", run=run) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failed(f"cannot use {path}: {error}", hint="restore it from a backup", path=path) from error

    def unfinished(self) -> Iterator[Manifest]:
        """Yield each run that still needs confirm or roll back, in the order of their ids."""
        try:
            names = sorted(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            if not name.startswith("."):
                manifest = self.load(name)
                if manifest.state not in FINISHED:
                    yield manifest

    def create(self, manifest: Manifest, blobs: dict[str, bytes]) -> Manifest:
        """Record a new run, prepared. The folder appears complete or not at all."""
        final, draft = os.path.join(self.folder, manifest.run), os.path.join(self.folder, "." + manifest.run)
        storage.make_folder(self.folder)
        shutil.rmtree(draft, ignore_errors=True)
        manifest = _entered(manifest, PREPARED)
        try:
            os.mkdir(draft, 0o700)
            for name, data in blobs.items():
                storage.write(os.path.join(draft, name), storage.new_file(data, 0o600))
            self._save(draft, manifest)
            os.rename(draft, final)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        storage.sync_folder(self.folder)
        return manifest

    def move(self, manifest: Manifest, state: str) -> Manifest:
        """Put the run in `state`, on disk before this returns. Raises ValueError for a move not in MOVES."""
        if state not in MOVES[manifest.state]:
            raise ValueError("run {}: no move from {} to {}".format(manifest.run, manifest.state, state))
        manifest = _entered(manifest, state)
        self._save(os.path.join(self.folder, manifest.run), manifest)
        return manifest

    def blob(self, run: str, name: str, digest: str) -> bytes:
        """Return the bytes kept under `name`. Raises Failed if they are not the ones that were recorded."""
        path = os.path.join(self.folder, run, name)
        found = storage.look(path)
        if found is None or found.sha256 != digest:
            raise Failed(f"{path} is damaged", hint="restore the file by hand", path=path)
        return found.data

    def _save(self, folder: str, manifest: Manifest) -> None:
        text = json.dumps(encode(manifest), indent=2) + "\n"
        storage.write(os.path.join(folder, "manifest.json"), storage.new_file(text.encode(), 0o600))


def encode(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as it is kept in JSON."""
    return {
        "format_version": FORMAT_VERSION,
        "run": manifest.run,
        "state": manifest.state,
        "request_sha256": manifest.request_sha256,
        "boot_id": manifest.boot_id,
        "keys": [change._asdict() for change in manifest.keys],
        "side_effects": [effect._asdict() for effect in manifest.side_effects],
        "files": [
            {
                "path": change.path,
                "after": {"sha256": change.after_sha256},
                "before": "absent"
                if change.before is None
                else dict(change.before._asdict(), mode=f"{change.before.mode:04o}"),
            }
            for change in manifest.files
        ],
        "left": list(manifest.left),
        "history": [{"state": state, "at": at} for state, at in manifest.history],
    }


def decode(data: dict[str, Any]) -> Manifest:
    """Return the manifest kept in `data`. Raises Refused for another format, KeyError and the like for damage."""
    if data["format_version"] != FORMAT_VERSION:
        raise Refused(
            "the record of run {} has format {}".format(data.get("run"), data["format_version"]),
            hint="use the version of this collection that wrote it",
        )
    return Manifest(
        run=data["run"],
        state=data["state"],
        request_sha256=data["request_sha256"],
        boot_id=data["boot_id"],
        keys=tuple(KeyChange(**change) for change in data["keys"]),
        files=tuple(_file(change) for change in data["files"]),
        # Records of the first releases have none.
        side_effects=tuple(SideEffect(**effect) for effect in data.get("side_effects", ())),
        left=tuple(data["left"]),
        history=tuple((entry["state"], entry["at"]) for entry in data["history"]),
    )


def _file(data: dict[str, Any]) -> FileChange:
    before = data["before"]
    return FileChange(
        path=data["path"],
        after_sha256=data["after"]["sha256"],
        before=None
        if before == "absent"
        else Before(before["sha256"], int(before["mode"], 8), before["uid"], before["gid"], before["label"]),
    )


def _entered(manifest: Manifest, state: str) -> Manifest:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return manifest._replace(state=state, history=(*manifest.history, (state, now)))
