"""What the next boot gives a key, and which line of which file decides it."""

from __future__ import annotations

from enum import StrEnum

from tcptune.domain.values import Frozen


class Loader(StrEnum):
    """A program that reads the sysctl.d files at boot."""

    SYSTEMD = "systemd"
    """systemd-sysctl: merges all files, then writes each key once."""
    PROCPS = "procps"
    """`sysctl --system`: writes every line in turn, /etc/sysctl.conf last."""


class Definition(Frozen):
    """One line that speaks of a key."""

    path: str
    line: int
    """Counted from 1, as an editor does."""
    value: str | None
    """As written, quotes and comments included. None for `-key` without `=`, which takes a key out of the globs."""

    @property
    def place(self) -> str:
        """Return path:line."""
        return f"{self.path}:{self.line}"


class BootValue(Frozen):
    """What one loader leaves in one key."""

    value: str | None = None
    """None where no line sets the key, or the kernel refuses each that does: it keeps what it started with."""
    winner: Definition | None = None
    """The line that decides: the last that wrote, or a `-key` that leaves the key alone. None where no line does."""
    partial: bool = False
    """The files set only the first numbers; the rest is what the kernel started with."""
    certain: bool = True
    """False where a file that could not be read, or another release of the loader, may change the answer."""


class AtBoot(Frozen):
    """What the next boot gives a key, under either loader."""

    systemd: BootValue
    procps: BootValue

    def under(self, loader: Loader) -> BootValue:
        """Return what one loader gives."""
        return self.systemd if loader is Loader.SYSTEMD else self.procps

    @property
    def agree(self) -> bool:
        """True where both loaders give the same value."""
        return (self.systemd.value, self.systemd.partial) == (self.procps.value, self.procps.partial)

    @property
    def certain(self) -> bool:
        """True where both answers are certain."""
        return self.systemd.certain and self.procps.certain

    def won_by(self, path: str) -> bool:
        """Say whether a line of this file decides under both loaders."""
        winners = (self.systemd.winner, self.procps.winner)
        return all(winner is not None and winner.path == path for winner in winners)


class Shadowed(Frozen):
    """A file no loader opens, because a stronger folder has one of the same name."""

    path: str
    by: str
    masked: bool
    """True where the stronger file is empty or a link to /dev/null: it is there only to switch this one off."""


class LoadOrder(Frozen):
    """The files of one loader."""

    loader: Loader
    read: tuple[str, ...]
    """In the order they are read."""
    shadowed: tuple[Shadowed, ...]
    unreadable: tuple[str, ...]
    """Those of `read` whose content is not known."""
