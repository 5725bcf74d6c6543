"""Folders that are missing: made by confirm, on record, and taken away by the way back if they are ours and empty."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from fake_host import DROPIN, EVERY_KIND, LIMITS, MISSING, UNIT, asking, dropin, every_kind
from module_utils import changeset, runs, storage
from module_utils.errors import ChangeError, Failed, Refused


def state(fake, run="run-1"):
    return fake.runs.load(run).state


@pytest.fixture
def narrow():
    """Whatever is made is closed to others, unless somebody sees to it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("narrow")
def test_confirm_makes_what_is_missing_and_roll_back_takes_it_away(fake):
    before = fake.tree()
    predicted = changeset.predict(fake, asking(files=every_kind()))
    applied = changeset.apply(fake, asking(files=every_kind()))
    assert not any(fake.file(folder).exists() for folder in MISSING)
    confirming = changeset.confirm(fake, "run-1", check=True)
    confirmed = changeset.confirm(fake, "run-1")

    assert predicted.folders == applied.folders == confirming.folders == confirmed.folders == MISSING
    assert {stat.S_IMODE(fake.file(folder).stat().st_mode) for folder in MISSING} == {0o755}
    assert {path: fake.file(path).read_text() for path in EVERY_KIND} == EVERY_KIND

    going_back = changeset.rollback(fake, "run-1", check=True)
    back = changeset.rollback(fake, "run-1")

    assert going_back == back
    assert back.folders == tuple(reversed(MISSING))
    assert (fake.tree(), back.changed_since, fake.warnings) == (before, (), [])


@pytest.mark.usefixtures("narrow")
def test_a_folder_is_on_disk_and_open_before_the_file_in_it_is(tmp_path, monkeypatch):
    calls = []
    for name in ("mkdir", "chmod", "rmdir"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, call=call, name=name: (calls.append((name, a[0])), call(*a)))
    sync = storage.sync_folder
    monkeypatch.setattr("module_utils.storage.sync_folder", lambda path: (calls.append(("sync", path)), sync(path)))
    folder = str(tmp_path / "a.d")

    assert storage.make_open_folder(folder)
    assert calls == [("mkdir", folder), ("chmod", folder), ("sync", folder), ("sync", str(tmp_path))]
    assert not storage.make_open_folder(folder)
    calls.clear()
    assert storage.remove_folder(folder)
    assert calls == [("rmdir", folder), ("sync", str(tmp_path))]


def test_a_folder_that_was_there_stays(fake):
    for folder in MISSING:
        fake.file(folder).mkdir(mode=0o700)
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    assert changeset.confirm(fake, "run-1").folders == ()
    changeset.rollback(fake, "run-1")

    assert fake.tree() == before


def test_a_folder_that_somebody_makes_between_apply_and_confirm_is_not_ours(fake):
    changeset.apply(fake, asking(files=every_kind()))
    fake.file(MISSING[0]).mkdir()
    changeset.confirm(fake, "run-1")
    changeset.rollback(fake, "run-1")

    assert [fake.file(folder).exists() for folder in MISSING] == [True, False]


def test_a_folder_that_somebody_makes_after_it_was_on_record_is_not_ours(fake):
    changeset.apply(fake, asking(files=every_kind()))
    fake.reached = lambda step: fake.file(MISSING[0]).mkdir(mode=0o700) if step == "armed" else None
    changeset.confirm(fake, "run-1")
    assert fake.runs.load("run-1").folders == MISSING[1:]
    assert stat.S_IMODE(fake.file(MISSING[0]).stat().st_mode) == 0o700
    changeset.rollback(fake, "run-1")

    assert [fake.file(folder).exists() for folder in MISSING] == [True, False]


def test_a_folder_that_was_removed_between_apply_and_confirm_is_made(fake):
    for folder in MISSING:
        fake.file(folder).mkdir()
    assert changeset.apply(fake, asking(files=every_kind())).folders == ()
    for folder in MISSING:
        fake.file(folder).rmdir()

    assert changeset.confirm(fake, "run-1").folders == MISSING
    changeset.rollback(fake, "run-1")
    assert not any(fake.file(folder).exists() for folder in MISSING)


def test_a_folder_in_which_somebody_keeps_a_file_stays_and_is_told(fake):
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    others = fake.file(MISSING[1] + "/50-theirs.conf")
    others.write_text("theirs")

    predicted = changeset.rollback(fake, "run-1", check=True)
    done = changeset.rollback(fake, "run-1")

    assert predicted == done
    assert done.folders == MISSING[:1]
    assert [path.exists() for path in (others, fake.file(UNIT), fake.file(MISSING[0]))] == [True, False, False]
    assert fake.warnings == [f"{MISSING[1]} was made by run run-1 and stays: it is not empty"]


def test_a_confirm_that_fails_takes_the_folders_away_and_may_be_repeated(fake, monkeypatch):
    changeset.apply(fake, asking(files=every_kind()))
    before = fake.tree()
    write = storage.write

    def no_room_for_the_last(path, wanted):
        if path == str(fake.file()):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write(path, wanted)

    monkeypatch.setattr("module_utils.storage.write", no_room_for_the_last)
    with pytest.raises(Failed, match="No space"):
        changeset.confirm(fake, "run-1")
    assert (fake.tree(), state(fake)) == (before, "held")
    monkeypatch.undo()

    changeset.confirm(fake, "run-1")
    changeset.rollback(fake, "run-1")
    assert not any(fake.file(folder).exists() for folder in MISSING)


