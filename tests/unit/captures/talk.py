"""Builds the packets of one connection: what each side would send next, unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tcptune.captures.analysis import Analysis
from tcptune.domain.captures import CaptureFinding, CaptureReport

SECOND = 1_000_000_000
START_S = 1_700_000_000.0


class End:
    """One side of it."""

    def __init__(self, address: str, port: int, isn: int, ttl: int) -> None:
        self.address, self.port, self.isn, self.ttl = address, port, isn, ttl
        self.seq, self.ack = isn, 0
        self.ip_id = 100
        self.stamp = isn // 7


class Talk:
    """A connection. `at` is the time of the next packet in seconds."""

    def __init__(
        self, *, client: str = "10.0.0.1", server: str = "10.0.0.2", sport: int = 40000, dport: int = 80
    ) -> None:
        self.client = End(client, sport, 4_294_967_000, 64)
        self.server = End(server, dport, 90_000, 61)
        self.at = START_S
        self.stamps = True
        self.packets: list[tuple[float, Packet]] = []

    def wait(self, seconds: float) -> Talk:
        self.at += seconds
        return self

    def say(self, end: End, flags: str, data: bytes = b"", *, keep: bool = True, **changed: Any) -> Talk:
        """Send the next segment of one end; `changed` are fields that differ. With keep=False nobody counts it."""
        other = self.server if end is self.client else self.client
        end.ip_id += 1
        options: list[Any] = [("MSS", 1460), ("WScale", 7)] if "S" in flags else []
        if self.stamps:
            options += [("Timestamp", (end.stamp + int((self.at - START_S) * 1000), other.stamp))]
        fields: dict[str, Any] = {
            "seq": end.seq,
            "ack": end.ack if "A" in flags else 0,
            "flags": flags,
            "window": 501,
            "options": options,
            "ttl": end.ttl,
            "id": end.ip_id,
        } | changed
        ip = {"ttl": fields.pop("ttl"), "id": fields.pop("id")}
        if ":" in end.address:
            head: Packet = IPv6(src=end.address, dst=other.address, hlim=ip["ttl"])
        else:
            head = IP(src=end.address, dst=other.address, ttl=ip["ttl"], id=ip["id"], flags="DF")
        packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / head
        packet = packet / TCP(sport=end.port, dport=other.port, **fields) / data
        self.packets.append((self.at, packet))
        self.at += 0.001
        if keep:
            end.seq = (fields["seq"] + len(data) + ("S" in flags) + ("F" in flags)) % 2**32
            other.ack = end.seq
        return self

    def handshake(self) -> Talk:
        return self.say(self.client, "S").say(self.server, "SA").say(self.client, "A")

    def ask(self, data: bytes = b"question" * 10) -> Talk:
        return self.say(self.client, "PA", data)

    def answer(self, data: bytes = b"answer" * 10) -> Talk:
        return self.say(self.server, "PA", data)

    def fin(self, end: End) -> Talk:
        return self.say(end, "FA")

    def abort(self, end: End, **changed: Any) -> Talk:
        """Reset as a kernel does that still has the socket."""
        return self.say(end, "RA", keep=False, **changed)

    def unknown(self, end: End, **changed: Any) -> Talk:
        """Reset as a kernel does that has no such socket: nothing but the number that was asked for."""
        other = self.server if end is self.client else self.client
        bare: dict[str, Any] = {"seq": other.ack, "window": 0, "options": [], "id": 0}
        return self.say(end, "R", keep=False, **(bare | changed))

    def refuse(self, **changed: Any) -> Talk:
        """Answer a SYN as a kernel does where nobody listens."""
        bare: dict[str, Any] = {"seq": 0, "window": 0, "options": [], "id": 0}
        return self.say(self.server, "RA", keep=False, **(bare | changed))

    def icmp(self, origin: str, kind: int, code: int, mtu: int = 0) -> Talk:
        """Answer the last packet with an error."""
        inner = bytes(self.packets[-1][1][IP])[:28]
        head = (
            Ether()
            / IP(src=origin, dst=self.packets[-1][1][IP].src, ttl=50)
            / ICMP(type=kind, code=code, nexthopmtu=mtu)
        )
        self.packets.append((self.at, head / inner))
        self.at += 0.001
        return self


def report(*talks: Talk, until_s: float = 0.0, **options: Any) -> CaptureReport:
    """Return what a capture of these connections says; `until_s` after the last packet something else passes."""
    analysis = Analysis(**options)
    packets = sorted((packet for talk in talks for packet in talk.packets), key=lambda one: one[0])
    for at, packet in packets:
        data = bytes(packet)
        analysis.take(data, 1, len(data), round(at * SECOND))
    if until_s:
        other = Ether() / IP() / ICMP()
        analysis.take(bytes(other), 1, len(other), round((packets[-1][0] + until_s) * SECOND))
    return analysis.report(())


def only(found: CaptureReport) -> CaptureFinding:
    """Return the one finding there is."""
    [one] = found.findings
    return one
