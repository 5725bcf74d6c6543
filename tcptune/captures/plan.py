"""Commands that capture packets within bounds: of disk, of time, and of what is seen. They are printed, never run.

Sources: tcpdump(1), pcap-filter(7); LINKTYPE_LINUX_SLL2, tcpdump.org/linktypes.html.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple

from tcptune.domain.captures import CapturePlan, CaptureStep
from tcptune.errors import UsageError

HERE = "here"
HEADERS_BYTES = 128
"""Ethernet with a VLAN tag, IPv6 and the longest TCP header are 118 bytes."""
_MEGABYTE = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,14}")
_FOLDER = re.compile(r"/[A-Za-z0-9._/-]{1,200}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_ERRORS = "icmp[icmptype] == icmp-unreach or (icmp6 and (ip6[40] == 1 or ip6[40] == 2))"
_ENDS = "(tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0) or (ip6[6] == 6 and ip6[53] & 0x07 != 0)"


class Bounds(NamedTuple):
    """How much is captured at most."""

    files: int
    file_mb: int
    seconds: int
    snaplen: int


class Wanted(NamedTuple):
    """What is to be captured."""

    peers: tuple[str, ...]
    """Addresses or names of the other end; empty for everybody."""
    ports: tuple[int, ...]
    on: str
    """The host to capture on."""
    both: bool
    """On the peer, too."""
    interface: str
    ends_only: bool
    """SYN, FIN and RST alone."""
    below: str
    """The folder to make one in."""
    user: str

    @property
    def folder(self) -> str:
        """Where files are written: a folder of its own, because it is removed afterwards."""
        return f"{self.below.rstrip('/')}/tcptune-capture"


def plan_capture(wanted: Wanted, bounds: Bounds) -> CapturePlan:
    """Return the commands, in order. Raises UsageError for what cannot stand in one."""
    _check(wanted)
    steps: list[CaptureStep] = []
    ends = [("client" if wanted.both else "capture", wanted.on, wanted.peers)]
    if wanted.both:
        ends.append(("server", wanted.peers[0], (wanted.on,)))
    for name, host, peers in ends:
        steps += _one_end(name, host, peers, wanted, bounds)
    for name, host, _ in ends:
        there = f"ssh {host} " if host else ""
        fetch = f"mkdir -m 700 {name} && {there}sudo tar -C {wanted.folder} -cf - . | tar -C {name} -xf -"
        steps.append(CaptureStep(where=HERE, command=fetch, why="fetch it"))
    read = "tcptune pcap --both client server" if wanted.both else "tcptune pcap capture"
    steps.append(CaptureStep(where=HERE, command=read, why="read it"))
    for _, host, _ in ends:
        remove = f"sudo rm -r {wanted.folder}"
        why = "leave nothing behind: packets are other people's"
        steps.append(CaptureStep(where=host or HERE, command=remove, why=why))
    return CapturePlan(
        steps=tuple(steps), disk_bytes=bounds.files * bounds.file_mb * _MEGABYTE, notes=tuple(_notes(wanted, bounds))
    )


def filter_text(peers: Sequence[str], ports: Sequence[int], *, ends_only: bool) -> str:
    """Return what tcpdump lets through: segments of these ends, and ICMP errors, whoever sends them."""
    parts = ["tcp"]
    if ports:
        parts.append("(" + " or ".join(f"port {port}" for port in ports) + ")")
    if peers:
        parts.append("(" + " or ".join(f"host {peer}" for peer in peers) + ")")
    if ends_only:
        parts.append(f"({_ENDS})")
    return f"({' and '.join(parts)}) or {_ERRORS}"


def _one_end(name: str, host: str, peers: tuple[str, ...], wanted: Wanted, bounds: Bounds) -> list[CaptureStep]:
    text = filter_text(peers, wanted.ports, ends_only=wanted.ends_only)
    command = (
        f"sudo timeout --signal=INT {bounds.seconds} tcpdump -nn -p -i {wanted.interface} -s {bounds.snaplen}"
        f" -C {bounds.file_mb} -W {bounds.files} -Z {wanted.user} -w {wanted.folder}/{name}.pcap {shlex.quote(text)}"
    )
    where = host or HERE
    steps = []
    if wanted.interface == "any" and peers and _is_address(peers[0]):
        why = "see which interface leads there, and name it with --interface"
        steps.append(CaptureStep(where=where, command=f"ip route get {peers[0]}", why=why))
    # mkdir, because it refuses what is there already: in a folder that all may write to it could be anybody's link.
    make = f"sudo mkdir -m 700 {wanted.folder} && sudo chown {wanted.user} {wanted.folder}"
    steps.append(CaptureStep(where=where, command=make, why="a folder that only root and tcpdump's user can read"))
    why = f"capture for {bounds.seconds} s at most, or until Ctrl-C"
    steps.append(CaptureStep(where=where, command=command, why=why))
    return steps


def _notes(wanted: Wanted, bounds: Bounds) -> list[str]:
    total = bounds.files * bounds.file_mb
    notes = [
        f"it writes to {wanted.folder}, at most {bounds.files} files of {bounds.file_mb} MB (of a million bytes)"
        f" and a packet each: {total} MB; the oldest is overwritten when all are full, so stop it soon after the fault",
    ]
    if bounds.snaplen <= HEADERS_BYTES:
        notes.append(
            f"{bounds.snaplen} bytes of each packet hold the headers and next to nothing of what was said: TLS and HTTP"
            " are not judged; --snaplen 512 shows their beginnings, and whatever secrets stand there"
        )
    else:
        notes.append(f"{bounds.snaplen} bytes of each packet hold payload, secrets among it: treat the files so")
    if wanted.interface == "any":
        notes.append(
            "-i any writes another link type (LINUX_SLL2, or LINUX_SLL by older tcpdumps) instead of Ethernet, says"
            " which way each packet went, and has a packet once per interface that it passes; tcptune pcap knows that"
        )
    else:
        notes.append(
            "packets with a VLAN tag pass this filter only where the interface removes the tag, as eth0.100 does"
        )
    if wanted.ends_only:
        notes.append(
            "SYN, FIN and RST alone show who ended what; loss, closed windows, silences and large packets are not seen"
        )
    if wanted.both:
        notes.append(
            "behind NAT or a balancer the other end is seen with another address: then leave hosts out of the filter"
        )
    notes.append("tcpdump says at its end how many packets the kernel dropped: with any, a smaller filter is needed")
    return notes


def _check(wanted: Wanted) -> None:
    if not wanted.peers and not wanted.ports:
        raise UsageError("a capture of everything is too much", hint="name a host or --port")
    if wanted.both and len(wanted.peers) != 1:
        raise UsageError("--both takes one host: the other end", hint="tcptune capture-plan db1 --on web1 --both")
    if wanted.both and not wanted.on:
        raise UsageError("--both needs the host of the client, too", hint="tcptune capture-plan db1 --on web1 --both")
    for text, kind, what in (
        *((peer, _NAME, "a host name or address") for peer in wanted.peers if not _is_address(peer)),
        *(((wanted.on, _NAME, "a host name or address"),) if wanted.on and not _is_address(wanted.on) else ()),
        (wanted.interface, _INTERFACE, "the name of an interface"),
        (wanted.below, _FOLDER, "an absolute path of letters, digits, '.', '_', '-' and '/'"),
        (wanted.user, _USER, "the name of a user"),
    ):
        if not kind.fullmatch(text) or ".." in text:
            raise UsageError(f"{text!r} is not {what}", hint=_apart(text) if text in wanted.peers else None)
    if any(not 0 < port < 65536 for port in wanted.ports):
        raise UsageError("a port is a number from 1 to 65535")


def _apart(text: str) -> str | None:
    """Return how to say HOST:PORT, which `probe` takes, as two."""
    host, _, port = text.rpartition(":")
    named = port.isdecimal() and (_NAME.fullmatch(host) or _is_address(host))
    return f"tcptune capture-plan {host} --port {port}" if named else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text
