# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/sockets.py by tests/collection/copies.py: change it there.
"""The TCP sockets of a host at one moment, added up on the host: a look at 200,000 of them is a few kilobytes.

Both families are counted together, and an IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) is an IPv4 address: the
kernel gives both the same local ports.
"""

from __future__ import annotations

from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import StrEnum
from typing import Literal

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import Process
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen


class SocketState(StrEnum):
    """States of a TCP socket, by the kernel's names (include/net/tcp_states.h)."""

    ESTABLISHED = "ESTABLISHED"
    SYN_SENT = "SYN_SENT"
    SYN_RECV = "SYN_RECV"
    FIN_WAIT1 = "FIN_WAIT1"
    FIN_WAIT2 = "FIN_WAIT2"
    TIME_WAIT = "TIME_WAIT"
    CLOSE = "CLOSE"
    """Bound to a port, and neither connected nor listening. /proc/net/tcp does not show these."""
    CLOSE_WAIT = "CLOSE_WAIT"
    LAST_ACK = "LAST_ACK"
    LISTEN = "LISTEN"
    CLOSING = "CLOSING"


class StateCount(Frozen):
    """How many sockets are in one state."""

    state: SocketState
    sockets: int
    unowned: int = 0
    """Of these, the ones that no process has a descriptor of (inode 0).

    ESTABLISHED and CLOSE_WAIT: they wait in a listener's queue for accept(). FIN_WAIT1, FIN_WAIT2, LAST_ACK and
    CLOSING: the program has closed them, the kernel alone ends them. SYN_RECV and TIME_WAIT never have an owner.
    """


class PeerUse(Frozen):
    """Connections that this host opened from one of its addresses to one destination, TIME_WAIT included.

    A connection counts as opened here where nothing listens on its local port.
    """

    local: str
    """Address of this host, as ss prints it without brackets: '10.0.0.5', '2001:db8::5', 'fe80::1%eth0'."""
    address: str
    port: int
    states: dict[SocketState, int]
    in_range: int
    """Of these, the ones whose local port is within ip_local_port_range: no two share one, so this is the number of
    ports used up towards this destination. To be compared with the size of the range without the reserved ports."""
    retransmitting: int = 0
    """Of these, the ones that have sent something again without an answer, a SYN included."""
    most_retransmissions: int = 0
    """In a row, on one of them."""

    @property
    def sockets(self) -> int:
        """Return how many there are in all states."""
        return sum(self.states.values())


class PortUse(Frozen):
    """Connections to one listening port of this host, on all of its addresses."""

    port: int
    states: dict[SocketState, int]
    """Without LISTEN."""
    unaccepted: int = 0
    """ESTABLISHED and CLOSE_WAIT without an owner: they wait for accept()."""
    waiting_s: float | None = None
    """For at least so many seconds one of them waits: it has heard nothing from its client since. None where no one
    waits, or where ss was not asked for details."""
    unread: int = 0
    """ESTABLISHED and accepted, with bytes that the program has not read yet."""
    retransmitting: int = 0
    """Have sent something again without an answer, a SYN-ACK included."""
    most_retransmissions: int = 0

    @property
    def sockets(self) -> int:
        """Return how many there are in all states."""
        return sum(self.states.values())


class StateOwner(Frozen):
    """The sockets of one process in one state. TIME_WAIT and LISTEN are left out."""

    state: SocketState
    pid: int | None
    """None where no process has them (`owned` is False), or where the owner cannot be seen or was not looked for."""
    name: str | None
    owned: bool
    sockets: int
    shared: int = 0
    """Of these, the ones that other processes hold as well; they are counted under the first of them."""
    unread: int = 0
    """Of these, the ones with bytes that have arrived and were not read."""
    unread_bytes: int = 0
    """Of all of them together. The kernel counts the peer's FIN as a byte until the program has read the end: a socket
    in CLOSE_WAIT that is not among `unread` is one whose program was told of the end and did not close."""
    unread_s: float | None = None
    """For at least so many seconds the bytes of one of them lie there. None where `ss` was not asked or has none."""
    unsent_bytes: int = 0
    """Written by the program and not acknowledged by the peer, of all of them together."""
    quiet_s: float | None = None
    """Of the one that has heard nothing from its peer for the longest time, in seconds, answers to keepalive probes
    included. A socket in CLOSE_WAIT has been there for at least so long. None where it is not known, as above."""


class KeepAlive(Frozen):
    """How many established connections the kernel will probe when they are idle (SO_KEEPALIVE)."""

    on: int
    off: int
    unknown: int = 0
    """Another timer runs, and the kernel shows only one of them: data is under way, or the peer's window is closed."""
    soonest_s: float | None = None
    """The next probe of all is due in so many seconds. None where no socket has the timer."""
    latest_s: float | None = None
    """The largest rest, in seconds: the keepalive time of the most patient socket is at least this."""
    unanswered: int = 0
    """Of those in `on`, the ones whose last probe has had no answer so far."""


class SocketProcess(Process):
    """A process that holds or awaits connections, and how many files it has open."""

    age_s: float | None = None
    """Since it was started, in seconds: a listener is no older. None where /proc does not tell."""
    listens: bool = False


class Sockets(Frozen):
    """All TCP sockets of the network namespace, added up."""

    source: Literal["ss", "proc"]
    """/proc/net/tcp tells neither processes nor how long a connection has been quiet."""
    total: int
    """Sockets that were counted, listeners included."""
    states: tuple[StateCount, ...]
    peers: tuple[PeerUse, ...] = ()
    """The destinations with the most sockets, the largest first; one that retransmits counts like twenty."""
    peers_left_out: int = 0
    ports: tuple[PortUse, ...] = ()
    """The listening ports with the most connections, the largest first; one that waits for the program, or retransmits,
    counts like twenty. A port without any is not among them."""
    ports_left_out: int = 0
    local_ports: int = 0
    """Different local ports within ip_local_port_range that connections opened here have, TIME_WAIT included."""
    owners: tuple[StateOwner, ...] = ()
    """The largest first."""
    owners_left_out: int = 0
    owners_known: bool = False
    """Whether processes were looked for. A login without root sees its own alone, even then."""
    keepalive: KeepAlive = KeepAlive(on=0, off=0)
    retransmitting: int = 0
    """Sockets of any state that have sent something again without an answer so far."""
    most_retransmissions: int = 0
    zero_window: int = 0
    """Sockets that probe a peer whose receive window is closed: the peer does not read."""
    peer_window_limited: int | None = None
    """Established connections that waited for the peer's window for half of the time they had something to send. None
    where ss was not asked, as the next."""
    send_buffer_limited: int | None = None
    """The same of their own send buffer (tcp_wmem)."""
    processes: tuple[SocketProcess, ...] = ()
    """Those that listen, and those among the owners that have the most sockets."""
    unlisted: int = 0
    """Sockets beyond what is looked at: where it is not 0, every number above is too small."""
    notes: tuple[str, ...] = ()
    """What is not known, and why."""

    def count(self, state: SocketState) -> int:
        """Return how many sockets are in a state."""
        return next((one.sockets for one in self.states if one.state == state), 0)

    def unowned(self, state: SocketState) -> int:
        """Return how many sockets of a state no process holds."""
        return next((one.unowned for one in self.states if one.state == state), 0)
