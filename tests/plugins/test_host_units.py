"""Drop-ins of services: systemd is told of them, only where it is ours, and never restarts anything for it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from fake_host import EVERY_KIND, MISSING, UNIT, Crash, asking, dropin, every_kind
from module_utils import changeset, systemd
from module_utils.errors import Failed


class Systemctl:
    """Stands on the path for the command: writes down its calls, and what the drop-in said at each."""

    def __init__(self, folder, unit):
        self.folder = folder
        (folder / "systemctl").write_text(
            f'#!/bin/sh\necho "$@" >>{folder}/log\n[ ! -e {folder}/fails ] || exit 1\n'
            f"cat '{unit}' >{folder}/known 2>/dev/null\n:\n"
        )
        (folder / "systemctl").chmod(0o755)

    def fail(self):
        (self.folder / "fails").touch()

    def mend(self):
        (self.folder / "fails").unlink()

    @property
    def calls(self):
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def known(self):
        return (self.folder / "known").read_text()


@pytest.fixture
def systemctl(fake, tmp_path_factory, monkeypatch):
    """A host where systemd is PID 1."""
    # Whatever namespaces the tests run in.
    monkeypatch.setattr("module_utils.processes.namespace", lambda kind="pid", _pid="self": f"{kind}:[1]")
    Path(fake.systemd).mkdir(parents=True)
    found = Systemctl(tmp_path_factory.mktemp("bin"), fake.file(UNIT))
    monkeypatch.setenv("PATH", str(found.folder), prepend=os.pathsep)
    return found


def state(fake, run="run-1"):
    return fake.runs.load(run).state


def test_it_learns_of_the_drop_in_after_confirm_and_after_roll_back(fake, systemctl):
    changeset.apply(fake, asking(files=every_kind()))
    assert systemctl.calls == []
    changeset.confirm(fake, "run-1")
    assert (systemctl.calls, systemctl.known) == (["daemon-reload"], EVERY_KIND[UNIT])
    changeset.rollback(fake, "run-1")
    assert (systemctl.calls, systemctl.known) == (["daemon-reload"] * 2, "")
    assert fake.warnings == []


def test_it_is_left_in_peace_where_no_unit_changes(fake, systemctl):
    fake.file(MISSING[1]).mkdir()
    fake.file(UNIT).write_text(EVERY_KIND[UNIT])
    for run, files in (("run-1", [dropin()]), ("run-2", [dropin(EVERY_KIND[UNIT], path=UNIT)])):
        changeset.apply(fake, asking(files=files, run=run))
        changeset.confirm(fake, run)
        changeset.rollback(fake, run)

    assert systemctl.calls == []


def test_a_run_that_was_never_confirmed_has_nothing_to_tell(fake, systemctl):
    changeset.apply(fake, asking(files=every_kind()))
    changeset.rollback(fake, "run-1")

    assert systemctl.calls == []


@pytest.mark.parametrize("kind", ["net", "mnt", "pid"])
def test_the_systemd_of_others_is_not_asked(fake, systemctl, monkeypatch, kind):
    monkeypatch.setattr(
        "module_utils.processes.namespace", lambda one="pid", pid="self": f"{one}:[{pid if one == kind else 1}]"
    )
    changeset.apply(fake, asking(files=every_kind()))

    assert changeset.confirm(fake, "run-1").state == "confirmed"
    assert (systemctl.calls, fake.warnings) == ([], [])


def test_where_it_is_not_pid_1_nobody_is_asked(fake, systemctl):
    Path(fake.systemd).rmdir()
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")

    assert (systemctl.calls, fake.warnings) == ([], [])


def test_a_reload_that_fails_is_told_and_undoes_nothing(fake, systemctl):
    systemctl.fail()
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    confirmed = changeset.confirm(fake, "run-1")

    assert (confirmed.state, state(fake)) == ("confirmed", "confirmed")
    assert fake.file(UNIT).read_text() == EVERY_KIND[UNIT]
    (warning,) = fake.warnings
    assert warning.startswith("systemctl daemon-reload failed")
    assert warning.endswith("run it by hand")

    assert changeset.rollback(fake, "run-1").state == state(fake) == "rolled_back"
    assert fake.tree() == before
    assert fake.warnings == [warning] * 2


def test_a_command_that_is_missing_is_told_too(fake, systemctl, monkeypatch):
    monkeypatch.setattr("module_utils.systemd.command", lambda _name: None)
    monkeypatch.setenv("PATH", os.devnull)

    assert "daemon-reload failed" in systemd.reload(fake.systemd)
    assert systemctl.calls == []


@pytest.mark.parametrize("step", [UNIT, "/etc/sysctl.d/99-tcptune.conf", "reloaded"])
def test_a_confirm_that_died_before_it_told_systemd_tells_it_when_it_is_repeated(fake, systemctl, step):
    changeset.apply(fake, asking(files=every_kind()))
    fake.reached = lambda reached: (_ for _ in ()).throw(Crash(step)) if reached == step else None
    with pytest.raises(Crash):
        changeset.confirm(fake, "run-1")
    fake.reached = lambda _step: None

    assert changeset.confirm(fake, "run-1").state == "confirmed"
    assert systemctl.known == EVERY_KIND[UNIT]


def other_change(fake):
    changeset.apply(fake, asking({"net.ipv4.tcp_congestion_control": "bbr"}, run="run-2"))


@pytest.mark.parametrize("after", [lambda fake: changeset.rollback(fake, "run-1"), other_change])
@pytest.mark.parametrize(
    ("act", "step"),
    [
        *(("confirm", step) for step in (MISSING[1], UNIT, "reloaded")),
        *(("rollback", step) for step in (UNIT, MISSING[1], "net.core.somaxconn", "reloaded")),
    ],
)
def test_whoever_calls_after_a_crash_lets_systemd_know_what_the_files_have_in_the_end(
    fake, systemctl, act, step, after
):
    changeset.apply(fake, asking(files=every_kind()))
    if act == "rollback":
        changeset.confirm(fake, "run-1")
    fake.reached = lambda reached: (_ for _ in ()).throw(Crash(step)) if reached == step else None
    with pytest.raises(Crash):
        getattr(changeset, act)(fake, "run-1")
    fake.reached = lambda _step: None
    after(fake)

    assert state(fake) in ("rolled_back", "reverted")
    assert not fake.file(UNIT).exists()
    assert (systemctl.calls[-1], systemctl.known) == ("daemon-reload", "")


def test_a_confirm_that_was_taken_back_tells_it_that_too(fake, systemctl, monkeypatch):
    changeset.apply(fake, asking(files=every_kind()))
    move = fake.runs.move

    def no_room_for_the_end(manifest, state):
        if state == "confirmed":
            raise OSError(errno.ENOSPC, "No space left on device")
        return move(manifest, state)

    monkeypatch.setattr(fake.runs, "move", no_room_for_the_end)
    with pytest.raises(Failed, match="No space"):
        changeset.confirm(fake, "run-1")

    assert (systemctl.calls, systemctl.known) == (["daemon-reload"] * 2, "")
    assert state(fake) == "held"


def test_a_warning_of_a_recovery_reaches_whoever_called(fake, systemctl):
    changeset.apply(fake, asking(files=every_kind()))
    fake.reached = lambda reached: (_ for _ in ()).throw(Crash(UNIT)) if reached == UNIT else None
    with pytest.raises(Crash):
        changeset.confirm(fake, "run-1")
    fake.reached = lambda _step: None
    systemctl.fail()
    other_change(fake)

    assert "daemon-reload failed" in fake.warnings[0]
    systemctl.mend()
