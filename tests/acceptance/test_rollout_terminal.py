"""Ctrl-C, SIGTERM and a lost session in the middle of a rollout, at a real terminal and without one."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tcptune.domain.events import Asked, Event, Interrupted, RolloutEnded, SoakBegan
from tests.acceptance import agreement, retold
from tests.acceptance.command import TRACEBACK, Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.killing import PATIENCE_S
from tests.acceptance.machine import ALLOWED, Machine
from tests.acceptance.test_rollout import planned, policy, story, waves

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

QUESTION = "What becomes of it?"


class Terminal:
    """A terminal with a command in its foreground. What it shows is read all the time, as a person's does."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master, self.process = master, process
        self.shown = ""

    def read(self, seconds: float = 0.1) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.shown += os.read(self.master, 65536).decode(errors="replace")
            except OSError:  # whoever had the other end is gone
                time.sleep(seconds)

    def until(self, due: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not due():
            assert self.process.poll() is None, self.shown[-3000:]
            assert time.monotonic() - began < PATIENCE_S, self.shown[-3000:]
            self.read()

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Give the exit status."""
        began = time.monotonic()
        while self.process.poll() is None:
            assert time.monotonic() - began < PATIENCE_S, self.shown[-3000:]
            self.read()
        self.read(0)
        assert TRACEBACK not in self.shown, self.shown
        return self.process.returncode


@contextmanager
def terminal(tcptune: Tcptune, *words: str) -> Iterator[Terminal]:
    """Run a program at a terminal of its own, in a session of its own."""
    tcptune.timeout_s = PATIENCE_S
    master, line = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *words],
        cwd=tcptune.work,
        env=tcptune.environment | {"TERM": "xterm"},
        stdin=line,
        stdout=line,
        stderr=line,
    )
    os.close(line)
    found = Terminal(master, process)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        if found.master >= 0:
            os.close(found.master)


class Fleet:
    """Two hosts, a wave each, and what is told of them."""

    def __init__(self, tcptune: Tcptune, on: On, machines: list[Machine]) -> None:
        self.tcptune, self.machines = tcptune, machines
        self.plan, self.before = planned(tcptune, on, machines), agreement.look(machines)
        self.events = tcptune.file("events.jsonl")

    def applying(self, on_failure: str = "roll_back_wave") -> list[str]:
        file = Path(policy(self.tcptune, waves="[1, 100%]", on_failure=on_failure))
        file.write_text(file.read_text().replace("soak: 1s", "soak: 10s"))
        return ["apply", self.plan, "--policy", str(file), "--events", str(self.events), *ALLOWED]

    def told(self) -> list[Event]:
        return retold.read(self.events)

    def soaks(self, number: int) -> Callable[[], bool]:
        return lambda: any(isinstance(event, SoakBegan) and event.wave == number for event in self.told())

    def ended(self) -> bool:
        return isinstance(self.told()[-1], RolloutEnded)

    def check(self) -> None:
        """Check that journal, hosts and, where the rollout ended by itself, events say the same."""
        assert agreement.disagreements(story(self.tcptune)["run"], self.before, agreement.look(self.machines)) == []
        if self.ended():
            run = retold.exported(self.tcptune("runs", "export", "last").stdout)
            assert retold.differences(self.told(), run) == []


@pytest.mark.slow
def test_each_answer_at_the_terminal_does_what_it_says(tcptune: Tcptune, machines: Machines, on: On) -> None:
    fleet = Fleet(tcptune, on, machines(2))

    with terminal(tcptune, *tcptune.argv(fleet.applying())) as at:
        at.until(fleet.soaks(1))
        at.type("\x03")
        at.until(lambda: QUESTION in at.shown)
        at.type("1\n")
        assert at.end() == 130
    assert waves(tcptune) == ["confirmed", "planned"]
    assert sum(isinstance(event, Asked) for event in fleet.told()) == 1
    fleet.check()

    resume = tcptune.argv(["runs", "resume", "last", "--events", fleet.events])
    with terminal(tcptune, *resume) as at:
        at.until(fleet.soaks(2))
        at.type("\x03")
        at.until(lambda: QUESTION in at.shown)
        at.type("perhaps\n2\n")
        assert at.end() == 130
    assert waves(tcptune) == ["confirmed", "rolled back"]
    fleet.check()


def test_a_second_ctrl_c_ends_it_at_once_and_its_claim_keeps_nobody_here_waiting(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    fleet = Fleet(tcptune, on, machines(2))

    with terminal(tcptune, *tcptune.argv(fleet.applying())) as at:
        at.until(fleet.soaks(1))
        at.type("\x03")
        at.until(lambda: QUESTION in at.shown)
        at.type("\x03")
        assert at.end() == 130
    assert f"undo it: tcptune rollback {story(tcptune)['run']['run_id']}" in at.shown
    assert waves(tcptune) == ["soaking", "planned"]
    fleet.check()
    tcptune("rollback", "last")
    assert waves(tcptune) == ["rolled back", "left out"]
    fleet.check()


@pytest.mark.parametrize(
    ("on_failure", "left"),
    [
        pytest.param("hold", ["held", "planned"], marks=pytest.mark.slow),
        ("roll_back_wave", ["rolled back", "left out"]),
    ],
)
def test_without_a_terminal_sigterm_leads_to_what_the_policy_says(
    tcptune: Tcptune, machines: Machines, on: On, on_failure: str, left: list[str]
) -> None:
    fleet = Fleet(tcptune, on, machines(2))

    with tcptune.started(*fleet.applying(on_failure)) as process:
        while not fleet.soaks(1)():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, TRACEBACK in said) == (130, False)
    assert waves(tcptune) == left
    fleet.check()


def test_a_session_that_is_lost_leads_to_what_the_policy_says(tcptune: Tcptune, machines: Machines, on: On) -> None:
    fleet = Fleet(tcptune, on, machines(2))

    # A shell with job control, as sshd starts it: it passes SIGHUP on, and the kernel sends another when it ends.
    with terminal(tcptune, "bash", "--norc", "-i") as at:
        at.type(shlex.join(tcptune.argv(fleet.applying("hold"))) + "\n")
        at.until(fleet.soaks(1))
        os.close(at.master)
        at.master = -1
        began = time.monotonic()
        while not fleet.ended():
            assert time.monotonic() - began < PATIENCE_S
            time.sleep(0.05)
    [stopped] = [event for event in fleet.told() if isinstance(event, Interrupted)]
    assert stopped.why == "SIGHUP"
    assert waves(tcptune) == ["held", "planned"]
    fleet.check()