def test_a_folder_that_cannot_be_taken_away_is_a_failure_that_can_be_repeated(fake, monkeypatch):
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")

    def busy(path):
        raise OSError(errno.EBUSY, "Device or resource busy", path)

    monkeypatch.setattr(os, "rmdir", busy)
    with pytest.raises(Failed, match="Device or resource busy") as caught:
        changeset.rollback(fake, "run-1")
    assert caught.value.facts["host_state"] == state(fake) == "failed_restored"
    monkeypatch.undo()

    changeset.rollback(fake, "run-1")
    assert fake.tree() == before


def refusals():
    def link(fake):
        fake.file("/etc/elsewhere").mkdir()
        fake.file(MISSING[0]).symlink_to("../elsewhere")

    def link_above(fake):
        fake.file("/etc/security").rmdir()
        fake.file("/etc/security").symlink_to("sysctl.d")

    def dangling(fake):
        fake.file(MISSING[0]).symlink_to("nowhere")

    return {
        "a link": (link, f"{LIMITS} cannot be ours: {MISSING[0]} is a symbolic link"),
        "a link to nowhere": (dangling, f"{LIMITS} cannot be ours: {MISSING[0]} is a symbolic link"),
        "a link above": (link_above, f"{LIMITS} cannot be ours: /etc/security is a symbolic link"),
        "a file": (
            lambda fake: fake.file(MISSING[0]).write_text("x"),
            f"{LIMITS} cannot be ours: {MISSING[0]} is no folder",
        ),
        "nothing above": (
            lambda fake: fake.file("/etc/security").rmdir(),
            f"{LIMITS} cannot be ours: there is no /etc/security",
        ),
    }


@pytest.mark.parametrize(("there", "message"), refusals().values(), ids=refusals())
def test_what_is_no_folder_is_refused_before_anything_is_written(fake, there, message):
    there(fake)
    before = fake.everything()

    with pytest.raises(Refused) as predicted:
        changeset.predict(fake, asking(files=every_kind()))
    with pytest.raises(Refused) as refused:
        changeset.apply(fake, asking(files=every_kind()))

    assert refused.value.message == predicted.value.message == message
    assert refused.value.hint
    assert fake.everything() == before


def test_a_link_that_came_since_is_refused_by_confirm(fake):
    changeset.apply(fake, asking(files=every_kind()))
    fake.file(MISSING[0]).symlink_to("../sysctl.d")
    before = fake.tree()

    with pytest.raises(Refused, match="is a symbolic link"):
        changeset.confirm(fake, "run-1")
    assert (fake.tree(), state(fake)) == (before, "held")


def test_the_one_above_has_to_be_writable_and_have_room(fake, monkeypatch):
    asked, access = [], os.access
    above = str(fake.file("/etc/security"))
    monkeypatch.setattr(os, "access", lambda path, mode: path != above and access(path, mode))
    with pytest.raises(Refused, match=f"{LIMITS} cannot be written"):
        changeset.predict(fake, asking(files=every_kind()))
    monkeypatch.undo()

    statvfs = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: (asked.append(path), statvfs(path))[1])
    changeset.predict(fake, asking(files=every_kind()))
    assert above in asked
    assert str(fake.file("/etc/systemd/system")) in asked


def test_records_of_before_know_no_folders_and_go_back_all_the_same(fake):
    before = fake.tree()
    changeset.apply(fake, asking(files=[dropin()]))
    path = Path(fake.runs.at("run-1")) / "manifest.json"
    record = json.loads(path.read_text())
    assert record.pop("folders") == []
    path.write_text(json.dumps(record))

    assert runs.decode(record).folders == ()
    changeset.confirm(fake, "run-1")
    changeset.rollback(fake, "run-1")
    assert fake.tree() == before


def test_the_record_names_the_folders(fake):
    changeset.apply(fake, asking(files=every_kind()))
    record = json.loads((Path(fake.runs.at("run-1")) / "manifest.json").read_text())
    lines = (Path(fake.runs.at("run-1")) / "folders").read_text()

    assert record["folders"] == list(MISSING)
    assert runs.decode(record).folders == MISSING
    assert lines == "".join(f"{fake.path(folder)}\n" for folder in reversed(MISSING))


def test_the_next_call_sweeps_what_a_killed_write_left(fake):
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    for path in EVERY_KIND:
        fake.file(path).with_name(".99-tcptune.conf.x1_y.tmp").write_text("half")
    others = fake.file("/etc/sysctl.d/.98-theirs.conf.x1_y.tmp")
    others.write_text("theirs")

    assert changeset.rollback(fake, "run-1", check=True).folders == tuple(reversed(MISSING))
    changeset.rollback(fake, "run-1")

    assert others.exists()
    others.unlink()
    assert fake.tree() == before


def test_a_file_that_somebody_changed_keeps_its_folder_until_it_is_forced(fake):
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    fake.file(UNIT).write_text("[Service]\nLimitNOFILE=4096\n")

    assert [left.name for left in changeset.rollback(fake, "run-1").changed_since] == [UNIT]
    assert changeset.rollback(fake, "run-1", [UNIT]).folders == MISSING[1:]
    assert fake.tree() == before


def test_all_that_is_wrong_with_files_is_told_at_once(fake):
    fake.file(MISSING[0]).write_text("x")
    with pytest.raises(ChangeError) as caught:
        changeset.apply(fake, asking(files=[dropin(before_sha256="0" * 64), *every_kind()[:3]]))
    said = caught.value.as_dict()

    assert [one["key"] for one in (said, *said["also"])] == [LIMITS, DROPIN]
