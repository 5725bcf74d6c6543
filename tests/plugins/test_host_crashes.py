"""SIGKILL at every durable step, and at every call that changes a disk or the kernel, of each act.

Whoever calls next finds the truth: each setting and each file is all before or all after.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fake_host import DROPIN, EVERY_KIND, MISSING, SETTINGS, UNIT, FakeHost, FakeKernel, asking, dropin, every_kind
from module_utils import changeset
from module_utils.errors import AbsentKey, Refused, Unfinished, UnknownRun
from module_utils.request import make_removal
from module_utils.steps import STEPS, steps_of

FORWARD, ETH0, ETH1 = "net.ipv4.ip_forward", "net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.eth1.forwarding"
WANTED = {"net.core.somaxconn": "1024", FORWARD: "1", "net.ipv4.tcp_rmem": "4096 131072 16777216"}
BEFORE = {**SETTINGS, FORWARD: "0", ETH0: "1", ETH1: "0"}
"""The kernel gives each interface the value of ip_forward: there that changes eth1, and on the way back eth0."""
APPLIED = {**WANTED, ETH0: "1", ETH1: "1"}
ACTS = {
    "apply": lambda host: changeset.apply(host, request()),
    "confirm": lambda host: changeset.confirm(host, "run-1"),
    "extend": lambda host: changeset.extend(host, "run-1", 900),
    "roll back": lambda host: changeset.rollback(host, "run-1"),
}
# Where there is no disk to wait for, which makes no difference to a process that dies.
QUICK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
CHANGING = ("chmod", "fchmod", "fchown", "fsync", "mkdir", "rename", "rmdir", "symlink", "unlink", "write")


def systemd(booted):
    """Stand for systemd.reload: what it knows is a file of the host, and part of its tree."""
    root = Path(booted).parents[2]
    unit = root / UNIT[1:]
    (root / "run").mkdir(exist_ok=True)
    (root / "run/new").write_bytes(unit.read_bytes() if unit.exists() else b"")
    (root / "run/new").replace(root / "run/known")


@pytest.fixture(autouse=True)
def _with_systemd(monkeypatch):
    monkeypatch.setattr("module_utils.systemd.reload", systemd)


def request():
    return asking(WANTED, files=every_kind(), revert_after_s=600)


class WholeKernel(FakeKernel):
    """Takes a value at once, as a kernel does: a plain file is empty for a moment."""

    def _put(self, path, data):
        # What is taken along comes first: a kernel that shows the new value has done all of it.
        for one in (*map(self.path, self.moved_by(self._name(path))), path):
            Path(one + ".new").write_bytes(data)
            Path(one + ".new").replace(one)


def router(host):
    """Make the host one where ip_forward takes two interfaces along."""
    host.kernel = WholeKernel(host.kernel.root)
    host.kernel.moves[FORWARD] = (ETH0, ETH1)
    for key, value in BEFORE.items():
        host.set(key, value)
    return host


class Fixture:
    """A host where `act` can begin, with what it looks like in each of the states in which it may end."""

    def __init__(self, folder, act):
        self.host = host = router(FakeHost(Path(folder)))
        host.file().write_bytes(b"old")
        host.file().chmod(0o640)
        systemd(host.systemd)
        before = host.tree()
        self.trees = {None: before, "rolled_back": before, "reverted": before, "lost": before}
        if act == "apply":
            return
        changeset.apply(host, request())
        self.trees["held"] = host.tree()
        if act == "roll back":
            changeset.confirm(host, "run-1")
            self.trees["confirmed"] = host.tree()
        host.steps.clear()

    def is_sound(self):
        """Check that the host is what its record says it is, and return the state."""
        try:
            state = self.host.runs.load("run-1").state
        except UnknownRun:
            state = None
        tree = self.host.tree()
        if state == "held" and "held" not in self.trees:
            assert {key: self.host.get(key) for key in APPLIED} == APPLIED
            assert self.host.file().read_bytes() == b"old"
        elif state == "confirmed" and "confirmed" not in self.trees:
            assert {key: self.host.get(key) for key in APPLIED} == APPLIED
            assert {path: self.host.file(path).read_text() for path in EVERY_KIND} == EVERY_KIND
            assert sorted(tree) == sorted({*self.trees[None], *(path[1:] for path in (*EVERY_KIND, *MISSING))})
            assert {tree[path[1:]][1] for path in MISSING} == {"0o40755"}
            assert tree["run/known"][0].decode() == EVERY_KIND[UNIT]
        else:
            assert tree == self.trees[state], state
        return state


def killed(work):
    """Run `work` in a process of its own. Return whether it was killed; else it has to succeed."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(host, number):
    seen = []

    def reached(step):
        seen.append(step)
        if len(seen) == number:
            die()

    host.reached = reached


