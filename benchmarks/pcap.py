"""Reading a capture: packets per second of processor time, and peak memory, of `tcptune pcap`.

    python -m benchmarks.pcap --packets 1000000

The packets are generated: connections that open, ask, answer and end, a tenth of them by a reset, with so many open at
once. Processor time, because whatever else the machine does would count as well. Memory is the peak of the whole
process, the interpreter and all libraries included. Beside it stands what scapy alone takes to dissect packets of the
same file, measured on the first of them.
"""

from __future__ import annotations

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

GOAL_PER_S = 50_000
GOAL_MB = 400
FEW = 2_000
"""Packets that scapy dissects for comparison."""
_AT_ONCE = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns 1 where a goal is missed."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tcptune-bench-") as folder:
        path = Path(folder) / "generated.pcap"
        generate(path, options.packets)
        size_mb = path.stat().st_size / 1e6
        print(f"{options.packets:,} packets, {size_mb:,.0f} MB, on {os.cpu_count()} CPUs")
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "tcptune", "pcap", str(path)], capture_output=True, text=True, check=False
        )
        wall_s = time.monotonic() - started
        if done.returncode != 10:
            print(done.stdout + done.stderr, file=sys.stderr)
            return 2
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = used.ru_utime + used.ru_stime
        peak_mb = used.ru_maxrss / 1024
        alone_s = _dissect(path, min(FEW, options.packets))
    rate = options.packets / cpu_s
    print(done.stdout.splitlines()[-1])
    print(f"tcptune pcap           {rate:>12,.0f} packets/s   {cpu_s:.1f} s of {wall_s:.1f} s   peak {peak_mb:,.0f} MB")
    print(f"scapy, dissecting all  {1 / alone_s:>12,.0f} packets/s   (of {min(FEW, options.packets):,})")
    print(f"goals: {GOAL_PER_S:,} packets/s, {GOAL_MB} MB")
    return 0 if rate >= GOAL_PER_S and peak_mb <= GOAL_MB else 1


def generate(path: Path, packets: int) -> None:
    """Write a capture of so many packets, 10,000 in each of its seconds."""
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, data in zip(range(packets), _all(), strict=False):
            file.write(
                struct.pack("<IIII", 1_700_000_000 + number // 10_000, number % 10_000 * 100, len(data), len(data))
            )
            file.write(data)


def _all() -> Iterator[bytes]:
    """Yield packets without end: so many connections at once, a packet of each in turn."""
    first = 0
    while True:
        yield from (
            packet for step in zip(*(_connection(first + n) for n in range(_AT_ONCE)), strict=True) for packet in step
        )
        first += _AT_ONCE


def _connection(number: int) -> list[bytes]:
    client, server = struct.pack(">I", 0x0A000000 + number % 65_000), struct.pack(">I", 0x0AFF0000 + number % 20)
    port = 1024 + number % 60_000
    ask, answer = b"q" * 200, b"a" * 1000

    def packet(mine: bool, flags: int, seq: int, ack: int, payload: bytes = b"") -> bytes:
        ends, ports = ((client, server), (port, 80)) if mine else ((server, client), (80, port))
        stamp = struct.pack(">BBBBII", 1, 1, 8, 10, number & 0xFFFFFFFF, 1)
        tcp = struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x80, flags, 500, 0, 0) + stamp + payload
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), (seq * 7 + ack) & 0xFFFF, 0x4000, 64, 6, 0) + b"".join(
            ends
        )
        return bytes(12) + b"\x08\x00" + ip + tcp

    head = [
        packet(True, 2, 0, 0),
        packet(False, 18, 0, 1),
        packet(True, 16, 1, 1),
        packet(True, 24, 1, 1, ask),
        packet(False, 16, 1, 201),
        packet(False, 24, 1, 201, answer),
        packet(True, 16, 201, 1001),
    ]
    if number % 10 == 0:
        return [*head, packet(True, 24, 201, 1001, ask), packet(False, 16, 1001, 401), packet(False, 20, 1001, 401)]
    return [*head, packet(True, 17, 201, 1001), packet(False, 17, 1001, 202), packet(True, 16, 202, 1002)]


def _dissect(path: Path, packets: int) -> float:
    """Return seconds that scapy takes for a packet, with the options of TCP, which it decodes when asked."""
    from scapy.layers.inet import TCP
    from scapy.utils import PcapReader

    with PcapReader(str(path)) as reader:
        reader.read_packet()
        started = time.process_time()
        for _ in range(packets - 1):
            assert reader.read_packet()[TCP].options is not None  # noqa: S101  # so that it is decoded
        return (time.process_time() - started) / max(1, packets - 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pcap", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packets", type=int, default=1_000_000, help="packets to generate and read")
    return parser


if __name__ == "__main__":
    sys.exit(main())
