# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/facts.py by tests/collection/copies.py: change it there.
"""What one host said of itself at one moment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import Field

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.host_runs import HostRuns
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.sockets import Sockets
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import Conntrack, Links, Listeners, NetNamespace, Rivals, TextFile, UnitFiles, Virtualization
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.strain import Drops, KernelLog, Pressure
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen, SysctlKey

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
    memory_bytes: int | None
    """None, as the next two, where facts come from a captured `sysctl -a`, which does not tell."""
    cpus: int | None
    page_size_bytes: int | None
    boot_id: str
    hostname: str
    systemd: bool | None
    """True where PID 1 is systemd: then systemd-sysctl loads the files at boot. None where nobody looked."""
    user: str
    """Numeric uid the probe ran as; 'unknown' for a captured `sysctl -a`."""
    uptime_s: int | None = None
    hz: int | None = None
    """Ticks of the kernel's clock a second. None where nothing tells: in a child network namespace, for example."""
    virtualization: Virtualization | None = None
    namespace: NetNamespace | None = None


class HostFacts(Frozen):
    """Everything one probe read on one host. What is None has its reason in `gaps`."""

    host: str
    collected_at: datetime
    system: System
    sysctl: dict[SysctlKey, Reading]
    sysctl_files: tuple[SysctlFile, ...]
    config_files: tuple[TextFile, ...] | None = None
    """Other files that bear on TCP: limits, the service manager's defaults, modules to load, ufw's own sysctl file."""
    counters: dict[str, int] | None = None
    """Absolute values by name: TcpExt.ListenOverflows, Tcp.CurrEstab, sockstat.TCP.tw, softnet_stat.dropped,
    nf_conntrack.drop.

    Only the difference of two readings means something, levels aside. softnet_stat, orphans and memory are of the
    whole machine, the rest of the network namespace. A name that is missing is an older kernel, not a zero.
    """
    links: Links | None = None
    listeners: Listeners | None = None
    unit_files: UnitFiles | None = None
    """Of the services that listen: what decides the limits of their next start."""
    conntrack: Conntrack | None = None
    rivals: Rivals | None = None
    runs: HostRuns | None = None
    """Read for `doctor` alone."""
    pressure: Pressure | None = None
    """Read for a diagnosis alone, as the next three."""
    drops: Drops | None = None
    sockets: Sockets | None = None
    kernel_log: KernelLog | None = None
    gaps: dict[str, str] = {}
    """Section -> why it is not known. `sysctl_files` here means that the next boot is not known."""

    @property
    def boot_gap(self) -> str | None:
        """Why nothing is known of the next boot, or None where the files were read."""
        return self.gaps.get("sysctl_files")


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
