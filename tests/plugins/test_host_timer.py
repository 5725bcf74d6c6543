"""The revert timer: real processes on a host of plain files, and the commands that systemd would be given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_host import EVERY_KIND, MISSING, SETTINGS, FakeHost, asking, dropin, every_kind
from module_utils import changeset, processes, status, timer
from module_utils.errors import ChangeError, Locked, Refused
from module_utils.host import Host

BEFORE = {key: " ".join(value.split()) for key, value in SETTINGS.items()}
PLUGINS = str(Path(changeset.__file__).resolve().parents[1])


class TimedHost(FakeHost):
    """A fake host whose timers are real."""

    arm = Host.arm


@pytest.fixture
def timed(tmp_path):
    host = TimedHost(tmp_path)
    yield host
    for manifest in host.runs.all():
        timer.disarm(host.runs.at(manifest.run))


def state(host, run="run-1"):
    return host.runs.load(run).state


def until(condition, seconds=8.0):
    """Wait until `condition` holds. Return after how many seconds it did."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it never came"
        time.sleep(0.05)
    return time.monotonic() - start


def words(host, run="run-1"):
    return (Path(host.runs.at(run)) / "timer").read_text().split()


def process(host, run="run-1"):
    return int(words(host, run)[1])


def test_a_run_that_nobody_confirms_is_taken_back_within_its_time_and_5_seconds(timed):
    before = timed.tree()
    done = changeset.apply(timed, asking(revert_after_s=2, files=[dropin()]))

    assert (done.timer.kind, done.timer.alive, done.timer.seconds_left in (2, 3)) == ("process", True, True)
    assert until(lambda: state(timed) == "reverted") < 2 + 5
    assert timed.tree() == before
    # It lets go of the lock last.
    until(lambda: status.busy(timed) is None)
    assert changeset.apply(timed, asking(run="run-2")).state == "held"


def test_it_is_armed_before_the_first_write(timed):
    changeset.apply(timed, asking(revert_after_s=60))

    assert timed.steps[:4] == ["prepared", "deadline", "armed", "running"]


def test_a_timer_that_cannot_be_armed_leaves_the_host_as_it_was(timed, monkeypatch):
    monkeypatch.setattr("module_utils.script.NAME", "missing/rollback.sh")
    before = timed.tree()

    def no_process():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("module_utils.timer.os.fork", no_process)
    with pytest.raises(ChangeError, match="Resource temporarily unavailable"):
        changeset.apply(timed, asking(revert_after_s=60))

    assert (timed.tree(), timed.kernel.writes, state(timed)) == (before, [], "rolled_back")


def test_confirm_ends_the_timer_and_keeps_the_change(timed):
    changeset.apply(timed, asking(revert_after_s=60, files=[dropin()]))
    pid = process(timed)
    changeset.confirm(timed, "run-1")

    until(lambda: not processes.started(pid))
    assert (state(timed), timed.get("net.core.somaxconn")) == ("confirmed", "1024")


@pytest.mark.parametrize("end", ["confirm", "rollback"])
def test_a_timer_that_could_not_be_stopped_sees_that_it_is_not_needed(timed, monkeypatch, end):
    changeset.apply(timed, asking(revert_after_s=1, files=[dropin()]))
    pid = process(timed)
    monkeypatch.setattr("module_utils.timer.disarm", lambda _folder: None)
    getattr(changeset, end)(timed, "run-1")
    after, history = timed.tree(), timed.runs.load("run-1").history

    until(lambda: not processes.started(pid))
    assert (timed.tree(), timed.runs.load("run-1").history) == (after, history)


def test_it_outlives_whoever_started_it_and_belongs_to_nobody(timed, tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path\n"
        "from module_utils.host import Host; from module_utils.kernel import Kernel\n"
        "from module_utils import changeset; from module_utils.request import make_request\n"
        "host = Host(sys.argv[1]); host.kernel.writable = lambda key: True\n"
        "changeset.apply(host, make_request({'net.core.somaxconn': '1024'}, run='run-1', revert_after_s=2))\n"
        # Whoever runs the tests may have had it ignored, as nohup does.
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.kill(0, signal.SIGHUP)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), PLUGINS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        check=False,
        start_new_session=True,
        timeout=10,
    )
    # The pipe is closed, or this would not have returned; then its session was hung up.
    assert done.returncode == -signal.SIGHUP
    pid = process(timed)
    status = Path(f"/proc/{pid}/status").read_text()

    assert "PPid:\t1\n" in status or f"PPid:\t{os.getpid()}\n" not in status
    assert os.getsid(pid) not in (os.getsid(0), pid)
    assert {str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)} == {"/dev/null"}
    until(lambda: state(timed) == "reverted")
    assert timed.get("net.core.somaxconn") == "4096"


