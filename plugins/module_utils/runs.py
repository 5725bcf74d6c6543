# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own record of each run, and the states it moves through.

    /var/lib/tcptune/lock                     see lock
    /var/lib/tcptune/runs/RUN/state           each state it was in, and since when; the last line is the truth
    /var/lib/tcptune/runs/RUN/left            names of what a roll back left alone
    /var/lib/tcptune/runs/RUN/manifest.json   what was there, what was written
    /var/lib/tcptune/runs/RUN/0.before        previous bytes of file 0, missing if there was no file
    /var/lib/tcptune/runs/RUN/0.after         the bytes that confirm writes, missing if it removes the file
    /var/lib/tcptune/runs/RUN/found           what the side effects were when a roll back began (see side_effects)
    /var/lib/tcptune/runs/RUN/rollback.sh     the way back without Python; see wayback for what it reads
    /var/lib/tcptune/runs/RUN/deadline        when the revert timer is to act, if there is one (see timer)

A state is on disk before it is acted upon. rollback.sh reads and writes `state`, `left` and `found` too, so that
whoever comes next finds what it did.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from typing import Any, Iterator, NamedTuple

from . import storage
from .errors import Failed, Refused, UnknownRun
from .kernel import same
from .lock import HostLock
from .owned import is_unit

FORMAT_VERSION = 1
"""Goes up when what is written now would mislead an older version. What that can do without is merely added."""

PREPARED = "prepared"  # everything needed for the way back is on disk, nothing is written
RUNNING = "running"  # keys are being written
HELD = "held"  # all keys are written and read back; a boot would still give the old values
CONFIRMING = "confirming"  # files are being written
CONFIRMED = "confirmed"  # a boot gives the new values too
ROLLING_BACK = "rolling_back"  # files and keys are being restored
ROLLED_BACK = "rolled_back"  # all is restored, by roll back or by an apply that failed, except what `left` names
REVERTED = "reverted"  # the same, because nobody confirmed in time, or because confirm died
LOST = "lost"  # the host was booted before confirm: the values are gone, and no file was touched
FAILED_RESTORED = "failed_restored"  # the restore itself failed: something of ours is still there

MOVES: dict[str, frozenset[str]] = {
    PREPARED: frozenset({RUNNING, ROLLED_BACK, ROLLING_BACK, LOST}),
    RUNNING: frozenset({HELD, ROLLED_BACK, FAILED_RESTORED, ROLLING_BACK, LOST}),
    HELD: frozenset({CONFIRMING, ROLLING_BACK, LOST}),
    CONFIRMING: frozenset({CONFIRMED, HELD, ROLLING_BACK}),
    CONFIRMED: frozenset({ROLLING_BACK}),
    ROLLING_BACK: frozenset({ROLLED_BACK, REVERTED, FAILED_RESTORED}),
    # Again, for a key that was left alone and is now to be forced.
    ROLLED_BACK: frozenset({ROLLING_BACK}),
    REVERTED: frozenset({ROLLING_BACK}),
    LOST: frozenset(),
    FAILED_RESTORED: frozenset({ROLLING_BACK}),
}

UNDONE = frozenset({ROLLED_BACK, REVERTED, LOST})
"""States in which nothing of the run is left on the host."""

FINISHED = UNDONE | {CONFIRMED}
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
    origin: str | None = None
    """What was there before any run of ours that still stands; None in records of older versions."""

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
    after_sha256: str | None
    """None where confirm removes the file."""
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
    sequence: int = 0
    """Counts the runs of this host: a higher one is newer."""
    folders: tuple[str, ...] = ()
    """Folders that confirm makes for its files, or has made, in that order. The way back takes these away alone."""
    left: tuple[str, ...] = ()
    """Keys and files that a roll back left alone: a third party had changed them."""
    history: tuple[tuple[str, str], ...] = ()
    """Each state with the time in UTC when it was entered."""

    def reached(self, *states: str) -> bool:
        """Return whether the run was ever in one of `states`."""
        return any(entered in states for entered, _ in self.history)

    @property
    def changes_units(self) -> bool:
        """Return whether the run has a drop-in of a service to write: then the service manager is told."""
        return any(change.changes and is_unit(change.path) for change in self.files)

    @property
    def previous(self) -> dict[str, str]:
        """Return the values that the run replaced."""
        return {change.key: change.replaced for change in self.keys if change.changes}


