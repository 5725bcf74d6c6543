"""Unpack logs block by block. What a file is, its first bytes say: names of rotated files say little."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Literal

Form = Literal["plain", "gzip", "bzip2", "xz"]

_MAGIC: tuple[tuple[bytes, Form], ...] = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\x28\xb5\x2f\xfd", "packed with zstd, which is not unpacked here; try: zstd -dc FILE | tcptune logs -"),
    (b"\x04\x22\x4d\x18", "packed with lz4, which is not unpacked here; try: lz4 -dc FILE | tcptune logs -"),
    (b"\x1f\x9d", "packed with compress, which is not unpacked here; try: zcat FILE | tcptune logs -"),
    (b"PK\x03\x04", "a zip archive, which is not unpacked here; try: unzip -p FILE | tcptune logs -"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive, which is not unpacked here; try: 7z x -so FILE | tcptune logs -"),
    (b"LPKSHHRH", "the journal's own file; try: journalctl --file FILE -o export | tcptune logs -"),
    (b"\x7fELF", "a program or a core dump, no log"),
    (b"\xd4\xc3\xb2\xa1", "a capture of packets; try: tcptune pcap FILE"),
    (b"\x4d\x3c\xb2\xa1", "a capture of packets; try: tcptune pcap FILE"),
    (b"\x0a\x0d\x0d\x0a", "a capture of packets; try: tcptune pcap FILE"),
)
"""What would be searched in vain, and then be called a log without errors."""
_HEAD_BYTES = 4096
"""What the first block has at least, however little a pipe gives at once: what a log is, is seen in it."""
_XZ_MEMORY_BYTES = 256 * 1024 * 1024
"""More than xz -9 asks for. A crafted file could ask for gigabytes."""


class Packed(Exception):
    """A file cannot be unpacked, or not to its end; the text says why."""


def form_of(head: bytes) -> Form:
    """Return how a file that begins like this is packed. Raises Packed for what nothing here unpacks."""
    for magic, why in _REFUSED:
        if head.startswith(magic):
            raise Packed(why)
    return next((form for magic, form in _MAGIC if head.startswith(magic)), "plain")


def blocks_of(handle: int, most_bytes: int) -> tuple[Form, Iterator[bytes]]:
    """Return how a file is packed, and its content in blocks of at most `most_bytes`, read from where it stands.

    Raises Packed, also while the blocks are read: then the file is damaged or ends early.
    """
    head = _filled(handle, _HEAD_BYTES)
    form = form_of(head)
    raw = _raw(handle, head, most_bytes)
    if form == "plain":
        return form, raw
    return form, _unpacked(form, raw, most_bytes)


def _filled(handle: int, wanted: int) -> bytes:
    """Read so many bytes, fewer at the end: a pipe may give one at a time."""
    found = b""
    while len(found) < wanted and (more := os.read(handle, wanted - len(found))):
        found += more
    return found


def _raw(handle: int, head: bytes, most_bytes: int) -> Iterator[bytes]:
    with io.FileIO(handle, closefd=False) as file:
        if head:
            yield head + (file.read(most_bytes - len(head)) or b"")
        while block := file.read(most_bytes):
            yield block


def _unpacked(form: Form, raw: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    unpack = {"gzip": _gzip, "bzip2": _bzip2, "xz": _xz}[form]
    try:
        yield from unpack(raw, most_bytes)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as problem:
        raise Packed(f"damaged, or cut short: {problem}; what stood before counts") from None


def _gzip(raw: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    for block in raw:
        data, found = block, b""
        # A full block of output may have more behind it, though no input is left.
        while data or len(found) == most_bytes:
            if unpacker.eof:
                data = data.lstrip(b"\0")  # padding of tapes and of some rotators
                if not data:
                    break
                unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            if found := unpacker.decompress(data, most_bytes):
                yield found
            data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if not unpacker.eof:
        raise EOFError("it has no end")


def _bzip2(raw: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    return _streams(raw, most_bytes, bz2.BZ2Decompressor)


def _xz(raw: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    return _streams(raw, most_bytes, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES))


def _streams(
    raw: Iterator[bytes], most_bytes: int, fresh: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Iterator[bytes]:
    unpacker = fresh()
    for block in raw:
        data = block
        while True:
            if unpacker.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                unpacker = fresh()
            if found := unpacker.decompress(data, most_bytes):
                yield found
            if unpacker.eof:
                data = unpacker.unused_data
            elif unpacker.needs_input:
                break
            else:
                data = b""
    if not unpacker.eof:
        raise EOFError("it has no end")
