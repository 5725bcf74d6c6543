"""Roll back: what the run replaced, and nothing that somebody else has changed since."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fake_host import DROPIN, SETTINGS, asking, dropin, sha256
from module_utils import changeset
from module_utils.errors import Failed, Refused

SECOND = "/etc/sysctl.d/98-tcptune-more.conf"


def state(fake, run="run-1"):
    return fake.runs.load(run).state


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize("old", [None, b"\xff old bytes"])
def test_roll_back_restores_values_bytes_mode_and_owner(fake, confirmed, old):
    if old is not None:
        fake.file().write_bytes(old)
        fake.file().chmod(0o604)
    before = fake.tree()
    changeset.apply(fake, asking(files=[dropin()]))
    if confirmed:
        changeset.confirm(fake, "run-1")
        assert fake.file().read_text() == dropin()["content"]

    done = changeset.rollback(fake, "run-1")

    assert fake.tree() == before
    assert (done.changed, done.state, done.changed_since) == (True, "rolled_back", ())
    assert done.previous == asking().settings


def test_roll_back_writes_in_reverse_order(fake):
    changeset.apply(fake, asking())
    fake.kernel.writes.clear()
    changeset.rollback(fake, "run-1")

    assert [key for key, _ in fake.kernel.writes] == ["net.ipv4.tcp_rmem", "net.core.somaxconn"]


def test_roll_back_may_be_repeated(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.rollback(fake, "run-1")
    before = fake.everything()

    again = changeset.rollback(fake, "run-1")

    assert (again.changed, again.state) == (False, "rolled_back")
    assert fake.everything() == before


def test_roll_back_only_looks_when_it_is_told_to(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    before = fake.everything()

    predicted = changeset.rollback(fake, "run-1", check=True)

    assert fake.everything() == before
    assert predicted == changeset.rollback(fake, "run-1")


def test_what_a_third_party_has_changed_since_is_named_and_left(fake):
    changeset.apply(fake, asking(files=[dropin(), dropin(path=SECOND)]))
    changeset.confirm(fake, "run-1")
    fake.set("net.core.somaxconn", "7")
    fake.file().write_text("somebody else")

    done = changeset.rollback(fake, "run-1")

    assert [left[:1] + left[2:] for left in done.changed_since] == [
        (DROPIN, sha256("somebody else"), "absent"),
        ("net.core.somaxconn", "7", "4096"),
    ]
    assert fake.get("net.core.somaxconn") == "7"
    assert fake.file().read_text() == "somebody else"
    assert fake.get("net.ipv4.tcp_rmem") == "4096 131072 6291456"
    assert not fake.file(SECOND).exists()

    again = changeset.rollback(fake, "run-1")
    assert (again.changed, again.changed_since) == (False, done.changed_since)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_was_left_can_be_forced_at_once_or_later(fake, at_once):
    before = fake.tree()
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    fake.set("net.core.somaxconn", "7")
    fake.file().write_text("somebody else")
    if not at_once:
        changeset.rollback(fake, "run-1")

    done = changeset.rollback(fake, "run-1", ["net/core/somaxconn", DROPIN])

    assert fake.tree() == before
    assert (done.changed, done.changed_since) == (True, ())
    assert done.previous["net.core.somaxconn"] == "7"
    assert not changeset.rollback(fake, "run-1", ["net.core.somaxconn"]).changed


def test_a_setting_that_the_run_did_not_change_cannot_be_forced(fake):
    changeset.apply(fake, asking())

    with pytest.raises(Refused, match=r"did not change net\.ipv4\.tcp_congestion_control"):
        changeset.rollback(fake, "run-1", ["net.ipv4.tcp_congestion_control"])


def test_a_setting_that_has_gone_is_named_and_cannot_be_forced(fake):
    changeset.apply(fake, asking())
    Path(fake.kernel.path("net.core.somaxconn")).unlink()

    done = changeset.rollback(fake, "run-1", ["net.core.somaxconn"])

    assert [(left.name, left.found) for left in done.changed_since] == [("net.core.somaxconn", "absent")]


def test_after_a_roll_back_the_same_value_set_by_a_later_run_is_safe(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    changeset.rollback(fake, "run-1")
    changeset.apply(fake, asking(files=[dropin()], run="run-2"))
    changeset.confirm(fake, "run-2")

    again = changeset.rollback(fake, "run-1")

    assert (again.changed, again.changed_since) == (False, ())
    assert fake.get("net.core.somaxconn") == "1024"
    assert fake.file().exists()


def test_what_was_left_stays_left_though_somebody_else_gives_it_our_value(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    fake.set("net.core.somaxconn", "7")
    fake.file().write_text("somebody else")
    changeset.rollback(fake, "run-1")
    fake.set("net.core.somaxconn", "1024")
    fake.file().write_text(dropin()["content"])

    assert not changeset.rollback(fake, "run-1").changed
    assert fake.get("net.core.somaxconn") == "1024"
    assert fake.file().exists()


def test_a_file_that_was_never_confirmed_is_not_ours_to_restore(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    fake.file().write_text("somebody else")

    assert changeset.rollback(fake, "run-1").changed_since == ()
    assert fake.file().read_text() == "somebody else"


def test_after_a_boot_the_roll_back_of_a_held_run_has_nothing_to_write(fake):
    changeset.apply(fake, asking())
    fake.boot("second-boot", SETTINGS)
    fake.kernel.writes.clear()

    done = changeset.rollback(fake, "run-1")

    assert fake.kernel.writes == []
    assert (done.changed, done.state, done.previous, done.changed_since) == (False, "lost", {}, ())


def test_a_restore_that_moves_another_setting_is_repaired(fake):
    fake.set("net.ipv4.ip_forward", "0")
    fake.set("net.ipv4.conf.all.forwarding", "1")
    before = fake.tree()
    changeset.apply(fake, asking({"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "0"}))
    fake.kernel.moves["net.ipv4.ip_forward"] = "net.ipv4.conf.all.forwarding"

    changeset.rollback(fake, "run-1")

    assert fake.tree() == before


def test_a_roll_back_that_the_kernel_refuses_says_so_and_can_be_repeated(fake):
    before = fake.tree()
    changeset.apply(fake, asking(files=[dropin()]))
    fake.kernel.refused["net.core.somaxconn", "4096"] = (errno.EPERM, None)

    with pytest.raises(Failed) as caught:
        changeset.rollback(fake, "run-1")
    assert caught.value.facts["host_state"] == state(fake) == "failed_restored"
    assert caught.value.facts["not_restored"] == ["net.core.somaxconn"]
    assert caught.value.facts["errno"] == errno.EPERM
    assert fake.get("net.ipv4.tcp_rmem") == "4096 131072 6291456"

    fake.kernel.refused.clear()
    assert changeset.rollback(fake, "run-1").state == "rolled_back"
    assert fake.tree() == before


def test_a_file_that_cannot_be_restored_does_not_keep_the_values(fake, monkeypatch):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")

    def read_only(path):
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr("module_utils.storage.remove", read_only)
    with pytest.raises(Failed, match="Read-only"):
        changeset.rollback(fake, "run-1")

    assert fake.values() == {key: " ".join(value.split()) for key, value in SETTINGS.items()}
    assert state(fake) == "failed_restored"
