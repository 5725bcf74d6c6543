"""What one host said of itself at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tcptune.domain.values import Frozen, SysctlKey

FACTS_FORMAT_VERSION: Literal[1] = 1


class Value(Frozen):
    """The key exists and could be read."""

    state: Literal["value"] = "value"
    text: str
    """As the kernel prints it, with single spaces."""
    writable: bool
    """By access check, never by writing. False for read-only trees and host-only keys seen from a namespace."""


class Absent(Frozen):
    """This kernel, or this network namespace, has no such key."""

    state: Literal["absent"] = "absent"


class Unreadable(Frozen):
    """The key exists and the login may not read it."""

    state: Literal["unreadable"] = "unreadable"


Reading = Annotated[Value | Absent | Unreadable, Field(discriminator="state")]


class SysctlFile(Frozen):
    """One file that a boot may read: in a sysctl.d folder, or /etc/sysctl.conf itself."""

    path: str
    content: str | None
    """The whole text; None where the login may not read it. Empty for a mask (a link to /dev/null)."""
    link: bool = False


class System(Frozen):
    """The host itself."""

    kernel: str
    """Release as uname prints it, for example 6.1.0-37-amd64."""
    distribution: str
    version: str
    memory_bytes: int
    cpus: int
    page_size_bytes: int
    boot_id: str
    hostname: str
    systemd: bool
    """True where PID 1 is systemd: then systemd-sysctl loads the files at boot."""
    user: str
    """Numeric uid the probe ran as."""


class HostFacts(Frozen):
    """Everything one probe read on one host."""

    host: str
    collected_at: datetime
    system: System
    sysctl: dict[SysctlKey, Reading]
    sysctl_files: tuple[SysctlFile, ...]


class Unread(Frozen):
    """A host that could not be read. It takes a row of its own: it is never counted as fine."""

    host: str
    error: str
    hint: str | None = None


Collected = HostFacts | Unread


def kernel_version(release: str) -> tuple[int, int]:
    """Return (major, minor) of a release such as '6.1.0-37-amd64'.

    Raises ValueError where the text starts with no version.
    """
    head = release.split("-", 1)[0].split(".")
    try:
        return int(head[0]), int(head[1])
    except (ValueError, IndexError):
        raise ValueError(f"{release!r} is no kernel release") from None
