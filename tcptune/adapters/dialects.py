"""Read the files of foreign formats: one file, a folder, what a tuned profile includes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from tcptune.dialects import recognised
from tcptune.dialects.tuned import PROFILE_FILE, wanted
from tcptune.errors import InputError

TUNED_FOLDERS = (
    Path("/etc/tuned/profiles"),
    Path("/etc/tuned"),
    Path("/usr/lib/tuned/profiles"),
    Path("/usr/lib/tuned"),
)
_SYSCTL_FOLDERS = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d")
_LARGEST_BYTES = 16 * 1024 * 1024


def gather(
    path: Path, dialect: str | None, *, tuned_folders: Sequence[Path] = TUNED_FOLDERS
) -> tuple[str, dict[str, str]]:
    """Return the format, recognised where none is given, and the files by path, the one that is meant first.

    What a tuned profile includes is looked for beside it, then in `tuned_folders`.

    Raises InputError for what cannot be read, or is of no format we know.
    """
    meant = path / PROFILE_FILE if (path / PROFILE_FILE).is_file() else path
    if meant.is_dir():
        if dialect not in {None, "sysctl"}:
            raise InputError(f"{path}: this is a folder, and of {dialect} one file is read", hint="name the file")
        files = {str(found): settings_text(found, named=False) for found in _in_folder(meant)}
        if not files:
            raise InputError(f"{path}: there is no file in this folder", hint="a sysctl.d folder, or a file")
        return "sysctl", files
    text = settings_text(meant)
    found = dialect or recognised(str(meant), text)
    if found is None:
        raise InputError(f"{path}: this is of no format tcptune reads", hint="say which one it is with --from")
    return found, _with_includes(meant, text, tuned_folders) if found == "tuned" else {str(meant): text}


def _in_folder(folder: Path) -> list[Path]:
    """Return the files of a sysctl.d folder, or those of all of them below the root of a host's file tree."""
    trees = [folder / name for name in _SYSCTL_FOLDERS if (folder / name).is_dir()]
    found = [entry for tree in trees or [folder] for entry in sorted(tree.iterdir()) if not entry.is_dir()]
    conf = folder / "etc/sysctl.conf"
    return [*found, conf] if trees and conf.is_file() else found


def _with_includes(path: Path, text: str, tuned_folders: Sequence[Path]) -> dict[str, str]:
    files = {str(path): text}
    folders = [path.parent.parent, *tuned_folders]
    ahead = [path]
    while ahead:
        at = ahead.pop(0)
        needs = wanted(str(at), files[str(at)])
        # A profile of /etc may include the one of /usr/lib that has its name: each folder counts.
        profiles = [folder / Path(name).name / PROFILE_FILE for name in needs.profiles for folder in folders]
        ahead += _added(files, profiles)
        for named in map(Path, needs.variables):
            near = [folder / named.name for folder in (at.parent, *folders)]
            _added(files, [place for place in (*near, named) if place.is_file()][:1])
    return files


def _added(files: dict[str, str], candidates: Iterable[Path]) -> list[Path]:
    """Read those that exist and were not read yet, and return them."""
    added = []
    for candidate in candidates:
        if candidate.is_file() and not _is_read(candidate, files):
            files[str(candidate)] = settings_text(candidate)
            added.append(candidate)
    return added


def _is_read(candidate: Path, files: dict[str, str]) -> bool:
    return any(candidate.samefile(path) for path in files)


def settings_text(path: Path, *, named: bool = True) -> str:
    """Return the text of a file; what is not UTF-8 in it becomes a mark. A mask, a link to /dev/null, is empty.

    `named`: somebody asked for this very file, and it may be a pipe. Raises InputError.
    """
    try:
        if os.path.realpath(path) == os.devnull:
            return ""
        if not named and not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: this is no regular file")
        with path.open("rb") as file:
            found = file.read(_LARGEST_BYTES + 1)
    except OSError as problem:
        raise InputError(f"{path}: {problem.strerror}") from None
    if len(found) > _LARGEST_BYTES:
        raise InputError(f"{path}: this file is larger than any settings are")
    return found.decode("utf-8", errors="replace")
