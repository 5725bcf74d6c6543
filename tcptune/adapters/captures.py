"""Files of captured packets: pcap and pcapng, compressed with gzip or not. scapy reads the container (extra `pcap`).

Whatever the bytes say, no more than a record at a time is in memory, and the reading comes to an end. What cannot be
understood ends it, and that is told: a capture that was read in part is never passed off as whole.
"""

from __future__ import annotations

import gzip
import logging
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, cast

from tcptune.errors import CaptureError, TcptuneError
from tcptune.ports import Packet

_MAGIC_NG = b"\x0a\x0d\x0d\x0a"
_MAGICS = {b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1", _MAGIC_NG}
_LARGEST_READ = 16 * 1024 * 1024
"""No packet is larger, and no block of pcapng that tools write. A length beyond it is damage."""
_LARGEST_PACKET = 262_144
"""The longest that libpcap captures (MAXIMUM_SNAPLEN)."""
_MOST_READS = 20_000
"""Reads without a packet among them: blocks of pcapng that are no packets are few."""
_MOST_INTERFACES = 4_096
_SECRETS_BLOCK, _PROCESS_BLOCK = 10, 0x80000001
# What reading foreign bytes raises, scapy's own exception apart, which is only known once scapy is there.
_DAMAGE = (EOFError, OSError, ValueError, LookupError, struct.error, TypeError, OverflowError)
_SECOND = 1_000_000_000
_Record = tuple[bytes, int, int, int, int]
"""Its data, link type, length on the wire, time in nanoseconds, and how long it says that it is."""


class PacketFile:
    """One file. Iterating it gives its packets; after that, `damage` says where it broke off, and is empty else."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.packets = 0
        self.damage = ""
        self._path = path

    def first_ns(self) -> int | None:
        """Return the time of the first packet, or None where there is none."""
        with closing(cast("Any", iter(self))) as packets:
            first = next(packets, None)
        self.packets, self.damage = 0, ""
        return None if first is None else first.time_ns

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets. Raises CaptureError for what is no capture at all."""
        with self._opened() as raw:
            source = _Bounded(raw)
            reader = self._reader(source)
            records = _blocks(reader) if hasattr(reader, "interfaces") else _records(reader, source)
            damage: tuple[type[Exception], ...] = (*_DAMAGE, _scapy().Scapy_Exception)
            while True:
                try:
                    data, link, wire_bytes, time_ns, claimed = next(records)
                except StopIteration:
                    break
                except damage as problem:
                    self.damage = f"after packet {self.packets}: {problem or type(problem).__name__}"
                    return
                if claimed > _LARGEST_PACKET:
                    self.damage = f"after packet {self.packets}: a packet of {claimed} bytes, which none can have"
                    return
                self.packets += 1
                source.found()
                yield Packet(data, link, wire_bytes, time_ns)
                if len(data) < claimed:
                    self.damage = f"ends in the middle of packet {self.packets}"
                    return
            self.damage = source.damage(self.packets, reader)

    def _opened(self) -> BinaryIO:
        try:
            if self._path.is_dir():
                raise CaptureError(f"{self.name}: a folder", hint="name the files in it")
            file = self._path.open("rb")
            if file.peek(2)[:2] == b"\x1f\x8b":
                file.close()
                return cast("BinaryIO", gzip.open(self._path, "rb"))
        except OSError as problem:
            raise CaptureError(f"{self.name}: {problem.strerror or problem}") from problem
        return file

    def _reader(self, source: _Bounded) -> Any:
        scapy = _scapy()
        begins = source.peek(4)
        if source.broke:
            raise CaptureError(f"{self.name}: cannot be unpacked: {source.broke}")
        if not begins:
            raise CaptureError(f"{self.name}: empty: not even the head of a capture", hint="tcptune capture-plan")
        if begins not in _MAGICS:
            raise CaptureError(
                f"{self.name}: neither pcap nor pcapng: it begins with {begins.hex(' ')}",
                hint="a capture as tcpdump -w writes it; gzip is understood, too",
            )
        container = scapy.RawPcapNgReader if begins == _MAGIC_NG else scapy.RawPcapReader
        try:
            reader = container(source)
        except (scapy.Scapy_Exception, EOFError, OSError, struct.error) as problem:
            raise CaptureError(f"{self.name}: its head is damaged: {problem}") from problem
        if begins == _MAGIC_NG:
            # Keys of TLS sessions are nothing to us, and the list of processes would grow with the file.
            for kind in (_SECRETS_BLOCK, _PROCESS_BLOCK):
                reader.blocktypes.pop(kind, None)
        return reader


def packet_files(paths: Iterable[Path]) -> list[PacketFile]:
    """Return the files of one capture in the order of their first packets; of a folder, all files in it.

    Raises CaptureError for a file that is none or is named twice, and TcptuneError where the extra is missing.
    """
    found = [path for given in paths for path in _within(given)]
    _once_each(found)
    files = [PacketFile(path) for path in found]
    if len(files) < 2:
        return files
    order = {file.name: file.first_ns() for file in files}
    return sorted(files, key=lambda file: (order[file.name] is None, order[file.name] or 0, file.name))


def check_ends(client: Path, server: Path) -> None:
    """Raise CaptureError where the captures of both ends share a file: it would prove whatever it shows."""
    _once_each([*_within(client), *_within(server)])


def _once_each(paths: Iterable[Path]) -> None:
    """Raise CaptureError where a file is there twice, whatever it is called: each of its packets would count twice."""
    seen: dict[tuple[int, int], Path] = {}
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue  # what reads it says so
        earlier = seen.setdefault((found.st_dev, found.st_ino), path)
        if earlier is not path:
            raise CaptureError(f"{path}: this is the file {earlier} once more", hint="name each file once")


def _within(path: Path) -> Sequence[Path]:
    if not path.is_dir():
        return [path]
    try:
        found = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as problem:
        raise CaptureError(f"{path}: {problem.strerror or problem}") from problem
    if not found:
        raise CaptureError(f"{path}: no file in this folder")
    return found


class _Bounded:
    """A file that gives no more than a record at a time, and remembers how it ended."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead = b""
        self._reads = 0
        self.broke = ""
        """Why no more can be read; empty while it can, and at a proper end."""
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=3)

    def peek(self, size: int) -> bytes:
        """Return the first bytes, which the next read gives again. Empty where there are none."""
        try:
            self._ahead = self._file.read(size)
        except (OSError, EOFError, zlib.error) as problem:
            self.broke = " ".join(str(problem).split())
        return self._ahead

    def read(self, size: int) -> bytes:
        """Return the next bytes. Raises EOFError for what no capture has, and for what cannot be unpacked."""
        self._reads += 1
        if not 0 <= size <= _LARGEST_READ:
            self.broke = f"a record of {size} bytes, which none can have"
        elif self._reads > _MOST_READS:
            self.broke = f"no packet in {_MOST_READS} records"
        if self.broke:
            raise EOFError(self.broke)
        ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        try:
            data = ahead + self._file.read(size - len(ahead))
        except (OSError, EOFError, zlib.error) as problem:
            self.broke = " ".join(str(problem).split()) or type(problem).__name__
            raise EOFError(self.broke) from problem
        self._recent.append((size, data[:4]))
        return data

    def found(self) -> None:
        """Take note that a packet was read."""
        self._reads = 0

    def damage(self, packets: int, reader: Any) -> str:
        """Return how the file broke off after so many packets; nothing where it ended between two records."""
        if self.broke:
            return f"after packet {packets}: {self.broke}"
        size, data = self._recent[-1]
        cut = f"broken off or damaged after packet {packets}"
        if data:
            return cut
        if not hasattr(reader, "interfaces"):
            return "" if size == 16 else cut
        # A block of pcapng ends with its length, and so does the file, unless it was cut.
        before, tail = list(self._recent)[-3:-1] if len(self._recent) == 3 else ((0, b""), (0, b""))
        length = struct.unpack(reader.endian + "I", tail[1])[0] if len(tail[1]) == 4 else 0
        return "" if size == 4 and tail[0] == 4 and before[0] in (length - 12, length - 28) else cut


def _records(reader: Any, source: _Bounded) -> Iterator[_Record]:
    """Yield the records behind the head that scapy has read. Its own way to them takes twice as long."""
    head, link, scale = struct.Struct(reader.endian + "IIII"), reader.linktype & 0xFFFF, 1 if reader.nano else 1000
    # The upper bits of the link type say whether a checksum follows each packet.
    while len(found := source.read(head.size)) == head.size:
        seconds, parts, captured, wire_bytes = head.unpack(found)
        data = source.read(captured) if captured <= _LARGEST_PACKET else b""
        yield data, link, wire_bytes, seconds * _SECOND + parts * scale, captured


def _blocks(reader: Any) -> Iterator[_Record]:
    """Yield the packets of a pcapng file."""
    last_ns = 0
    for data, meta in reader:
        if len(reader.interfaces) > _MOST_INTERFACES:
            raise ValueError(f"more than {_MOST_INTERFACES} interfaces")
        if meta.tshigh is not None:
            last_ns = ((meta.tshigh << 32) | meta.tslow) * _SECOND // meta.tsresol
        yield data, meta.linktype, meta.wirelen, last_ns, 0


def _scapy() -> Any:
    try:
        from scapy import utils
    except ModuleNotFoundError as problem:
        raise TcptuneError(
            "captures need the Python package scapy, which is missing", hint="pip install 'tcptune[pcap]'"
        ) from problem
    # It would talk to standard error of each damage, in its own words.
    logging.getLogger("scapy.runtime").disabled = True
    return utils
