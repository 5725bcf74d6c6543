"""Family of foreign formats: text in, settings out, and the other way. Nothing is lost silently."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Protocol

from tcptune.dialects import kernel_settings, kubernetes, saptune, sysctl_a, sysctl_d, tuned
from tcptune.dialects.writing import ExportOptions
from tcptune.domain.exchange import Exported, Imported
from tcptune.domain.profile import Profile


class Reader(Protocol):
    """A module that reads one format."""

    def recognises(self, path: str, text: str) -> bool:
        """Say whether one file is of this format. Asked in the order of the registry."""

    def read(self, files: Mapping[str, str], known: Container[str]) -> Imported:
        """Return what the files, text by path, ask of the known keys. The first file is the one that is meant."""


class Writer(Protocol):
    """A module that writes one format."""

    def write(self, profile: Profile, options: ExportOptions) -> Exported:
        """Return the files that say what the profile says, and what they do not say."""


READERS: dict[str, Reader] = {
    "kernel-settings": kernel_settings,
    "tuned": tuned,
    "saptune": saptune,
    "sysctl-a": sysctl_a,
    "sysctl": sysctl_d,
}

WRITERS: dict[str, Writer] = {
    "sysctl.d": sysctl_d,
    "tuned": tuned,
    "kernel-settings": kernel_settings,
    "kubernetes": kubernetes,
}


def recognised(path: str, text: str) -> str | None:
    """Return the name of the format of one file, or None where no reader knows it."""
    return next((name for name, reader in READERS.items() if reader.recognises(path, text)), None)
