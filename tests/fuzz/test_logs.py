"""Logs: real lines with changes, in every packing, in members, cut short, without an end of line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.adapters.logs import read_logs
from tcptune.adapters.logs.search import Search, installed_grep
from tcptune.domain.logs import LogReport
from tcptune.knowledge.wording import wording
from tests.fuzz.examples import EDITS, Edit, changed, edited, fuzz

ANCHORS = wording().anchors
LINES = b"".join(
    (
        b"2026/11/21 18:00:00 [error] 7#7: *9 connect() failed (111: Connection refused) while connecting to upstream, "
        b'client: 10.1.2.3, server: , request: "GET / HTTP/1.1", upstream: "http://10.0.0.7:80/", host: "x"\n',
        b"2026-11-21T18:00:01Z dial tcp 10.0.0.9:80: connect: connection refused\n",
        b'{"time":"2026-11-21T18:00:02.5+01:00","level":"error","err":{"msg":"read: connection reset by peer"}}\n',
        b"Nov 21 18:00:03 web1 kernel: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.\n",
        b"[Sat Nov 21 18:00:04 2026] nf_conntrack: table full, dropping packet\n",
        b'10.0.0.1 - - [21/Nov/2026:18:00:05 +0000] "GET / HTTP/1.1" 499 0 "-" "curl"\n',
        b"haproxy[7]: 10.1.2.3:40000 [21/Nov/2026:18:00:06.000] web app/a 0/0/1/-1/60001 504 1 - - sH-- 1/1/0/0/0\n",
        b"10.1.2.3:40000 [21/Nov/2026:18:00:06.000] web app/a 0/0/0/-1/9 502 209 - - SHVN 1/1/0/0/+1 0/0\n",
        b"10.1.2.3:40001 [21/Nov/2026:18:00:06.000] raw app/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0\n",
        b'[2026-11-21T18:00:07.000Z] "GET / HTTP/1.1" 503 UC 0 95 1 - "-" "curl" "-" "x" "10.0.0.7:80"\n',
        b"1795284008.123 java.net.SocketException: Connection reset\n\tat java.base/x\n",
    )
)
JOURNAL = (
    b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1770091506000000\nMESSAGE=connection refused\n\n"
    b"__CURSOR=s=2\n__REALTIME_TIMESTAMP=1770091566000000\nMESSAGE\n"
    + (30).to_bytes(8, "little")
    + b"two lines\nbroken pipe \xff\xff\xff\xff\xff\xff\xff\n\n"
)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: b"\x28\xb5\x2f\xfd" + data,
}


def read(path: Path, grep: str | None = None) -> LogReport:
    found = read_logs([str(path)], search=Search(ANCHORS, grep=grep))
    assert LogReport.model_validate_json(found.model_dump_json()) == found
    return found


@pytest.mark.parametrize("packing", PACK)
@fuzz(40)
@given(st.lists(changed((LINES, JOURNAL)), min_size=1, max_size=3), EDITS)
def test_any_log_is_counted_or_has_its_reason(
    packing: str, tmp_path: Path, members: list[bytes], damage: list[Edit]
) -> None:
    path = tmp_path / "any.log"
    path.write_bytes(edited(b"".join(map(PACK[packing], members)), damage if packing != "plain" else []))

    [source] = read(path).sources

    assert source.unread != ""


@fuzz(25)
@given(changed((LINES, JOURNAL)))
def test_with_grep_and_without_it_a_log_says_the_same(tmp_path: Path, data: bytes) -> None:
    if installed_grep() is None:
        pytest.skip("there is no GNU grep")
    path = tmp_path / "any.log"
    path.write_bytes(data)

    assert read(path, installed_grep()).errors == read(path).errors


LONG = 8 << 20
SHAPES: dict[str, bytes] = {
    "one line": b"x" * LONG,
    "one line of errors": b"connection refused " * (LONG // 19),
    "JSON in JSON": b'{"a":' * (LONG // 5),
    "lists in lists": b"[" * LONG,
    "quotes": b'"\\' * (LONG // 2),
    "digits": b"1" * LONG,
    "addresses": b"10.0.0.1:80 connection refused " + b"10.0.0.1:80, " * (LONG // 13),
    "empty lines": b"\n" * LONG,
    "nothing": b"\0" * LONG,
    "many peers": b"".join(
        b"dial tcp 10.%d.%d.%d:80: connection refused\n" % (n >> 16, n >> 8 & 255, n & 255) for n in range(60_000)
    ),
}
MEMORY_BYTES = 64 << 20


@pytest.mark.timeout(120)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_log_of_any_shape_is_read_in_little_memory(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "shape.log.gz"
    path.write_bytes(gzip.compress(SHAPES[shape], 1))
    read(path)  # what is loaded once does not count
    tracemalloc.start()
    try:
        read(path)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most_bytes < MEMORY_BYTES


@pytest.mark.timeout(60)
@pytest.mark.parametrize("packing", ["gzip", "bzip2", "xz"])
def test_a_hundred_thousand_members_come_to_an_end(packing: str, tmp_path: Path) -> None:
    path = tmp_path / "members.log"
    path.write_bytes(PACK[packing](b"") * 100_000 + PACK[packing](LINES))

    assert read(path).sources[0].lines > 0
