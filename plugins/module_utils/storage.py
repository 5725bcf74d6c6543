# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that survive a power cut: whole or not at all, synced before anyone relies on them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import tempfile
from typing import NamedTuple

_LABEL = "security.selinux"


class FileState(NamedTuple):
    """A regular file: its bytes, and what else a restore must give back."""

    data: bytes
    mode: int
    uid: int
    gid: int
    label: str | None
    """The SELinux label; None where there is none, or to let the folder decide."""

    @property
    def sha256(self) -> str:
        """Return the digest of the bytes, in hexadecimal."""
        return sha256(self.data)


def new_file(data: bytes, mode: int = 0o644) -> FileState:
    """Return a file that is ours, as root's are on a managed host."""
    return FileState(data, mode, os.geteuid(), os.getegid(), None)


def sha256(data: bytes) -> str:
    """Return the digest of `data`, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def look(path: str) -> FileState | None:
    """Return the file at `path`, None where there is none. Raises OSError for a link and for what is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    with os.fdopen(descriptor, "rb") as file:
        return FileState(file.read(), stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, _label(descriptor))


def write(path: str, wanted: FileState) -> None:
    """Make `path` be `wanted`: a temporary file beside it, synced, then renamed over it.

    Raises OSError with `path` in it: a full disk names none, and the name of the temporary file tells nobody anything.
    """
    try:
        _write(path, wanted)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _write(path: str, wanted: FileState) -> None:
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix="." + name + ".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(wanted.data)
            file.flush()
            os.fchown(descriptor, wanted.uid, wanted.gid)
            os.fchmod(descriptor, wanted.mode)
            if wanted.label is not None and wanted.label != _label(descriptor):
                os.setxattr(descriptor, _LABEL, wanted.label.encode("utf-8", "surrogateescape"))
            os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(folder)


def remove(path: str) -> None:
    """Remove `path` for good. It is fine if it is gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sync_folder(os.path.dirname(path))


def sweep(path: str) -> None:
    """Remove the temporary files that writes of `path` have left which were killed."""
    folder = os.path.dirname(path)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        found = os.path.join(folder, name)
        if is_leftover(found, path):
            remove(found)


def is_leftover(found: str, path: str) -> bool:
    """Return whether `found` is what a write of `path` leaves that is killed. No loader reads it, for its end."""
    folder, name = os.path.split(path)
    return found.startswith(os.path.join(folder, "." + name + ".")) and found.endswith(".tmp")


def make_open_folder(path: str) -> bool:
    """Make the folder `path`, for everyone to read, for good. Return False if something is there already.

    Its SELinux label is what the kernel gives it, by the folder above.
    """
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return False
    open_folder(path)
    return True


def open_folder(path: str) -> None:
    """Let everyone read the folder `path`, whatever the umask was when it was made, for good."""
    os.chmod(path, 0o755)  # noqa: S103  as the folders beside it: programs of other users read there
    sync_folder(path)
    sync_folder(os.path.dirname(path))


def remove_folder(path: str) -> bool:
    """Remove the folder `path` for good. Return False if it is not empty."""
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    sync_folder(os.path.dirname(path))
    return True


def make_folder(path: str) -> None:
    """Make `path` and what is missing above it, closed to everyone but the owner, each synced into its parent."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folder(parent)
    os.mkdir(path, 0o700)
    sync_folder(parent)


def sync_folder(path: str) -> None:
    """Make the names in the folder `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _label(descriptor: int) -> str | None:
    try:
        return os.getxattr(descriptor, _LABEL).rstrip(b"\0").decode("utf-8", "surrogateescape")
    except OSError:
        return None
