"""Which sysctl.d files a loader opens, and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from tcptune.domain.boot import Loader, LoadOrder, Shadowed
from tcptune.domain.facts import SysctlFile
from tcptune.planning.boot_globs import braced, matches

FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
"""Strongest first. /lib is a link to /usr/lib on merged systems, so its files appear twice and change nothing."""

SYSCTL_CONF = "/etc/sysctl.conf"
CLOSED_FOLDER = "/*.conf"
"""How facts spell a folder that the login may not list: one file of this name, without content."""


class Opened:
    """The files that one loader opens, in order, and those it passes over."""

    def __init__(self, loader: Loader, files: Mapping[str, SysctlFile]) -> None:
        by_name: dict[str, SysctlFile] = {}
        shadowed = []
        for file in _candidates(loader, files):
            name = PurePosixPath(file.path).name
            stronger = by_name.setdefault(name, file)
            if stronger is not file and not _same_file(stronger, file):
                shadowed.append(Shadowed(path=file.path, by=stronger.path, masked=stronger.content == ""))
        ordered = [by_name[name] for name in sorted(by_name, key=os.fsencode)]
        if loader is Loader.PROCPS:
            ordered = [found for file in ordered for found in _procps_finds(file, files)]
            ordered += [files[SYSCTL_CONF]] if SYSCTL_CONF in files else []
        self.files = tuple(ordered)
        self.unread = tuple(
            len(ordered) if file.path.endswith(CLOSED_FOLDER) else at
            for at, file in enumerate(ordered)
            if file.content is None
        )
        """Places in `files` of those whose content is not known. A closed folder may hold files of any name."""
        self.order = LoadOrder(
            loader=loader,
            read=tuple(file.path for file in ordered),
            shadowed=tuple(sorted(shadowed, key=lambda item: item.path)),
            unreadable=tuple(dict.fromkeys(file.path for file in ordered if file.content is None)),
        )


def _candidates(loader: Loader, files: Mapping[str, SysctlFile]) -> Iterable[SysctlFile]:
    for folder in FOLDERS:
        for path, file in files.items():
            parent, _, name = path.rpartition("/")
            # systemd passes over hidden files before it looks at names; to procps even ".conf" is one.
            hidden = loader is Loader.SYSTEMD and name.startswith(".")
            if parent == folder and name.endswith(".conf") and not hidden:
                yield file


def _same_file(stronger: SysctlFile, weaker: SysctlFile) -> bool:
    return stronger.path == f"/usr{weaker.path}" and stronger.content == weaker.content


def _procps_finds(file: SysctlFile, files: Mapping[str, SysctlFile]) -> list[SysctlFile]:
    """Return what procps opens for a file: it hands each path to glob(3), and takes it literally if nothing matches."""
    folder, _, name = file.path.rpartition("/")
    if not any(char in name for char in "*?[{\\"):
        return [file]
    siblings = sorted(path for path in files if path.rpartition("/")[0] == folder)
    found = [
        files[path]
        for pattern in braced(name)
        for path in siblings
        if _visible(pattern, path.rpartition("/")[2]) and matches(pattern, path.rpartition("/")[2])
    ]
    return found or [file]


def _visible(pattern: str, name: str) -> bool:
    return pattern.startswith(".") or not name.startswith(".")