def test_more_time_is_given_and_never_less(timed):
    changeset.apply(timed, asking(revert_after_s=1))
    before = timed.everything()
    predicted = changeset.extend(timed, "run-1", 60, check=True)
    assert (predicted.changed, timed.everything()) == (True, before)

    done = changeset.extend(timed, "run-1", 60)
    assert (done.changed, done.state, done.timer.alive, done.timer.seconds_left in (60, 61)) == (
        *(True, "held", True),
        True,
    )
    assert not changeset.extend(timed, "run-1", 5).changed
    time.sleep(2.5)
    assert (state(timed), timed.get("net.core.somaxconn")) == ("held", "1024")


def test_more_time_brings_back_a_timer_that_somebody_ended(timed):
    changeset.apply(timed, asking(revert_after_s=60))
    os.kill(process(timed), signal.SIGKILL)
    until(lambda: not timer.alive(timed.runs.at("run-1")))
    assert not timer.look(timed.runs.at("run-1")).alive

    done = changeset.extend(timed, "run-1", 5)
    assert (done.changed, done.timer.alive) == (True, True)
    assert done.timer.seconds_left > 50


def test_a_run_without_a_timer_can_be_given_one(timed):
    changeset.apply(timed, asking())

    assert changeset.extend(timed, "run-1", 1).timer.kind == "process"
    until(lambda: state(timed) == "reverted")


def test_no_time_is_given_to_a_run_that_is_not_held(timed):
    changeset.apply(timed, asking())
    changeset.rollback(timed, "run-1")

    with pytest.raises(Refused, match="run-1 is rolled back: nothing is held"):
        changeset.extend(timed, "run-1", 60)


@pytest.mark.parametrize("seconds", [0, -1, 8 * 24 * 3600])
def test_a_time_that_makes_no_sense_is_refused(timed, seconds):
    with pytest.raises(Refused, match=f"after {seconds} seconds"):
        changeset.apply(timed, asking(revert_after_s=seconds))
    with pytest.raises(Refused, match=f"after {seconds} seconds"):
        changeset.extend(timed, "run-1", seconds)


def killed(host):
    """End the timer of run-1 as a crash would."""
    os.kill(process(host), signal.SIGKILL)
    until(lambda: not timer.alive(host.runs.at("run-1")))


def test_who_confirms_when_the_time_is_over_is_too_late_though_the_timer_is_dead(timed):
    before = timed.tree()
    changeset.apply(timed, asking(revert_after_s=1, files=[dropin()]))
    killed(timed)
    until(lambda: timer.over(timed.runs.at("run-1")))

    with pytest.raises(Refused, match="run-1 is reverted: its time was over") as predicted:
        changeset.confirm(timed, "run-1", check=True)
    assert state(timed) == "held"
    with pytest.raises(Refused) as refused:
        changeset.confirm(timed, "run-1")

    assert str(refused.value) == str(predicted.value)
    assert (timed.tree(), state(timed)) == (before, "reverted")


def test_the_next_change_takes_back_first_what_is_overdue(timed):
    changeset.apply(timed, asking({"net.core.somaxconn": "1"}, revert_after_s=1))
    killed(timed)
    until(lambda: timer.over(timed.runs.at("run-1")))

    done = changeset.apply(timed, asking({"net.ipv4.tcp_rmem": "1 2 3"}, run="run-2"))

    assert (state(timed), done.state, timed.get("net.core.somaxconn")) == ("reverted", "held", "4096")


def test_a_timer_waits_while_confirm_is_at_work_and_confirm_wins(timed):
    changeset.apply(timed, asking(revert_after_s=1, files=[dropin()]))

    def slow(step):
        if step == "confirming":
            until(lambda: timer.over(timed.runs.at("run-1")))
            time.sleep(2)

    timed.reached = slow
    pid = process(timed)
    assert changeset.confirm(timed, "run-1").state == "confirmed"
    until(lambda: not processes.started(pid))
    assert (state(timed), timed.get("net.core.somaxconn"), timed.file().exists()) == ("confirmed", "1024", True)


def test_a_confirm_while_the_timer_is_at_work_is_told_so(timed):
    changeset.apply(timed, asking(revert_after_s=60))
    # What the script writes when it holds the lock.
    owner = " ".join(map(str, processes.of(process(timed)))) + " run-1"
    link = Path(timed.runs.lock.path) / "1"
    link.symlink_to(owner)

    with pytest.raises(Locked, match=f"by pid {process(timed)}, run run-1"):
        changeset.confirm(timed, "run-1")
    link.unlink()


