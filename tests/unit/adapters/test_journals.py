"""Journals as journalctl writes them: the export format with binary fields, and JSON with messages as arrays."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import chain, repeat
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptune.adapters.logs import read_logs
from tcptune.adapters.logs.journal import LONGEST_MESSAGE_BYTES, lines_of
from tcptune.adapters.logs.packed import Packed
from tcptune.adapters.logs.search import Search, installed_grep
from tcptune.domain.logs import LogReport
from tcptune.knowledge.wording import wording

HEAD = b"__CURSOR=s=%d\n__REALTIME_TIMESTAMP=%d\n_CMDLINE=/bin/x connection refused\n"
START_US = 1_770_091_506_000_000


@pytest.fixture(params=[pytest.param(None, id="python"), pytest.param(installed_grep(), id="grep")])
def search(request: pytest.FixtureRequest) -> Search:
    return Search(wording().anchors, grep=request.param)


def binary(name: bytes, data: bytes) -> bytes:
    return name + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def export(*fields: bytes) -> bytes:
    return b"".join(HEAD % (place, START_US + place) + one + b"\n" for place, one in enumerate(fields))


def errors(report: LogReport) -> dict[str, int]:
    return {error.name: error.lines for error in report.errors}


def read(tmp_path: Path, content: bytes, search: Search) -> LogReport:
    log = tmp_path / "journal"
    log.write_bytes(content)
    return read_logs([str(log)], search=search)


def test_fields_of_bytes_are_read_by_their_length(tmp_path: Path, search: Search) -> None:
    content = export(
        binary(b"MESSAGE", b"request failed\njava.net.SocketException: Connection reset\n\tat x\n\n"),
        binary(b"COREDUMP_ENVIRON", b"A=1\nMESSAGE=broken pipe\nconnection refused\n") + b"MESSAGE=all is well\n",
        # Ten bytes: the length itself holds an end of line.
        binary(b"MESSAGE", b"EPIPE\n1234"),
        b"MESSAGE=connection refused\n",
    )

    report = read(tmp_path, content, search)

    assert errors(report) == {"ECONNRESET": 1, "EPIPE": 1, "ECONNREFUSED": 1}
    assert (report.sources[0].bytes, report.sources[0].unread) == (len(content), None)
    assert sum(sum(bucket.errors.values()) for bucket in report.buckets) == 3


def test_a_message_of_many_lines_is_one_error(tmp_path: Path, search: Search) -> None:
    trace = b"java.net.SocketException: Connection reset\n\tat x\nCaused by: java.net.SocketException: Connection reset"

    assert errors(read(tmp_path, export(binary(b"MESSAGE", trace)), search)) == {"ECONNRESET": 1}


@pytest.mark.parametrize("cut", [3, 20, 60])
def test_an_export_that_ends_in_a_field_is_not_whole(tmp_path: Path, search: Search, cut: int) -> None:
    content = export(b"MESSAGE=connection refused\n", binary(b"COREDUMP", b"x" * 50))

    report = read(tmp_path, content[:-cut], search)

    assert errors(report) == {"ECONNREFUSED": 1}
    assert "in the middle of an entry" in (report.sources[0].unread or "")


def test_a_length_that_is_none_is_damage(tmp_path: Path, search: Search) -> None:
    broken = b"MESSAGE\n" + (2).to_bytes(8, "little") + b"longer\n"

    report = read(tmp_path, export(broken, b"MESSAGE=connection refused\n"), search)

    assert "damaged" in (report.sources[0].unread or "")


def test_a_length_beyond_all_measure_takes_no_memory() -> None:
    head = export() + b"MESSAGE\n" + (2**60).to_bytes(8, "little") + b"connection refused"
    found: list[bytes] = []

    with pytest.raises(Packed, match="in the middle"):
        found.extend(lines_of(chain([head], repeat(b"x" * 100_000, 64))))

    assert sum(map(len, found)) <= LONGEST_MESSAGE_BYTES + 100


def test_an_export_that_was_cut_in_front(tmp_path: Path, search: Search) -> None:
    content = export(b"MESSAGE=x\n", b"MESSAGE=connection refused\n")

    assert errors(read(tmp_path, content[7:], search)) == {"ECONNREFUSED": 1}


FIELDS = st.one_of(
    st.binary(max_size=30).map(lambda data: binary(b"MESSAGE", data)),
    st.binary(max_size=30).map(lambda data: binary(b"OTHER", data)),
    st.sampled_from([b"MESSAGE=one\n", b"OTHER=two\n"]),
)


@given(st.lists(FIELDS, max_size=12), st.lists(st.integers(1, 40), min_size=1, max_size=12))
@settings(max_examples=80, deadline=None)
def test_entries_are_the_same_however_the_blocks_fall(fields: list[bytes], cuts: list[int]) -> None:
    content = export(*fields)
    blocks, at = [], 0
    while at < len(content):
        size = cuts[len(blocks) % len(cuts)]
        blocks.append(content[at : at + size])
        at += size

    assert b"".join(lines_of(iter(blocks))) == b"".join(lines_of(iter([content])))


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_lines_or_damage(content: bytes, size: int) -> None:
    try:
        found = b"".join(lines_of(content[at : at + size] for at in range(0, len(content), size)))
    except Packed as problem:
        assert str(problem)  # noqa: PT017  # either is right
    else:
        assert found.count(b"\n") <= content.count(b"\n") + 1


def test_messages_as_arrays_of_bytes(tmp_path: Path, search: Search) -> None:
    entry = {"__REALTIME_TIMESTAMP": str(START_US), "_CMDLINE": "connection refused", "MESSAGE": "x"}
    messages = [
        list(b"\xff read: connection reset by peer"),
        ["all is well", "broken pipe"],
        [list(b"no route to host"), "x"],
        [300, -1, "x", None],
        None,
        [],
        "connection timed out",
    ]
    lines = [json.dumps(entry | {"MESSAGE": one}, separators=(",", ":")) for one in messages]
    lines.append(json.dumps({"__REALTIME_TIMESTAMP": str(START_US), "_CMDLINE": "connection refused"}))

    report = read(tmp_path, "\n".join(lines).encode(), search)

    assert errors(report) == {"ECONNRESET": 1, "EPIPE": 1, "EHOSTUNREACH": 1, "ETIMEDOUT": 1}
    assert sum(error.untimed for error in report.errors) == 0


def test_a_writer_in_small_pieces_is_understood_as_one_in_large(
    monkeypatch: pytest.MonkeyPatch, search: Search
) -> None:
    entry = {"__CURSOR": "s", "__REALTIME_TIMESTAMP": str(START_US), "MESSAGE": list(b"\xff broken pipe")}
    content = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
    reader, writer = os.pipe()

    def write() -> None:
        for at in range(len(content)):
            os.write(writer, content[at : at + 1])
            time.sleep(0.001)
        os.close(writer)

    thread = Thread(target=write)
    thread.start()
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        report = read_logs(["-"], search=search)
    thread.join()

    assert errors(report) == {"EPIPE": 1}


def test_events_of_a_gateway(tmp_path: Path, search: Search) -> None:
    line = (
        b'data: {"__REALTIME_TIMESTAMP":"1770091506000000","_CMDLINE":"broken pipe","MESSAGE":"connection refused"}\n'
    )

    assert errors(read(tmp_path, line, search)) == {"ECONNREFUSED": 1}
