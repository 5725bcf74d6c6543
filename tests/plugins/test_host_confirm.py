"""Confirm: the files, whole, and the run held as before where one cannot be written."""

from __future__ import annotations

import errno

import pytest
from fake_host import SETTINGS, asking, dropin
from module_utils import changeset, storage
from module_utils.errors import Failed, Refused, Stale

SECOND = "/etc/sysctl.d/98-tcptune-more.conf"


def state(fake, run="run-1"):
    return fake.runs.load(run).state


def test_confirm_writes_the_files_and_may_be_repeated(fake):
    changeset.apply(fake, asking(files=[dropin("a\n"), dropin("b\n", path=SECOND)]))

    done = changeset.confirm(fake, "run-1")
    before = fake.everything()
    again = changeset.confirm(fake, "run-1")

    assert (fake.file().read_text(), fake.file(SECOND).read_text()) == ("a\n", "b\n")
    assert (done.changed, done.state) == (True, "confirmed")
    assert (again.changed, again.state) == (False, "confirmed")
    assert fake.everything() == before


def test_confirm_keeps_the_mode_of_a_file_that_was_there(fake):
    fake.file().write_text("old")
    fake.file().chmod(0o600)
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")

    assert oct(fake.file().stat().st_mode)[-3:] == "600"


def test_confirm_only_looks_when_it_is_told_to(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    before = fake.everything()

    predicted = changeset.confirm(fake, "run-1", check=True)

    assert fake.everything() == before
    assert predicted == changeset.confirm(fake, "run-1")


def test_confirm_refuses_a_host_that_was_booted_since(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    fake.boot("second-boot", SETTINGS)

    with pytest.raises(Refused, match="run-1 is lost: the host was booted") as predicted:
        changeset.confirm(fake, "run-1", check=True)
    assert state(fake) == "held"
    with pytest.raises(Refused) as caught:
        changeset.confirm(fake, "run-1")

    assert (str(caught.value), caught.value.hint) == (str(predicted.value), "plan again")
    assert state(fake) == "lost"
    assert not fake.file().exists()


def test_confirm_refuses_a_file_that_has_moved_since(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    fake.file().write_text("somebody else")

    with pytest.raises(Stale, match="no longer absent"):
        changeset.confirm(fake, "run-1")

    assert fake.file().read_text() == "somebody else"


def test_a_confirm_that_fails_gives_the_files_back_and_holds(fake, monkeypatch):
    fake.file().write_text("old")
    changeset.apply(fake, asking(files=[dropin(), dropin(path=SECOND)]))
    before = fake.tree()
    write = storage.write

    def no_room_for_the_second(path, wanted):
        if path.endswith("98-tcptune-more.conf"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write(path, wanted)

    monkeypatch.setattr("module_utils.storage.write", no_room_for_the_second)
    with pytest.raises(Failed, match="No space") as caught:
        changeset.confirm(fake, "run-1")

    assert fake.tree() == before
    assert caught.value.facts["host_state"] == state(fake) == "held"
    monkeypatch.undo()
    assert changeset.confirm(fake, "run-1").state == "confirmed"


def test_a_run_that_was_rolled_back_cannot_be_confirmed(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.rollback(fake, "run-1")

    with pytest.raises(Refused, match="nothing is held"):
        changeset.confirm(fake, "run-1")
