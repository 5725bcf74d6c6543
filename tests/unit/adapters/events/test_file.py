"""Events in a file: whole lines whatever happens, and a rollout that goes on."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tcptune.adapters.events.file import EventsFile
from tcptune.adapters.events.plain import PlainLines
from tcptune.domain.events import EVENT, Event
from tcptune.errors import TcptuneError
from tests.unit.reports.rollouts import green, troubled


def write(place: Path | str, events: list[Event]) -> list[str]:
    warned: list[str] = []
    file = EventsFile(str(place), warned.append)
    for event in events:
        file.tell(event)
    file.close()
    return warned


def read(text: str) -> list[Event]:
    return [EVENT.validate_json(line) for line in text.splitlines()]


def test_every_event_is_a_line_in_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "events.jsonl"

    assert write(place, green(3, [1])) == []
    assert read(place.read_text()) == green(3, [1])
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_a_line_is_in_the_file_as_soon_as_it_was_told(tmp_path: Path) -> None:
    place = tmp_path / "events.jsonl"
    file = EventsFile(str(place), print)

    file.tell(green()[0])

    assert read(place.read_text()) == green()[:1]
    file.close()


def test_to_a_file_that_is_there_events_are_appended_and_that_is_said(tmp_path: Path) -> None:
    place = tmp_path / "events.jsonl"
    write(place, green(3, [1]))
    place.chmod(0o640)

    assert write(place, troubled()) == [f"{place}: there are events in it already; new ones are appended"]
    assert read(place.read_text()) == [*green(3, [1]), *troubled()]
    assert stat.S_IMODE(place.stat().st_mode) == 0o640


def test_a_line_that_was_never_ended_does_not_spoil_the_next(tmp_path: Path) -> None:
    place = tmp_path / "events.jsonl"
    place.write_text('{"event": "wave_be')

    write(place, green(1, [1]))

    assert read("\n".join(place.read_text().splitlines()[1:])) == green(1, [1])


@pytest.mark.parametrize(("name", "why"), [("gone/events", "No such file"), (".", "Is a directory")])
def test_a_place_that_cannot_be_written_is_told_before_anything_begins(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(TcptuneError, match=why) as told:
        EventsFile(str(tmp_path / name), print)
    assert told.value.hint == "name another place with --events"


def test_a_named_pipe_that_nobody_reads_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(TcptuneError, match="nobody reads from this pipe"):
        EventsFile(str(tmp_path / "pipe"), print)


def test_a_dash_is_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    assert write("-", green(3, [1])) == []

    first, *lines = capfd.readouterr().out.splitlines()
    assert first == "before"
    assert read("\n".join(lines)) == green(3, [1])


def test_a_full_disk_is_told_once_and_leaves_whole_lines(tmp_path: Path) -> None:
    script = """
import resource, sys
from tcptune.adapters.events.file import EventsFile
from tests.unit.reports.rollouts import green
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
file = EventsFile(sys.argv[1], print)
for event in green(3, [1]):
    file.tell(event)
file.close()
print("went on")
"""
    place = tmp_path / "events.jsonl"

    done = subprocess.run([sys.executable, "-c", script, place], capture_output=True, text=True, check=True)

    told, last = done.stdout.splitlines()
    assert told == f"{place}: File too large; nothing more is written there, and the rollout goes on"
    assert last == "went on"
    written = place.read_text()
    assert 1000 < len(written) <= 2000
    assert read(written) == green(3, [1])[: len(written.splitlines())]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_device_that_takes_nothing_is_told_once() -> None:
    assert write("/dev/full", green()) == [
        "/dev/full: No space left on device; nothing more is written there, and the rollout goes on"
    ]


def test_a_broken_pipe_is_told_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    warned: list[str] = []
    file = EventsFile(str(tmp_path / "pipe"), warned.append)
    os.close(reader)

    for event in green():
        file.tell(event)
    file.close()

    assert warned == [f"{tmp_path}/pipe: Broken pipe; nothing more is written there, and the rollout goes on"]


def test_a_reader_that_stands_still_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    warned: list[str] = []
    file = EventsFile(str(tmp_path / "pipe"), warned.append)
    events = green(400, [1, 100])

    start = time.monotonic()
    for event in events:
        file.tell(event)
    told_s = time.monotonic() - start
    file.close()
    closed_s = time.monotonic() - start - told_s

    assert told_s < 5
    assert closed_s < 10
    [warning] = warned
    assert "lines were not written: nobody reads them in time" in warning
    os.close(reader)


def test_plain_lines_go_where_they_are_told(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("wb") as file:
        lines = PlainLines(file.fileno(), print)
        for event in green(3, [1]):
            lines.tell(event)
        lines.close()

    said = (tmp_path / "lines").read_text().splitlines()
    assert said[0].endswith("begun by ops@controller, tcptune 0.1.0")
    assert said[-1].endswith("+ ended with exit code 0: every host is confirmed (3 confirmed)")
