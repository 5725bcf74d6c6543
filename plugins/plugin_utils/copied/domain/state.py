# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/state.py by tests/collection/copies.py: change it there.
"""What a host runs and how it is doing: links, listeners, connection tracking, and who else writes its settings."""

from __future__ import annotations

from typing import Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen


class Virtualization(Frozen):
    """Whether the host is a virtual machine, a container, or a container inside a virtual machine."""

    machine: str | None
    """'kvm', 'vmware', 'amazon'; 'unnamed' where only the processor tells. None where no sign speaks of one."""
    container: str | None
    """'docker', 'podman', 'lxc'. None where no sign speaks of one."""
    signs: tuple[str, ...]
    """What the answers rest on, for example '/.dockerenv'."""
    unread: tuple[str, ...] = ()
    """Signs that this login could not look at."""


class NetNamespace(Frozen):
    """Whether the host's network is a child namespace, where host-only keys are absent or read-only."""

    child: bool | None
    """None where the signs say nothing, as in a sandbox without /proc/sys/net."""
    sign: str


class TextFile(Frozen):
    """One configuration file."""

    path: str
    content: str | None
    """The whole text, with a newline at its end; None where the login may not read it."""


class Link(Frozen):
    """One network interface. Its counters are since it came up."""

    name: str
    physical: bool | None
    """True where a device stands behind it, a virtual one of a hypervisor included. None where /sys does not tell."""
    mtu: int | None
    operstate: str | None
    speed_mbps: int | None
    """None for virtual links and those that are down: they report no speed, or -1."""
    rx_errors: int
    rx_dropped: int
    """Missed by the device or dropped by the kernel, as /proc/net/dev adds them up."""
    tx_errors: int
    tx_dropped: int


class Links(Frozen):
    """The interfaces of the network namespace, those with a device first."""

    links: tuple[Link, ...]
    left_out: int = 0
    """How many more there are: a node full of containers has hundreds."""
    addresses: tuple[str, ...] = ()
    """Addresses of all interfaces, loopback among them, as `ip` prints them: the first 256. Empty without `ip`."""
    notes: tuple[str, ...] = ()
    """What is not known, and why."""


class Listener(Frozen):
    """One listening TCP socket."""

    address: str
    """As ss prints it: '0.0.0.0', '*' (both families), '::1', '127.0.0.53%lo'."""
    port: int
    queue: int
    """Connections that wait for accept() now."""
    backlog: int | None
    """What listen() really got: min(what the program asked for, somaxconn at that moment)."""
    pids: tuple[int, ...] = ()
    """Processes that hold it, the first few of many."""
    pids_left_out: int = 0


class Process(Frozen):
    """A process that listens."""

    pid: int
    name: str
    unit: str | None = None
    """Unit of systemd it belongs to: 'nginx.service'. None outside one, or where that cannot be seen."""
    uid: int | None = None
    """Real user; None in facts of older releases."""
    nofile_soft: int | None = None
    nofile_hard: int | None = None
    open_files: int | None = None
    """None before Linux 6.2, which does not tell without counting."""
    open_files_at_most: int | None = None
    """Size of the table of open files: at no time were more open than this, and at some time about half of it."""


class Listeners(Frozen):
    """What listens in the network namespace."""

    source: Literal["ss", "proc"]
    """/proc/net/tcp tells neither the backlog nor the process."""
    listeners: tuple[Listener, ...]
    left_out: int = 0
    processes: tuple[Process, ...] = ()
    notes: tuple[str, ...] = ()
    """What is not known, and why."""


class UnitFile(Frozen):
    """A unit file of systemd, or a drop-in."""

    path: str
    content: str | None
    """Section headers and LimitNOFILE lines alone; `?` for a value that is no plain word. None where the login may not
    read the file, whose path then may end in a wildcard."""
    mask: bool = False
    """Empty, or a link to /dev/null: it is there to switch its namesakes off."""
    size_bytes: int | None = None
    """Of the whole file: it tells whether there is more in it than `content`. Looked at in our own drop-ins alone."""


class UnitAlias(Frozen):
    """Another name of a unit, under which there are drop-ins."""

    unit: str
    name: str


class UnitFiles(Frozen):
    """What systemd reads for the services that listen. Drop-ins of other services may be among the files."""

    units: tuple[str, ...]
    files: tuple[UnitFile, ...] = ()
    """In the order of the folders, the strongest first."""
    aliases: tuple[UnitAlias, ...] = ()


class Conntrack(Frozen):
    """Connection tracking, as this network namespace sees it."""

    loaded: bool
    built_in: bool | None = None
    """Whether it is part of the kernel, and so there before any file is read. None where /sys does not tell."""
    count: int | None = None
    max: int | None = None
    buckets: int | None = None


class Rival(Frozen):
    """A program that may write the same settings."""

    name: str
    running: bool | None
    """None where processes could not be looked at. Those that run once at boot are never seen running."""
    enabled: bool = False
    """True where systemd starts it at boot."""
    files: tuple[str, ...] = ()
    """What it left on the host, its configuration above all."""
    detail: str | None = None
    """tuned: its active profile. ufw: its ENABLED line."""


class Rivals(Frozen):
    """Programs that run, start at boot or have files here; others are not listed."""

    found: tuple[Rival, ...]
    notes: tuple[str, ...] = ()
    """What is not known, and why."""
