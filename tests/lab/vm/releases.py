"""The Debian releases that a virtual machine can be. Each brings its own kernel, systemd, OpenSSH and Python."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.errors import LabError


@dataclass(frozen=True)
class Release:
    """A Debian release."""

    suite: str
    """As the archive and the lab call it."""
    kernel: str
    """The kernel's major and minor number."""


RELEASES = {
    release.suite: release
    for release in (Release("bullseye", "5.10"), Release("bookworm", "6.1"), Release("trixie", "6.12"))
}


def release(suite: str) -> Release:
    """Give a release by its name."""
    if suite not in RELEASES:
        raise LabError(f"no release {suite}", hint=f"one of {', '.join(RELEASES)}")
    return RELEASES[suite]