def die_before_call(number):
    """From now on, end this process before its change number `number` of a disk or the kernel."""
    count = [0]

    def dying(function):
        def call(*arguments, **more):
            count[0] += 1
            if count[0] == number:
                die()
            return function(*arguments, **more)

        return call

    for name in CHANGING:
        setattr(os, name, dying(getattr(os, name)))


def other_change(host):
    """The next call is about something else, and is refused in the end: it settles what it finds before that."""
    with pytest.raises((AbsentKey, Unfinished)):
        changeset.apply(host, asking({"net.core.nosuch": "1"}, run="run-2"))


def same_again(act):
    def again(host):
        # An apply that was taken back cannot be had again under its name, nor be confirmed or given time.
        with contextlib.suppress(*(() if act == "roll back" else (Refused,))):
            ACTS[act](host)

    return again


def roll_back(host):
    # Apply may have died before there was a run.
    with contextlib.suppress(UnknownRun):
        changeset.rollback(host, "run-1")


NEXT = {"another change": other_change, "a roll back": roll_back}


EARLIER = {"apply": (), "confirm": ("apply",), "extend": ("apply",), "roll back": ("apply", "confirm")}


@pytest.mark.parametrize("timed", [True, False], ids=["with a timer", "without"])
@pytest.mark.parametrize("act", STEPS)
def test_the_table_of_steps_is_what_happens(fake, monkeypatch, act, timed):
    monkeypatch.setattr("module_utils.timer.alive", lambda _folder: timed)
    monkeypatch.setitem(
        ACTS,
        "apply",
        lambda host: changeset.apply(host, request()._replace(revert_after_s=600 if timed else None)),
    )
    router(fake)
    for earlier in EARLIER[act]:
        ACTS[earlier](fake)
    fake.steps.clear()
    ACTS[act](fake)

    assert fake.steps == [*steps_of(act, fake.runs.load("run-1"), timed=timed)]


def points(act):
    """Return the steps of an act, from the table, for the run that these tests make."""
    with TemporaryDirectory(dir=QUICK) as folder:
        fixture = Fixture(folder, act)
        if act == "apply":
            changeset.apply(fixture.host, request())
        # No process waits here, so confirm and extend arm one.
        return [*steps_of(act, fixture.host.runs.load("run-1"), timed=act == "apply")]


POINTS = [(act, number, step) for act in STEPS for number, step in enumerate(points(act), 1)]


@pytest.mark.parametrize("after", [*NEXT, "the same again"])
@pytest.mark.parametrize(
    ("act", "number", "step"), POINTS, ids=[f"{act}-{number}-{step}" for act, number, step in POINTS]
)
def test_killed_at_any_step_the_next_call_finds_all_before_or_all_after(tmp_path, act, number, step, after):
    fixture = Fixture(tmp_path, act)

    def work():
        die_at_step(fixture.host, number)
        ACTS[act](fixture.host)

    assert killed(work), step
    fixture.host.reached = fixture.host._step
    (NEXT | {"the same again": same_again(act)})[after](fixture.host)

    state = fixture.is_sound()
    if step == "found" and after == "another change":
        # The roll back had not begun.
        assert state == "confirmed"
    elif after == "a roll back" or act == "roll back":
        assert state == "rolled_back" or (act, state) == ("confirm", "reverted")
    if after == "another change" and act == "confirm":
        # The one that died was not confirmed, unless that was on disk; nor had it begun where only the record was made.
        ends = {"confirmed": "confirmed", "disarmed": "confirmed", "folders": "held"}
        assert state == ends.get(step, "reverted")


@pytest.mark.parametrize("after", [*NEXT, "the same again"])
@pytest.mark.parametrize("act", STEPS)
def test_killed_before_any_call_that_changes_something_the_next_call_finds_all_before_or_all_after(act, after):
    number = 0
    while True:
        number += 1
        with TemporaryDirectory(dir=QUICK) as folder:
            fixture = Fixture(folder, act)

            def work(fixture=fixture, number=number):
                die_before_call(number)
                ACTS[act](fixture.host)

            if not killed(work):
                break
            (NEXT | {"the same again": same_again(act)})[after](fixture.host)
            fixture.is_sound()
    # So that nobody counts an act that never changed anything.
    assert number > {"apply": 50, "confirm": 45, "extend": 5, "roll back": 28}[act]


