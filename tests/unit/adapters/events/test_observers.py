"""Who is told of a rollout: from options, on a real terminal, and with one of them broken."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tcptune.adapters.events import Observers, observers
from tcptune.domain.events import EVENT, Event
from tcptune.domain.notifications import Receiver
from tcptune.errors import TcptuneError
from tests.unit.adapters.events.test_webhook import receiving
from tests.unit.builders import NOW
from tests.unit.reports.rollouts import green, troubled

# Tells a rollout slowly enough to be drawn, and asks as a command would.
SCRIPT = """
import sys, time
from tcptune.adapters.events import observers
from tests.unit.reports.rollouts import at, troubled
moment = [at(0)]
warn = lambda text: print(text, file=sys.stderr)
with observers(events=None, notify=(), environment={}, clock=lambda: moment[0], warn=warn) as told:
    for event in troubled():
        moment[0] = event.at
        told.tell(event)
        if event.event == "asked":
            print("ANSWER:", input("your answer> "))
        elif event.event in {"waiting", "soak_began"}:
            time.sleep(0.4)
"""


def on_a_terminal(script: str, answer: bytes = b"go on\n", *, term: str = "xterm") -> str:
    """Run a script on a terminal of 80x24, and return all that it wrote there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": term, "COLUMNS": "", "LINES": "", "NO_COLOR": "1"},
    )
    os.close(slave)
    said = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other side is closed
                return
            said.extend(part)
            if b"your answer> " in part:
                os.write(master, answer)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert child.wait(60) == 0, said.decode(errors="replace")
    reader.join(10)
    os.close(master)
    return said.decode()


def test_on_a_terminal_a_rollout_is_drawn_and_gives_way_to_a_question() -> None:
    said = on_a_terminal(SCRIPT)

    assert "ANSWER: go on" in said
    # Drawn again over itself, and no more lines than the terminal has.
    assert said.count("\x1b[1A") > 20
    up = "\x1b[1A\x1b[2K"
    assert 5 < max(len(run) // len(up) for run in re.findall(rf"(?:{re.escape(up)})+", said)) < 24
    last = re.split(r"\x1b\[1A", said)[-1]
    assert "wave 3           <<<!!!" in last
    # What comes next stands below, whole.
    assert last.rstrip().endswith("? next: tcptune rollback 20260302-093000-1a2b3c")
    # What a host said with an escape in it is seen, and does nothing; the cursor is there at the end.
    assert "\ufffd[2J" in said
    assert "\x1b[2J" not in said
    assert said.rfind("\x1b[?25h") > said.rfind("\x1b[?25l")


def test_a_terminal_that_cannot_move_its_cursor_has_lines() -> None:
    said = on_a_terminal(SCRIPT, term="dumb")

    assert "\x1b" not in said
    assert "09:31:40Z   wave 1 of 4 (canary) begins: web1" in said


def test_a_terminal_that_is_frozen_holds_nothing_up(tmp_path: Path) -> None:
    frozen = """
import os, sys, threading, time
from tcptune.adapters.events import observers
from tests.unit.reports.rollouts import AT, green
began = time.monotonic()
with observers(events=None, notify=(), environment={}, clock=lambda: AT, warn=print) as told:
    for event in green(200, [1, 20]):
        told.tell(event)
    time.sleep(4)
    for event in green(200, [1, 20]):
        told.tell(event)
took_s = time.monotonic() - began
assert "live view" in [thread.name for thread in threading.enumerate()], "nothing stood still"
open(sys.argv[1] + "+", "w").write(str(took_s))
os.rename(sys.argv[1] + "+", sys.argv[1])
os._exit(0)
"""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    # Nobody reads from the other side, so that what is written there waits for ever once its buffer is full.
    child = subprocess.Popen(
        [sys.executable, "-c", frozen, tmp_path / "took_s"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)
    until = time.monotonic() + 60
    while not (tmp_path / "took_s").exists() and time.monotonic() < until:
        time.sleep(0.05)
    # The kernel lets nobody leave a terminal with words for it, for half a minute: unless the other side is gone.
    os.close(master)
    child.kill()
    child.wait(60)

    assert float((tmp_path / "took_s").read_text()) < 30


def made(warn: Callable[[str], None], **given: object) -> Observers:
    said = {"events": None, "notify": (), "environment": {}, "clock": lambda: NOW, **given}
    return observers(warn=warn, **said)  # type: ignore[arg-type]


def test_options_make_a_file_lines_and_notifications(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place, warned = tmp_path / "events.jsonl", []
    with receiving() as (server, port):
        there = {"HOOK": f"http://127.0.0.1:{port}/"}
        notify = (Receiver(url_env="HOOK"),)
        with made(warned.append, events=str(place), notify=notify, environment=there) as told:
            for event in green(3, [1]):
                told.tell(event)

    assert [EVENT.validate_json(line) for line in place.read_text().splitlines()] == green(3, [1])
    assert EVENT.validate_json(server.bodies[-1]) == green(3, [1])[-1]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[-1].endswith("ended with exit code 0: every host is confirmed (3 confirmed)")
    assert (warned, there) == ([], {})


def test_what_cannot_be_opened_is_told_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(TcptuneError, match="No such file"):
        made(print, events=str(tmp_path / "gone" / "events"))
    with pytest.raises(TcptuneError, match="not set"):
        made(print, events=str(tmp_path / "events"), notify=(Receiver(url_env="HOOK"),))
    assert not (tmp_path / "events").exists()


class Broken:
    def tell(self, event: Event) -> None:
        raise RuntimeError(event.run)

    def close(self) -> None:
        raise AssertionError


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        time.sleep(0.0001)
        self.events.append(event)

    def close(self) -> None:
        pass


def test_an_observer_that_breaks_is_left_out_and_told_of_once() -> None:
    warned: list[str] = []
    kept = Kept()
    with Observers(warned.append) as told:
        told.add(Broken())
        told.add(kept)
        for event in green(3, [1]):
            told.tell(event)

    assert kept.events == green(3, [1])
    assert warned == ["Broken does not work any more (RuntimeError); the rollout goes on"]


def test_events_of_several_threads_are_told_one_after_the_other(tmp_path: Path) -> None:
    place = tmp_path / "events.jsonl"
    with made(print, events=str(place)) as told:
        threads = [
            threading.Thread(target=lambda: [told.tell(event) for event in troubled()[1:]] and None) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    lines = place.read_text().splitlines()
    assert len(lines) == 4 * (len(troubled()) - 1)
    assert all(EVENT.validate_json(line) for line in lines)
