# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owned files of a run, and the folders they need: looked at, written by confirm, given back by the way back.

A folder that is missing is made, where the one above it is there: what reads the file is not installed otherwise. Which
ones are made is on record before the first is, so that the way back takes away those alone, once they are empty.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from typing import Iterable, Iterator, Sequence

from . import storage
from .errors import Refused, Stale
from .host import Host
from .owned import KINDS, kind_of
from .request import ABSENT, WantedFile
from .runs import CONFIRMING, FileChange, Manifest


def look_at(host: Host, wanted: WantedFile) -> storage.FileState | None:
    """Return the file as it is before apply, None where there is none.

    Raises Refused where confirm could not write it, Stale where it is another one than expected.
    """
    folder = check_folder(host, wanted.path)
    if not os.access(folder, os.W_OK | os.X_OK):
        hint = "become root" if os.geteuid() else "the file system is read-only"
        raise Refused(f"{wanted.path} cannot be written", hint=hint, key=wanted.path)
    found = look(host, wanted.path)
    digest = found.sha256 if found else ABSENT
    if wanted.before_sha256 not in (None, digest):
        raise moved(wanted.path, wanted.before_sha256, digest)
    return found


def check_folder(host: Host, path: str) -> str:
    """Return where the folder of the owned file `path` is on this host, or the one in which it has to be made.

    Raises Refused where that is no folder, or a link: the file would be somewhere else than its name says.
    """
    folder, existing = os.path.dirname(path), host.path("/")
    parts = folder.split("/")
    for depth in range(2, len(parts) + 1):
        part = "/".join(parts[:depth])
        try:
            mode = os.lstat(host.path(part)).st_mode
        except FileNotFoundError:
            if part == folder:
                return existing
            hint = f"install what reads it, or leave {path} out"
            raise Refused(f"{path} cannot be ours: there is no {part}", hint=hint, key=path) from None
        if not stat.S_ISDIR(mode):
            why = "a symbolic link" if stat.S_ISLNK(mode) else "no folder"
            raise Refused(f"{path} cannot be ours: {part} is {why}", hint="put a folder there, or none", key=path)
        existing = host.path(part)
    return existing


def look(host: Host, path: str) -> storage.FileState | None:
    """Return the file as it is, None where there is none. Raises Refused for a link, and for what is no file."""
    try:
        return storage.look(host.path(path))
    except OSError as error:
        why = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise Refused(f"{path} cannot be ours: {why}", hint="put a regular file there, or none", key=path) from error


def with_first_line(host: Host, line: str) -> Iterator[tuple[str, str]]:
    """Yield path and SHA-256 of each owned file that begins with `line`, those of settings aside.

    A link, or what is in a folder that is one, was not put there by us. Raises Refused for a file that cannot be read.
    """
    for kind in KINDS:
        if kind.holds_settings:
            continue
        for place in sorted(glob.glob(glob.escape(host.path("/")) + kind.folders.lstrip("/") + "/*.conf")):
            path = "/" + os.path.relpath(place, host.path("/"))
            if kind_of(path) is not kind or os.path.islink(os.path.dirname(place)) or not _is_file(place):
                continue
            found = look(host, path)
            if found and found.data.split(b"\n", 1)[0] == line.encode():
                yield path, found.sha256


def moved(path: str, expected: str | None, digest: str | None) -> Stale:
    """Return the problem that the file is not the one that was expected; None is for no file."""
    expected, found = expected or ABSENT, digest or ABSENT
    message = f"{path} is no longer absent" if expected == ABSENT else f"{path} is no longer the file it was"
    return Stale(message, hint="plan again", key=path, expected=expected, found=found)


def missing(host: Host, wanted: Iterable[FileChange]) -> tuple[str, ...]:
    """Return the folders that have to be made for these files, each once, in their order."""
    folders = dict.fromkeys(os.path.dirname(change.path) for change in wanted if change.after_sha256 is not None)
    return tuple(folder for folder in folders if not os.path.lexists(host.path(folder)))


def record_folders(host: Host, manifest: Manifest, absent: Sequence[str]) -> Manifest:
    """Put on record which folders confirm makes, before it makes one: `absent`, and those that it has made before."""
    known = manifest.folders if manifest.reached(CONFIRMING) else ()
    folders = tuple(dict.fromkeys((*known, *absent)))
    if folders or manifest.folders:
        manifest = _keep(host, manifest._replace(folders=folders))
        host.reached("folders")
    return manifest


def make_folders(host: Host, manifest: Manifest, absent: Sequence[str]) -> Manifest:
    """Make the folders on record. `absent` are those that were not there just now."""
    for folder in manifest.folders:
        path = host.path(folder)
        if folder not in absent:
            # By a confirm that died, perhaps before the folder was open to everyone.
            storage.open_folder(path)
        elif storage.make_open_folder(path):
            host.reached(folder)
        else:
            # Somebody else was faster, so it is not ours to take away.
            manifest = _keep(host, manifest._replace(folders=tuple(one for one in manifest.folders if one != folder)))
    return manifest


def write(host: Host, manifest: Manifest) -> None:
    """Write each file of the run that is not there yet, and remove those that are to go, in their order."""
    for at, change in enumerate(manifest.files):
        path, data = host.path(change.path), host.runs.after(manifest, at)
        storage.sweep(path)
        found = storage.look(path)
        if (found.data if found else None) == data:
            continue
        if data is None:
            # Its folder stays, also one that we made: the way back may need it without Python.
            storage.remove(path)
        else:
            storage.write(path, found._replace(data=data) if found else storage.new_file(data))
        host.reached(change.path)


def give_back(host: Host, manifest: Manifest, paths: Sequence[str]) -> None:
    """Give each file of `paths` its previous bytes, mode, owner and label back, or remove it, last one first.

    Then take away the folders that the run has made, but for those in which somebody else keeps something.
    """
    for at, change in reversed([*enumerate(manifest.files)]):
        path, before = host.path(change.path), change.before
        if manifest.reached(CONFIRMING):
            storage.sweep(path)
        if change.path not in paths:
            continue
        found = storage.look(path)
        if (found.sha256 if found else None) == change.before_sha256:
            continue
        if before is None:
            storage.remove(path)
        else:
            data = host.runs.blob(manifest.run, f"{at}.before", before.sha256)
            storage.write(path, storage.FileState(data, before.mode, before.uid, before.gid, before.label))
        host.reached(change.path)
    for folder in reversed(manifest.folders if manifest.reached(CONFIRMING) else ()):
        path = host.path(folder)
        if not _is_folder(path):
            continue
        if storage.remove_folder(path):
            host.reached(folder)
        else:
            host.warnings.append(f"{folder} was made by run {manifest.run} and stays: it is not empty")


def removable(host: Host, manifest: Manifest, paths: Sequence[str]) -> tuple[str, ...]:
    """Return the folders that `give_back` would take away, in its order."""
    gone = {change.path for change in manifest.files if change.path in paths and change.before is None}
    ours = {change.path for change in manifest.files}
    found = []
    for folder in reversed(manifest.folders if manifest.reached(CONFIRMING) else ()):
        path = host.path(folder)
        names = [f"{folder}/{name}" for name in os.listdir(path)] if _is_folder(path) else [folder]
        if all(name in gone or any(storage.is_leftover(name, one) for one in ours) for name in names):
            found.append(folder)
    return tuple(found)


def _keep(host: Host, manifest: Manifest) -> Manifest:
    return host.runs.keep(manifest, {"folders": host.way_back(manifest)["folders"]})


def _is_file(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
