from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcptune.adapters.logs import read_logs
from tcptune.adapters.logs.search import BLOCK_BYTES, LONGEST_LINE_BYTES, Search, has_short_lines, installed_grep
from tcptune.domain.logs import LogReport
from tcptune.errors import InputError
from tcptune.knowledge.wording import wording

REFUSED = b"2026-11-21T18:00:00Z dial tcp 10.0.0.9:80: connect: connection refused\n"
RESET = b"2026-11-21T18:10:00Z read: connection reset by peer\n"
FINE = b"2026-11-21T18:05:00Z all is well\n"
ANCHORS = wording().anchors
WAYS = [pytest.param(None, id="python"), pytest.param(installed_grep(), id="grep")]


def lines_of(report: LogReport) -> dict[str, int]:
    return {error.name: error.lines for error in report.errors}


@pytest.fixture(params=WAYS)
def search(request: pytest.FixtureRequest) -> Search:
    return Search(ANCHORS, grep=request.param)


def test_a_plain_file(tmp_path: Path, search: Search) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(FINE + REFUSED * 3 + RESET + FINE)

    report = read_logs([str(log)], search=search)

    assert lines_of(report) == {"ECONNREFUSED": 3, "ECONNRESET": 1}
    [source] = report.sources
    assert (source.form, source.lines, source.bytes) == ("plain", 4, log.stat().st_size)
    assert (f"{source.begins:%H:%M}", f"{source.ends:%H:%M}") == ("18:05", "18:05")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_packed_files_are_known_by_their_bytes(tmp_path: Path, search: Search, pack: Callable[[bytes], bytes]) -> None:
    log = tmp_path / "app.log.1"
    content = FINE * 40_000 + REFUSED
    # Several streams one behind the other, as rotators append them.
    log.write_bytes(pack(content) + pack(RESET))

    report = read_logs([str(log)], search=search)

    assert lines_of(report) == {"ECONNREFUSED": 1, "ECONNRESET": 1}
    assert report.sources[0].bytes == len(content) + len(RESET)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_a_packed_file_that_ends_early_counts_so_far_and_says_so(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    log = tmp_path / "app.log.gz"
    log.write_bytes(pack(os.urandom(300_000).hex().encode() + b"\n" + REFUSED)[:-20])

    report = read_logs([str(log)])

    assert "damaged, or cut short" in (report.sources[0].unread or "")


def test_a_stack_trace_is_one_error(tmp_path: Path, search: Search) -> None:
    log = tmp_path / "app.log"
    trace = b"java.net.ConnectException: Connection refused\n" + b"\tat org.shop.Client.ask(Client.java:1)\n" * 40
    log.write_bytes((REFUSED + trace + b"Caused by: " + trace + FINE) * 5)

    report = read_logs([str(log)], search=search)

    assert (lines_of(report), report.traced) == ({"ECONNREFUSED": 5}, 10)


def test_a_rotated_set_is_counted_together(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(RESET)
    (tmp_path / "app.log.1").write_bytes(REFUSED)
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(REFUSED))

    report = read_logs([str(path) for path in sorted(tmp_path.iterdir())])

    assert lines_of(report) == {"ECONNREFUSED": 2, "ECONNRESET": 1}


def test_zstd_is_named_with_a_way_out(tmp_path: Path) -> None:
    log = tmp_path / "app.log.zst"
    log.write_bytes(b"\x28\xb5\x2f\xfd rest")

    assert "zstd -dc FILE | tcptune logs -" in (read_logs([str(log)]).sources[0].unread or "")


def test_what_cannot_be_read_is_a_row_and_the_others_count(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(REFUSED)

    report = read_logs([str(tmp_path), str(tmp_path / "none"), "nul\0name", str(log)])

    assert [source.unread is not None for source in report.sources] == [True, True, True, False]
    assert report.lines == 1


def test_a_file_named_twice_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(REFUSED)
    (tmp_path / "link").symlink_to(log)

    with pytest.raises(InputError, match="once more"):
        read_logs([str(log), str(tmp_path / "link")])


def test_bytes_that_are_no_text(tmp_path: Path, search: Search) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"\0\0\xff\xfe " + REFUSED + b"\0" + RESET + b"connection refused without an end")

    assert read_logs([str(log)], search=search).lines == 3


def test_an_empty_file_has_no_error(tmp_path: Path, search: Search) -> None:
    log = tmp_path / "app.log"
    log.touch()

    report = read_logs([str(log)], search=search)

    assert (report.lines, report.sources[0].unread) == (0, None)


def test_standard_input_and_pipes(monkeypatch: pytest.MonkeyPatch, search: Search) -> None:
    reader, writer = os.pipe()
    os.write(writer, gzip.compress(REFUSED))
    os.close(writer)
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        report = read_logs(["-"], search=search)

    assert (report.lines, report.sources[0].form) == (1, "gzip")


def test_a_pipe_through_which_nothing_came_is_no_log_without_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        report = read_logs(["-"])

    assert "did the command before the pipe work" in (report.sources[0].unread or "")


MEASURED = """
import json, resource, sys
from tcptune.adapters.logs import read_logs
from tcptune.adapters.logs.search import Search, installed_grep
from tcptune.knowledge.wording import wording
search = Search(wording().anchors, grep=installed_grep() if sys.argv[2] == "grep" else None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = read_logs([sys.argv[1]], search=search)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
errors = {error.name: error.lines for error in report.errors}
print(json.dumps([errors, report.sources[0].cut, report.sources[0].bytes, grown, child]))
"""
"""Reads in a process of its own: nothing else shall have been large there before."""


def measured(log: Path, way: str) -> tuple[dict[str, int], int, int, int]:
    """Return errors, cuts, bytes, and how many KiB of memory this process and grep took for it."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(log), way], capture_output=True, text=True, timeout=120, check=True
    )
    errors, cut, size, grown, child = json.loads(done.stdout)
    return errors, cut, size, max(grown, child)


@pytest.mark.parametrize("way", ["grep", "python"])
def test_a_line_of_100_mb_is_cut_and_memory_stays(tmp_path: Path, way: str) -> None:
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        file.write(REFUSED)
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b" connection reset by peer\n" + REFUSED)

    errors, cut, _, memory_kib = measured(log, way)

    assert errors == {"ECONNREFUSED": 2, "ECONNRESET": 1}
    assert cut > 50
    assert memory_kib < 60_000


def test_a_bomb_is_unpacked_block_by_block(tmp_path: Path) -> None:
    log = tmp_path / "bomb.gz"
    with gzip.open(log, "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(b"\n" * 1_000_000)

    _, _, size, memory_kib = measured(log, "grep")

    assert size == 300_000_000
    assert memory_kib < 60_000


def test_long_lines_are_seen_before_grep_is_asked(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"x" * (3 * LONGEST_LINE_BYTES) + b"\n")
    with log.open("rb") as file:
        assert not has_short_lines(file.fileno(), log.stat().st_size)
    log.write_bytes((b"x" * (LONGEST_LINE_BYTES // 2) + b"\n") * 6)
    with log.open("rb") as file:
        assert has_short_lines(file.fileno(), log.stat().st_size)


def test_a_grep_that_fails_is_no_log_without_errors(tmp_path: Path) -> None:
    grep, log = tmp_path / "grep", tmp_path / "app.log"
    grep.write_text("#!/bin/sh\necho 'grep: memory exhausted' >&2\nexit 2\n")
    grep.chmod(0o755)
    log.write_bytes(REFUSED)

    report = read_logs([str(log)], search=Search(ANCHORS, grep=str(grep)))

    assert report.sources[0].unread == "grep: memory exhausted"


def test_the_journals_export(tmp_path: Path, search: Search) -> None:
    log = tmp_path / "journal.export"
    log.write_bytes(
        b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1770091506000000\n_CMDLINE=connection refused\n"
        b"MESSAGE=connection refused\n\n"
        b"__CURSOR=s=2\n__REALTIME_TIMESTAMP=1770091566000000\nMESSAGE\n"
        + (30).to_bytes(8, "little")
        + b"two lines\nbroken pipe \xff\xff\xff\xff\xff\xff\xff\n\n"
    )

    report = read_logs([str(log)], search=search)

    assert lines_of(report) == {"ECONNREFUSED": 1, "EPIPE": 1}
    assert [f"{bucket.start:%H:%M}" for bucket in report.buckets] == ["04:05", "04:06"]


PIECES = st.one_of(
    st.binary(max_size=50),
    st.sampled_from([b"\n", b"\r\n", b"\0", *(anchor.encode() for anchor in ANCHORS)]),
)


@given(st.lists(PIECES, max_size=40), st.lists(st.integers(1, 60), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_python_finds_the_lines_that_grep_finds_however_the_blocks_fall(pieces: list[bytes], cuts: list[int]) -> None:
    if installed_grep() is None:
        pytest.skip("there is no GNU grep")
    text = io.BytesIO(b"".join(pieces))
    blocks: list[bytes] = []
    while block := text.read(cuts[len(blocks) % len(cuts)]):
        blocks.append(block)

    found = [
        [(search.offset, line.removesuffix(b"\n")) for line in search.in_blocks(iter(blocks))]
        for search in (Search(ANCHORS), Search(ANCHORS, grep=None))
    ]

    assert found[0] == found[1]
    assert all(text.getvalue()[offset:].startswith(line) for offset, line in found[0])


@given(st.binary(max_size=3000), st.sampled_from([b"", b"\x1f\x8b\x08\0", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_counted_or_has_its_reason(tmp_path: Path, content: bytes, magic: bytes) -> None:
    log = tmp_path / "any"
    log.write_bytes(magic + content)

    report = read_logs([str(log)], search=Search(ANCHORS, grep=None))

    assert report.sources[0].unread is None or report.sources[0].unread


def test_blocks_are_not_larger_than_asked(tmp_path: Path) -> None:
    from tcptune.adapters.logs.packed import blocks_of

    log = tmp_path / "app.log.gz"
    log.write_bytes(gzip.compress(b"a" * (5 * BLOCK_BYTES + 7)))
    with log.open("rb") as file:
        form, blocks = blocks_of(file.fileno(), BLOCK_BYTES)
        sizes = [len(block) for block in blocks]

    assert form == "gzip"
    assert max(sizes) <= BLOCK_BYTES
    assert sum(sizes) == 5 * BLOCK_BYTES + 7


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read(tmp_path: Path, search: Search, encoding: str) -> None:
    log = tmp_path / "windows.log"
    content = "\ufeff" + FINE.decode() + REFUSED.decode() * 2 + "\r\nend"
    log.write_bytes(content.encode(encoding))

    assert lines_of(read_logs([str(log)], search=search)) == {"ECONNREFUSED": 2}


@pytest.mark.parametrize(
    ("magic", "way_out"),
    [
        (b"LPKSHHRH", "journalctl --file FILE -o export"),
        (b"\x04\x22\x4d\x18", "lz4 -dc"),
        (b"PK\x03\x04", "unzip -p"),
        (b"\x1f\x9d", "zcat"),
        (b"7z\xbc\xaf\x27\x1c", "7z x -so"),
        (b"\xd4\xc3\xb2\xa1", "tcptune pcap"),
        (b"\x7fELF", "no log"),
    ],
)
def test_what_would_be_searched_in_vain_is_refused(tmp_path: Path, magic: bytes, way_out: str) -> None:
    log = tmp_path / "file"
    log.write_bytes(magic + bytes(100))

    assert way_out in (read_logs([str(log)]).sources[0].unread or "")
