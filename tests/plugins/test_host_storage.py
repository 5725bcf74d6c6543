"""Files that are whole or not there at all."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from module_utils import storage


def test_a_file_keeps_its_mode_owner_and_label_when_it_is_replaced(tmp_path):
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    path.chmod(0o640)
    label = "system_u:object_r:etc_t:s0"
    try:
        os.chown(path, 12, 34)
        os.setxattr(path, "security.selinux", label.encode() + b"\0")
    except OSError as error:
        pytest.skip(f"needs root and a file system with labels: {error}")

    storage.write(str(path), storage.look(str(path))._replace(data=b"new"))

    found = storage.look(str(path))
    assert found == (b"new", 0o640, 12, 34, label)


def test_a_new_file_can_be_read_by_everyone_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        storage.write(str(tmp_path / "a.conf"), storage.new_file(b"x"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.conf").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_bytes_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("module_utils.storage.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        storage.write(str(path), storage.new_file(b"new"))

    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.conf", b"old")]


def test_bytes_are_synced_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch):
    calls = []
    fsync, rename = os.fsync, os.rename

    def kind(descriptor):
        return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    monkeypatch.setattr("module_utils.storage.os.fsync", lambda fd: (calls.append(f"sync {kind(fd)}"), fsync(fd)))
    monkeypatch.setattr("module_utils.storage.os.rename", lambda a, b: (calls.append("rename"), rename(a, b)))
    storage.write(str(tmp_path / "a.conf"), storage.new_file(b"x"))

    assert calls == ["sync file", "rename", "sync folder"]


def test_removing_a_file_syncs_its_folder_and_may_be_repeated(tmp_path, monkeypatch):
    path = tmp_path / "a.conf"
    path.write_bytes(b"x")
    synced = []
    monkeypatch.setattr("module_utils.storage.sync_folder", synced.append)

    storage.remove(str(path))
    storage.remove(str(path))

    assert not path.exists()
    assert synced == [str(tmp_path)] * 2


def test_a_link_is_not_followed_and_a_folder_is_no_file(tmp_path):
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "link").symlink_to("target")

    with pytest.raises(OSError, match="symbolic link"):
        storage.look(str(tmp_path / "link"))
    with pytest.raises(OSError, match="not a regular file"):
        storage.look(str(tmp_path))
    assert storage.look(str(tmp_path / "none")) is None


def test_new_folders_are_closed_to_others(tmp_path):
    storage.make_folder(str(tmp_path / "a/b"))

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