class Runs:
    """The records below one folder, /var/lib/tcptune on a real host."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.join(folder, "runs")
        self.lock = HostLock(os.path.join(folder, "lock"))

    def at(self, run: str) -> str:
        """Return the folder of the record of `run`."""
        return os.path.join(self.folder, run)

    def file(self, run: str, name: str) -> str:
        """Return where a file of the record of `run` is."""
        return os.path.join(self.folder, run, name)

    def load(self, run: str) -> Manifest:
        """Return the record of `run`. Raises UnknownRun, and Failed for a record that cannot be used."""
        path = self.file(run, "manifest.json")
        try:
            with open(path, encoding="utf-8") as file:
                manifest = decode(json.load(file))
            path = self.file(run, "state")
            history = tuple(_entry(line) for line in _lines(path))
            path = self.file(run, "left")
            left = tuple(_lines(path)) if os.path.exists(path) else ()
            return manifest._replace(state=history[-1][0], history=history, left=left)
        except (FileNotFoundError, NotADirectoryError):
            if path.endswith("manifest.json"):
                raise UnknownRun(
                    f"this host has no run {run}", hint="compare the run's id and the host", run=run
                ) from None
            raise Failed(f"there is no {path}", hint="restore it from a backup", path=path) from None
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise Failed(f"cannot use {path}: {error}", hint="restore it from a backup", path=path) from error

    def all(self) -> list[Manifest]:
        """Return every run, the oldest first. Raises Failed if one cannot be read: it may hold what matters."""
        try:
            names = sorted(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for name in names:
            if not name.startswith("."):
                try:
                    found.append(self.load(name))
                except UnknownRun:
                    # Pruned since the folder was listed; else the record is damaged, and not to be overlooked.
                    if os.path.exists(os.path.join(self.folder, name)):
                        raise Failed(
                            f"{self.file(name, 'manifest.json')} is missing", hint="restore it from a backup", run=name
                        ) from None
        return sorted(found, key=lambda manifest: (manifest.sequence, manifest.run))

    def unfinished(self) -> Iterator[Manifest]:
        """Yield each run that still needs confirm or roll back, the oldest first."""
        return (manifest for manifest in self.all() if manifest.state not in FINISHED)

    def create(self, manifest: Manifest, blobs: dict[str, bytes], scripts: dict[str, bytes]) -> Manifest:
        """Record a new run, prepared. The folder appears complete or not at all."""
        final, draft = self.at(manifest.run), self.at("." + manifest.run)
        storage.make_folder(self.folder)
        shutil.rmtree(draft, ignore_errors=True)
        newest = max((known.sequence for known in self.all()), default=0)
        manifest = _entered(manifest._replace(sequence=newest + 1), PREPARED)
        try:
            os.mkdir(draft, 0o700)
            for name, data in blobs.items():
                storage.write(os.path.join(draft, name), storage.new_file(data, 0o600))
            for name, data in scripts.items():
                storage.write(os.path.join(draft, name), storage.new_file(data, 0o700))
            self._save(draft, manifest)
            self._enter(draft, manifest)
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
        self._enter(self.at(manifest.run), manifest)
        return manifest

    def keep(self, manifest: Manifest, blobs: dict[str, bytes]) -> Manifest:
        """Record what became known of the run, and the files beside it, on disk before this returns."""
        folder = self.at(manifest.run)
        for name, data in blobs.items():
            storage.write(os.path.join(folder, name), storage.new_file(data, 0o600))
        self._save(folder, manifest)
        return manifest

    def keep_left(self, manifest: Manifest, left: tuple[str, ...]) -> Manifest:
        """Record what a roll back leaves alone, on disk before this returns."""
        if left != manifest.left:
            data = "".join(f"{name}\n" for name in left).encode()
            storage.write(self.file(manifest.run, "left"), storage.new_file(data, 0o600))
        return manifest._replace(left=left)

    def found(self, manifest: Manifest, boot_id: str) -> dict[str, str]:
        """Return what the side effects were when a roll back began on this boot and did not end."""
        kept = storage.look(self.file(manifest.run, "found"))
        if manifest.state not in (ROLLING_BACK, FAILED_RESTORED) or kept is None:
            return {}
        boot, *lines = kept.data.decode("utf-8", "replace").split("\n")
        # Another boot has given all settings values of its own.
        return dict(line.split(" ", 1) for line in lines if " " in line) if boot == boot_id else {}

    def keep_found(self, manifest: Manifest, boot_id: str, found: dict[str, str]) -> None:
        """Record what the side effects are before a roll back, on disk before this returns."""
        lines = [boot_id, *(f"{key} {value}" for key, value in found.items())]
        data = "".join(f"{line}\n" for line in lines).encode()
        storage.write(self.file(manifest.run, "found"), storage.new_file(data, 0o600))

    def prune(self, keep: int) -> list[str]:
        """Remove the oldest finished runs beyond `keep`, and what a crash left of drafts. Return the removed runs.

        To be called with the lock held. A folder is renamed before it is emptied, so none is ever seen in part.
        """
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                if name.startswith("."):
                    shutil.rmtree(os.path.join(self.folder, name))
        known = self.all()
        surplus = [run for run in known if run.state in FINISHED][: max(0, len(known) - keep)]
        for manifest in surplus:
            dying = self.at("." + manifest.run)
            os.rename(self.at(manifest.run), dying)
            shutil.rmtree(dying)
        if surplus:
            storage.sync_folder(self.folder)
        return [manifest.run for manifest in surplus]

    def after(self, manifest: Manifest, at: int) -> bytes | None:
        """Return the bytes that confirm gives file `at`, None where it removes it. Raises Failed as `blob` does."""
        digest = manifest.files[at].after_sha256
        return None if digest is None else self.blob(manifest.run, f"{at}.after", digest)

    def blob(self, run: str, name: str, digest: str) -> bytes:
        """Return the bytes kept under `name`. Raises Failed if they are not the ones that were recorded."""
        path = self.file(run, name)
        found = storage.look(path)
        if found is None or found.sha256 != digest:
            raise Failed(f"{path} is damaged", hint="restore the file by hand", path=path)
        return found.data

    def _save(self, folder: str, manifest: Manifest) -> None:
        text = json.dumps(encode(manifest), indent=2) + "\n"
        storage.write(os.path.join(folder, "manifest.json"), storage.new_file(text.encode(), 0o600))

    def _enter(self, folder: str, manifest: Manifest) -> None:
        text = "".join(f"{state} {at}\n" for state, at in manifest.history)
        storage.write(os.path.join(folder, "state"), storage.new_file(text.encode(), 0o600))


def encode(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as it is kept in JSON: without what changes later, which has files of its own."""
    return {
        "format_version": FORMAT_VERSION,
        "run": manifest.run,
        "sequence": manifest.sequence,
        "request_sha256": manifest.request_sha256,
        "boot_id": manifest.boot_id,
        "keys": [change._asdict() for change in manifest.keys],
        "side_effects": [effect._asdict() for effect in manifest.side_effects],
        "files": [
            {
                "path": change.path,
                "after": "absent" if change.after_sha256 is None else {"sha256": change.after_sha256},
                "before": "absent"
                if change.before is None
                else dict(change.before._asdict(), mode=f"{change.before.mode:04o}"),
            }
            for change in manifest.files
        ],
        "folders": list(manifest.folders),
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
        state=PREPARED,
        request_sha256=data["request_sha256"],
        boot_id=data["boot_id"],
        keys=tuple(KeyChange(**change) for change in data["keys"]),
        files=tuple(_file(change) for change in data["files"]),
        # Earlier records have none.
        side_effects=tuple(SideEffect(**effect) for effect in data.get("side_effects", ())),
        sequence=int(data.get("sequence", 0)),
        # Nor these: they refused a file whose folder was missing.
        folders=tuple(str(folder) for folder in data.get("folders", ())),
    )


def _file(data: dict[str, Any]) -> FileChange:
    before, after = data["before"], data["after"]
    return FileChange(
        path=data["path"],
        after_sha256=None if after == "absent" else after["sha256"],
        before=None
        if before == "absent"
        else Before(before["sha256"], int(before["mode"], 8), before["uid"], before["gid"], before["label"]),
    )


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def _entry(line: str) -> tuple[str, str]:
    state, _, at = line.partition(" ")
    if state not in MOVES:
        raise ValueError(f"there is no state {state!r}")
    return state, at


def _entered(manifest: Manifest, state: str) -> Manifest:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return manifest._replace(state=state, history=(*manifest.history, (state, now)))
