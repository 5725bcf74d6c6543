# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/sockets.py by tests/collection/copies.py: change it there.
"""All TCP sockets, added up on the host by awk: states, destinations, listening ports, owners, timers.

One `ss` where it is installed, else /proc/net/tcp and tcp6. Both list listeners first, so that a connection can be put
down to the listener of its port, or else to this host as the one who opened it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.sockets import (
    KeepAlive,
    PeerUse,
    PortUse,
    SocketProcess,
    Sockets,
    SocketState,
    StateCount,
    StateOwner,
)
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.listeners import decoded
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.processes import is_about, process, told
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.socket_script import KEYS, SCRIPT, TICKS_PER_S

__all__ = ["SCRIPT", "parse"]

_WORDS = frozenset(
    {
        "source",
        "owners",
        "range",
        "total",
        "beyond",
        "odd",
        "state",
        "keepalive",
        "again",
        "limited",
        "local_ports",
        "peer",
        "peers_left_out",
        "port",
        "ports_left_out",
        "owner",
        "owners_left_out",
        "pid",
        "uptime",
    }
)


def parse(lines: Sequence[str]) -> Sockets:
    """Understand the section.

    Raises ValueError for a line that is none of ours, and where neither ss nor /proc/net/tcp said anything.
    """
    said: dict[str, list[str]] = {}
    about: dict[int, dict[str, str]] = {}
    for line in lines:
        if is_about(line):
            pid, what, text = told(line)
            about.setdefault(pid, {})[what] = text
            continue
        word, _, rest = line.partition(" ")
        if word not in _WORDS:
            raise ValueError(f"unexpected line {line!r}")
        said.setdefault(word, []).append(rest)
    if "source" not in said:
        raise ValueError("neither ss nor /proc/net/tcp told the sockets, or there is no awk")
    try:
        return _sockets(said, about)
    except (LookupError, TypeError) as problem:
        raise ValueError(f"a line of sockets is cut short: {problem}") from None


def _sockets(said: dict[str, list[str]], about: dict[int, dict[str, str]]) -> Sockets:
    source: Any = said["source"][0]
    if source not in {"ss", "proc"}:
        raise ValueError(f"sockets from {source!r}")
    plain: Callable[[str], str] = str if source == "ss" else decoded
    again, limited = _numbers(said["again"][0], 3), _numbers(said["limited"][0], 2) if "limited" in said else None
    peers_left_out, crowd = _numbers(said["peers_left_out"][0], 2)
    owners_left_out, nameless = _numbers(said["owners_left_out"][0], 2)
    looked = said.get("owners", [""])[0]
    owners = [_owner(text) for text in said.get("owner", ())]
    names = {owner.pid: owner.name for owner in owners if owner.pid is not None}
    uptime_s = float(said["uptime"][0].split()[0])
    listening = {int(text.split()[0]) for text in said.get("pid", ()) if text.endswith("listens")}
    return Sockets(
        source=source,
        total=_numbers(said["total"][0], 1)[0],
        states=tuple(_state(text) for text in said.get("state", ())),
        peers=tuple(sorted((_peer(text, plain) for text in said.get("peer", ())), key=_by_size)),
        peers_left_out=peers_left_out,
        ports=tuple(sorted((_port(text) for text in said.get("port", ())), key=_by_size)),
        ports_left_out=_numbers(said["ports_left_out"][0], 1)[0],
        local_ports=_numbers(said["local_ports"][0], 1)[0],
        owners=tuple(sorted(owners, key=lambda one: (-one.sockets, one.state, one.pid or 0))),
        owners_left_out=owners_left_out,
        owners_known=looked == "looked",
        keepalive=_keepalive(said["keepalive"][0]),
        retransmitting=again[0],
        most_retransmissions=again[1],
        zero_window=again[2],
        peer_window_limited=limited[0] if limited else None,
        send_buffer_limited=limited[1] if limited else None,
        processes=tuple(
            _process(pid, names.get(pid) or "", one, uptime_s, listening) for pid, one in sorted(about.items())
        ),
        unlisted=_numbers(said["beyond"][0], 1)[0],
        notes=tuple(_notes(source, looked, _numbers(said["odd"][0], 1)[0], crowd, nameless)),
    )


def _notes(source: str, looked: str, odd: int, crowd: int, nameless: int) -> Iterator[str]:
    if source == "proc":
        yield "owners, and how long connections have been quiet, are not known: ss is not installed or refuses"
    elif looked.startswith("many "):
        yield f"owners were not looked for: there are {looked.removeprefix('many ')}, and ss would look at all of them"
    if odd:
        yield f"lines that make no sense and were passed over: {odd}"
    if crowd:
        yield f"sockets to destinations beyond the first {KEYS}, counted by state alone: {crowd}"
    if nameless:
        yield f"sockets of owners beyond the first {KEYS}, counted by state alone: {nameless}"


def _state(text: str) -> StateCount:
    name, sockets, unowned = text.split()
    return StateCount(state=SocketState(name), sockets=int(sockets), unowned=int(unowned))


def _peer(text: str, plain: Callable[[str], str]) -> PeerUse:
    local, address, port, in_range, again, most, states = text.split()
    return PeerUse(
        local=plain(local),
        address=plain(address),
        port=int(port),
        states=_shares(states),
        in_range=int(in_range),
        retransmitting=int(again),
        most_retransmissions=int(most),
    )


def _port(text: str) -> PortUse:
    port, unaccepted, waiting, unread, again, most, states = text.split()
    return PortUse(
        port=int(port),
        states=_shares(states),
        unaccepted=int(unaccepted),
        waiting_s=_seconds(waiting),
        unread=int(unread),
        retransmitting=int(again),
        most_retransmissions=int(most),
    )


def _shares(text: str) -> dict[SocketState, int]:
    pairs = (pair.split("=") for pair in text.split(","))
    return {SocketState(name): int(number) for name, number in pairs}


def _by_size(use: PeerUse | PortUse) -> tuple[int, str, int]:
    return -use.sockets, use.address if isinstance(use, PeerUse) else "", use.port


def _owner(text: str) -> StateOwner:
    # The name of a process may hold spaces, or nothing.
    sockets, shared, unread, bytes_in, bytes_out, quiet, late, state, pid, owned, *name = text.split(" ", 10)
    return StateOwner(
        state=SocketState(state),
        pid=None if pid == "-" else int(pid),
        name=name[0] if pid != "-" and name else None,
        owned=owned == "1",
        sockets=int(sockets),
        shared=int(shared),
        unread=int(unread),
        unread_bytes=int(bytes_in),
        unsent_bytes=int(bytes_out),
        quiet_s=_seconds(quiet),
        unread_s=_seconds(late),
    )


def _keepalive(text: str) -> KeepAlive:
    on, off, unknown, soonest, latest, unanswered = text.split()
    return KeepAlive(
        on=int(on),
        off=int(off),
        unknown=int(unknown),
        soonest_s=_seconds(soonest),
        latest_s=_seconds(latest),
        unanswered=int(unanswered),
    )


def _process(pid: int, name: str, said: dict[str, str], uptime_s: float, listening: Container[int]) -> SocketProcess:
    fields = said.get("stat", "").split()
    # Field 22 of proc_pid_stat(5); the first two, number and name, were cut off on the host.
    began = int(fields[19]) / TICKS_PER_S if len(fields) > 19 else None
    return SocketProcess(
        **process(pid, name, said).model_dump(),
        age_s=None if began is None else max(0.0, round(uptime_s - began, 2)),
        listens=pid in listening,
    )


def _numbers(text: str, count: int) -> list[int]:
    found = [int(word) for word in text.split()]
    if len(found) != count:
        raise ValueError(f"{text!r} is not {count} numbers")
    return found


def _seconds(text: str) -> float | None:
    return None if text == "-" else float(text)