CONFIRM_DIES = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from fake_host import FakeHost
from module_utils import changeset
from module_utils.host import Host
from module_utils.kernel import Kernel
host = Host(sys.argv[1])
host.kernel.writable = lambda key: True
host.reached = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == sys.argv[2] else None
changeset.confirm(host, "run-1")
"""


@pytest.mark.parametrize("timer_s", [None, 60], ids=["a guard of its own", "the run's own timer"])
@pytest.mark.parametrize("step", [*MISSING, *EVERY_KIND])
def test_a_confirm_that_is_killed_between_two_files_is_undone_before_anybody_calls(timed, tmp_path, timer_s, step):
    before = timed.tree()
    changeset.apply(timed, asking(revert_after_s=timer_s, files=every_kind()))
    command = [sys.executable, "-c", CONFIRM_DIES, str(tmp_path), step, PLUGINS, str(Path(__file__).parent)]

    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert until(lambda: state(timed) == "reverted") < 8
    assert timed.tree() == before


# systemd


@pytest.fixture
def systemd(timed, tmp_path_factory, monkeypatch):
    """A host where systemd is PID 1, with commands that write down how they were called."""
    # Whatever namespaces the tests run in.
    monkeypatch.setattr("module_utils.timer.processes.namespace", lambda kind="pid", _pid="self": f"{kind}:[1]")
    Path(timed.systemd).mkdir(parents=True)
    bin_ = tmp_path_factory.mktemp("bin")
    log = bin_ / "log"
    log.touch()
    for name in ("systemd-run", "systemctl"):
        (bin_ / name).write_text(
            f'#!/bin/sh\nprintf "%s\\n" "{name}" "$@" "" >>{log}\nexit $(cat {bin_}/{name}.code)\n'
        )
        (bin_ / name).chmod(0o755)
        (bin_ / f"{name}.code").write_text("0\n")
    monkeypatch.setenv("PATH", str(bin_), prepend=os.pathsep)
    return bin_


def called(systemd):
    """Return each command with its arguments."""
    return [text.split("\n") for text in (systemd / "log").read_text().strip().split("\n\n")]


def test_where_systemd_is_pid_1_it_keeps_the_timer(timed, systemd):
    done = changeset.apply(timed, asking(revert_after_s=120))

    (command,) = [one for one in called(systemd) if one[0] == "systemd-run"]
    assert done.timer.kind == "systemd"
    assert command[:-4] == [
        "systemd-run",
        "--unit=tcptune-revert-run-1",
        "--on-active=120s",
        "--timer-property=AccuracySec=100ms",
        "--collect",
        "--description=tcptune takes back run run-1 unless it is confirmed",
        "--quiet",
    ]
    assert command[-4:] == ["--", "/bin/sh", f"{timed.runs.at('run-1')}/rollback.sh", "timer"]


def test_confirm_stops_the_unit(timed, systemd):
    changeset.apply(timed, asking(revert_after_s=120))
    changeset.confirm(timed, "run-1")

    assert called(systemd)[-1] == [
        "systemctl",
        "stop",
        *(f"tcptune-revert-run-1.{one}" for one in ("timer", "service")),
    ]


def test_confirm_wakes_the_unit_which_would_else_sleep_until_the_deadline(timed, systemd):
    changeset.apply(timed, asking(revert_after_s=120, files=[dropin()]))
    seen = []
    timed.reached = lambda step: seen.append((step, called(systemd)[-1])) if step == dropin()["path"] else None
    changeset.confirm(timed, "run-1")

    assert seen == [(dropin()["path"], ["systemctl", "start", "--no-block", "tcptune-revert-run-1.service"])]


def test_more_time_needs_no_second_unit(timed, systemd):
    changeset.apply(timed, asking(revert_after_s=120))
    changeset.extend(timed, "run-1", 600)

    assert [one[0] for one in called(systemd)].count("systemd-run") == 1


def test_a_systemd_that_refuses_is_replaced_by_a_process(timed, systemd):
    (systemd / "systemd-run.code").write_text("1\n")
    done = changeset.apply(timed, asking(revert_after_s=1))

    assert (done.timer.kind, done.timer.alive) == ("process", True)
    until(lambda: state(timed) == "reverted")


def test_in_a_namespace_of_its_own_a_host_does_not_ask_the_systemd_outside(timed, systemd, monkeypatch):
    monkeypatch.setattr(
        "module_utils.timer.processes.namespace",
        lambda kind="pid", pid="self": f"{kind}:[{2 if (kind, pid) == ('net', 'self') else 1}]",
    )

    assert changeset.apply(timed, asking(revert_after_s=60)).timer.kind == "process"
    assert called(systemd) == [[""]]


def test_a_forecast_names_the_timer_and_starts_none(timed):
    before = timed.everything()
    predicted = changeset.predict(timed, asking(revert_after_s=60))

    assert predicted.timer == timer.Timer("process", None, 60)
    assert timed.everything() == before