def test_killed_before_any_call_of_confirm_the_same_again_leaves_its_files_and_nothing_else():
    number, leftovers = 0, 0
    while True:
        number += 1
        with TemporaryDirectory(dir=QUICK) as folder:
            fixture = Fixture(folder, "confirm")

            def work(fixture=fixture, number=number):
                # A folder is closed to others until it is opened.
                os.umask(0o077)
                die_before_call(number)
                ACTS["confirm"](fixture.host)

            if not killed(work):
                break
            found = {path for path in Path(folder, "etc").rglob("*") if path.is_file()}
            found -= {fixture.host.file(path) for path in EVERY_KIND}
            leftovers += len(found)
            # What a loader reads ends otherwise: each of them looks for *.conf.
            assert {path.suffix for path in found} <= {".tmp"}
            changeset.confirm(fixture.host, "run-1")
            assert fixture.is_sound() == "confirmed"
            changeset.rollback(fixture.host, "run-1")
            assert fixture.is_sound() == "rolled_back"
    # Each of the four files was left in the middle of its write, more than once.
    assert leftovers > 4


@pytest.mark.parametrize("after", NEXT)
@pytest.mark.parametrize("act", STEPS)
def test_the_power_goes_before_any_call_and_after_the_boot_it_is_all_before_or_all_after(act, after):
    number = 0
    while True:
        number += 1
        with TemporaryDirectory(dir=QUICK) as folder:
            fixture = Fixture(folder, act)

            def work(fixture=fixture, number=number):
                die_before_call(number)
                ACTS[act](fixture.host)

            if not killed(work):
                break
            host = fixture.host
            # The boot reads the file that holds the values, if it is there.
            booted = {**BEFORE, **(APPLIED if host.file().read_text() == dropin()["content"] else {})}
            host.boot("second-boot", booted)
            systemd(host.systemd)
            NEXT[after](host)
            state = fixture.is_sound()
            assert state != "held"
            if state in ("lost", "rolled_back", "reverted", None):
                assert {key: host.get(key) for key in BEFORE} == {
                    key: " ".join(value.split()) for key, value in BEFORE.items()
                }


class Removal:
    """A host that holds a run of every kind of file, confirmed, and where all of it is to go."""

    def __init__(self, folder):
        self.host = host = router(FakeHost(Path(folder)))
        systemd(host.systemd)
        changeset.apply(host, request())
        changeset.confirm(host, "run-1")
        self.files = {path: host.tree()[path[1:]] for path in EVERY_KIND}
        self.then = {key: " ".join(BEFORE[key].split()) for key in WANTED}
        named = [*WANTED, *(path for path in EVERY_KIND if path != DROPIN)]
        self.request = make_removal(named, run="run-2", revert_after_s=600)

    def act(self):
        changeset.apply(self.host, self.request)
        changeset.confirm(self.host, "run-2")


@pytest.mark.parametrize("boots", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("after", ["a roll back", "confirm again"])
def test_killed_before_any_call_files_that_are_to_go_are_all_there_or_all_gone(after, boots):
    number, gone = 0, 0
    while True:
        number += 1
        with TemporaryDirectory(dir=QUICK) as folder:
            removal = Removal(folder)
            host = removal.host

            def work(removal=removal, number=number):
                die_before_call(number)
                removal.act()

            if not killed(work):
                break
            if boots:
                host.boot("second-boot", APPLIED if host.file().exists() else BEFORE)
                systemd(host.systemd)
            with contextlib.suppress(UnknownRun, Refused):
                if after == "confirm again":
                    changeset.confirm(host, "run-2")
                else:
                    changeset.rollback(host, "run-2")
            there = [path for path in EVERY_KIND if host.file(path).exists()]
            state = {manifest.run: manifest.state for manifest in host.runs.all()}.get("run-2")
            values = {key: host.get(key) for key in WANTED}
            if there:
                assert {path: host.tree()[path[1:]] for path in EVERY_KIND} == removal.files
                # Held where apply had ended, and confirm had not begun.
                assert values == (removal.then if state == "held" else WANTED)
            else:
                gone += 1
                assert (state, values) == ("confirmed", removal.then)
    assert number > 90
    assert gone or after == "a roll back"
