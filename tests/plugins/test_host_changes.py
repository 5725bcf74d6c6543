"""Apply, confirm, roll back: there and back, whatever happens in between."""

from __future__ import annotations

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fake_host import DROPIN, SETTINGS, Crash, FakeHost, asking, dropin, sha256
from hypothesis import given, settings
from hypothesis import strategies as st
from module_utils import changeset
from module_utils.errors import ChangeError, Failed, Refused, Stale, Unfinished

SECOND = "/etc/sysctl.d/98-tcptune-more.conf"


def state(fake, run="run-1"):
    return fake.runs.load(run).state


# Apply


def test_apply_writes_in_the_given_order_and_holds(fake):
    done = changeset.apply(fake, asking({"net.ipv4.tcp_rmem": "1 2 3", "net.core.somaxconn": "5"}))

    assert fake.kernel.writes == [("net.ipv4.tcp_rmem", "1 2 3"), ("net.core.somaxconn", "5")]
    assert done.previous == {"net.ipv4.tcp_rmem": "4096 131072 6291456", "net.core.somaxconn": "4096"}
    assert (done.changed, done.run, done.state, state(fake)) == (True, "run-1", "held", "held")


def test_apply_writes_no_file_that_a_boot_reads(fake):
    changeset.apply(fake, asking(files=[dropin()]))

    assert not fake.file().exists()


def test_a_setting_that_is_right_already_is_not_written(fake):
    done = changeset.apply(fake, asking({"net.core.somaxconn": "4096", "net.ipv4.tcp_congestion_control": "bbr"}))

    assert fake.kernel.writes == [("net.ipv4.tcp_congestion_control", "bbr")]
    assert done.previous == {"net.ipv4.tcp_congestion_control": "cubic"}


def test_a_read_only_setting_that_is_right_already_is_no_obstacle(fake):
    fake.kernel.read_only.add("net.core.somaxconn")

    assert changeset.apply(fake, asking({"net.core.somaxconn": "4096", "net.ipv4.tcp_rmem": "1 2 3"})).changed


def test_every_state_is_on_disk_before_it_is_acted_upon(fake):
    seen = []
    fake.reached = lambda step: seen.append((step, state(fake)))
    fake.kernel.refused["net.core.somaxconn", "4096"] = (errno.EINVAL, None)
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")

    assert seen == [
        ("prepared", "prepared"),
        ("running", "running"),
        ("net.core.somaxconn", "running"),
        ("net.ipv4.tcp_rmem", "running"),
        ("stored", "running"),
        ("held", "held"),
        ("confirming", "confirming"),
        ("armed", "confirming"),
        (DROPIN, "confirming"),
        ("confirmed", "confirmed"),
        ("disarmed", "confirmed"),
    ]


def test_a_prediction_changes_nothing_and_says_what_apply_then_does(fake):
    request = asking({"net.core.somaxconn": "1", "net.ipv4.tcp_rmem": "4096 131072 6291456"}, files=[dropin("x")])
    before = fake.everything()

    predicted = changeset.predict(fake, request)

    assert fake.everything() == before
    assert predicted == changeset.apply(fake, request)


REFUSALS = {
    "a value that has moved": ({"before": {"net.core.somaxconn": "128"}}, "stale"),
    "a precondition beside the settings": ({"before": {"net.ipv4.tcp_congestion_control": "bbr"}}, "stale"),
    "a setting that is gone since the plan": ({"before": {"net.core.gone": "1"}}, "stale"),
    "a file that should not be there": ({"files": [dropin(before_sha256="absent")]}, "stale"),
    "a file that has moved": ({"files": [dropin(before_sha256="0" * 64)]}, "stale"),
    "a file that is gone": ({"files": [dropin(path=SECOND, before_sha256="0" * 64)]}, "stale"),
    "a setting this kernel lacks": ({"settings": {"net.core.nosuch": "1"}}, "absent"),
    "a setting that cannot be read": ({"settings": {"net.core.hidden": "1"}}, "refused"),
    "a setting that is read-only": ({"settings": {"net.core.rmem_max": "1"}}, "refused"),
    "too few numbers": ({"settings": {"net.ipv4.tcp_rmem": "1 2"}}, "refused"),
    "a link where our file should be": ({"files": [dropin(path="/etc/sysctl.d/97-tcptune.conf")]}, "refused"),
}


@pytest.mark.parametrize(("asked", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused_is_predicted_alike_and_leaves_no_trace(fake, asked, kind):
    fake.set("net.core.hidden", "1")
    fake.set("net.core.rmem_max", "212992")
    fake.kernel.secret.add("net.core.hidden")
    fake.kernel.read_only.add("net.core.rmem_max")
    fake.file().write_text("old")
    fake.file("/etc/sysctl.d/97-tcptune.conf").symlink_to("/dev/null")
    before = fake.everything()

    with pytest.raises(ChangeError) as predicted:
        changeset.predict(fake, asking(**asked))
    with pytest.raises(ChangeError) as refused:
        changeset.apply(fake, asking(**asked))

    assert refused.value.kind == kind
    assert refused.value.as_dict() == predicted.value.as_dict()
    assert fake.everything() == before
    assert fake.kernel.writes == []


def test_staleness_names_what_was_expected_and_what_was_found(fake):
    with pytest.raises(Stale) as caught:
        changeset.apply(fake, asking(before={"net.ipv4.tcp_rmem": "4096 131072 33554432"}))

    assert caught.value.as_dict() == {
        "kind": "stale",
        "message": "net.ipv4.tcp_rmem is no longer 4096 131072 33554432: it is 4096 131072 6291456",
        "hint": "plan again",
        "key": "net.ipv4.tcp_rmem",
        "expected": "4096 131072 33554432",
        "found": "4096 131072 6291456",
    }


def test_a_precondition_is_compared_as_the_kernel_would(fake):
    fake.set("net.ipv4.ip_local_reserved_ports", "8080-8082,9000")
    before = {"net.ipv4.ip_local_reserved_ports": "9000,8080,8081,8082", "net.ipv4.tcp_rmem": "4096 131072\t6291456"}

    assert changeset.apply(fake, asking(before=before)).changed


def test_a_file_that_is_as_expected_is_no_obstacle(fake):
    fake.file().write_text("old")
    files = [dropin(before_sha256=sha256("old")), dropin(path=SECOND, before_sha256="absent")]

    assert changeset.apply(fake, asking(files=files)).state == "held"


def test_all_problems_of_a_host_are_told_at_once_the_incurable_first(fake):
    with pytest.raises(ChangeError) as caught:
        changeset.apply(
            fake,
            asking(
                {"net.core.somaxconn": "1", "net.core.nosuch": "1", "net.ipv4.tcp_rmem": "1"},
                {"net.core.somaxconn": "7"},
            ),
        )
    said = caught.value.as_dict()

    assert [said["kind"], *(other["kind"] for other in said["also"])] == ["refused", "stale", "absent"]


def test_a_missing_folder_is_refused_before_anything_is_written(fake):
    fake.file().parent.rmdir()

    with pytest.raises(Refused, match="no folder"):
        changeset.apply(fake, asking(files=[dropin()]))


def test_a_refused_write_takes_back_all_in_reverse_order(fake):
    fake.kernel.refused["net.ipv4.tcp_congestion_control", "nosuch"] = (errno.ENOENT, None)
    before = fake.tree()

    with pytest.raises(Failed) as caught:
        changeset.apply(fake, asking({**asking().settings, "net.ipv4.tcp_congestion_control": "nosuch"}))

    assert fake.tree() == before
    assert [key for key, _ in fake.kernel.writes[-2:]] == ["net.ipv4.tcp_rmem", "net.core.somaxconn"]
    said = caught.value.as_dict()
    assert (said["key"], said["value"], said["errno"]) == ("net.ipv4.tcp_congestion_control", "nosuch", errno.ENOENT)
    assert said["host_state"] == state(fake) == "rolled_back"


def test_the_part_of_a_vector_that_a_refused_write_stored_is_taken_back(fake):
    fake.kernel.refused["net.ipv4.tcp_rmem", "1 2 2147483648"] = (errno.EINVAL, "1 2 6291456")
    before = fake.tree()

    with pytest.raises(Failed):
        changeset.apply(fake, asking({"net.ipv4.tcp_rmem": "1 2 2147483648"}))

    assert fake.tree() == before


def test_a_value_that_the_kernel_changes_on_the_way_is_a_failure(fake):
    fake.kernel.moves["net.core.somaxconn"] = "net.core.somaxconn"
    put = fake.kernel._put
    fake.kernel._put = lambda path, data: put(path, b"504\n" if data == b"501\n" else data)

    with pytest.raises(Failed, match="it shows 504") as caught:
        changeset.apply(fake, asking({"net.core.somaxconn": "501"}))

    assert caught.value.hint == "the kernel took it and shows something else; plan the value it shows"
    assert fake.get("net.core.somaxconn") == "4096"


def test_a_later_write_that_moves_an_earlier_setting_is_a_failure(fake):
    fake.set("net.ipv4.ip_forward", "0")
    fake.set("net.ipv4.conf.all.forwarding", "1")
    fake.kernel.moves["net.ipv4.ip_forward"] = "net.ipv4.conf.all.forwarding"
    before = fake.tree()

    with pytest.raises(Failed, match=r"conf\.all\.forwarding = 0: it shows 1"):
        changeset.apply(fake, asking({"net.ipv4.conf.all.forwarding": "0", "net.ipv4.ip_forward": "1"}))

    assert fake.tree() == before


def test_a_setting_that_cannot_be_taken_back_is_named_and_can_be_rolled_back_later(fake):
    fake.kernel.refused["net.ipv4.tcp_rmem", "4096 131072 16777216"] = (errno.EINVAL, None)
    fake.kernel.refused["net.core.somaxconn", "4096"] = (errno.EPERM, None)

    with pytest.raises(Failed, match=r"not restored: net\.core\.somaxconn") as caught:
        changeset.apply(fake, asking())
    assert caught.value.facts["host_state"] == state(fake) == "failed_restored"
    with pytest.raises(Unfinished):
        changeset.apply(fake, asking(run="run-2"))

    fake.kernel.refused.clear()
    assert changeset.rollback(fake, "run-1").state == "rolled_back"
    assert fake.get("net.core.somaxconn") == "4096"


def test_a_full_disk_before_the_record_is_made_changes_nothing(fake, monkeypatch):
    before = fake.tree()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("module_utils.runs.storage.write", full)
    with pytest.raises(Failed, match="No space") as caught:
        changeset.apply(fake, asking())

    assert caught.value.kind == "io"
    assert fake.tree() == before
    assert list(Path(fake.runs.folder).iterdir()) == []


def test_the_same_run_again_changes_nothing_and_still_tells_what_was_replaced(fake):
    first = changeset.apply(fake, asking(files=[dropin()]))
    before = fake.everything()

    again = changeset.apply(fake, asking(files=[dropin()]))

    assert not again.changed
    assert (again.run, again.state, again.previous) == ("run-1", "held", first.previous)
    assert fake.everything() == before


def test_the_same_run_again_after_confirm_changes_nothing(fake):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")

    again = changeset.apply(fake, asking(files=[dropin()]))

    assert (again.changed, again.state) == (False, "confirmed")


def test_the_same_run_again_on_a_host_that_has_moved_is_stale(fake):
    changeset.apply(fake, asking())
    fake.set("net.core.somaxconn", "7")

    with pytest.raises(Stale, match="no longer 1024: it is 7"):
        changeset.apply(fake, asking())


def test_the_id_of_a_run_is_used_for_one_change_alone(fake):
    changeset.apply(fake, asking())
    with pytest.raises(Refused, match="is another change"):
        changeset.apply(fake, asking({"net.core.somaxconn": "5"}))

    changeset.rollback(fake, "run-1")
    with pytest.raises(Refused, match="was rolled back"):
        changeset.apply(fake, asking())


def test_no_run_begins_while_another_is_held(fake):
    changeset.apply(fake, asking())

    with pytest.raises(Unfinished, match="run run-1 on this host is held") as caught:
        changeset.apply(fake, asking({"net.ipv4.tcp_congestion_control": "bbr"}, run="run-2"))

    assert caught.value.facts == {"run": "run-1", "host_state": "held"}
    assert fake.get("net.ipv4.tcp_congestion_control") == "cubic"


def test_without_an_id_one_is_made_up_and_the_same_change_finds_its_run_again(fake):
    first = changeset.apply(fake, asking(run=None))
    again = changeset.apply(fake, asking(run=None))

    assert first.changed
    assert (again.changed, again.run) == (False, first.run)


def test_without_an_id_another_change_does_not_find_the_run_that_is_held(fake):
    changeset.apply(fake, asking(run=None))

    with pytest.raises(Unfinished):
        changeset.apply(fake, asking({"net.core.somaxconn": "5"}, run=None))


def test_what_moves_before_the_lock_is_taken_is_seen(fake, monkeypatch):
    make_folder = changeset.storage.make_folder

    def late(path):
        fake.set("net.core.somaxconn", "7")
        make_folder(path)

    monkeypatch.setattr("module_utils.lock.storage.make_folder", late)
    with pytest.raises(Stale, match="no longer 4096: it is 7"):
        changeset.apply(fake, asking(before={"net.core.somaxconn": "4096"}))

    assert fake.kernel.writes == []
    assert list(Path(fake.runs.lock.path).parent.iterdir()) == [Path(fake.runs.lock.path)]


def test_without_an_id_nothing_to_do_makes_no_run(fake):
    before = fake.everything()
    done = changeset.apply(fake, asking({"net.core.somaxconn": "4096"}, run=None))

    assert (done.changed, done.run, done.state) == (False, None, "unchanged")
    assert fake.everything() == before


def test_with_an_id_nothing_to_do_still_makes_a_run_that_can_be_confirmed(fake):
    done = changeset.apply(fake, asking({"net.core.somaxconn": "4096"}))

    assert (done.changed, done.state) == (False, "held")
    assert changeset.confirm(fake, "run-1").state == "confirmed"


# Confirm


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
    write = changeset.storage.write

    def no_room_for_the_second(path, wanted):
        if path.endswith("98-tcptune-more.conf"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write(path, wanted)

    monkeypatch.setattr("module_utils.changeset.storage.write", no_room_for_the_second)
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


# Roll back


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

    monkeypatch.setattr("module_utils.changeset.storage.remove", read_only)
    with pytest.raises(Failed, match="Read-only"):
        changeset.rollback(fake, "run-1")

    assert fake.values() == {key: " ".join(value.split()) for key, value in SETTINGS.items()}
    assert state(fake) == "failed_restored"


# Whatever happens in between


def story(fake):
    """There and back, with all that a run can hold."""
    changeset.apply(fake, asking(files=[dropin(), dropin("more\n", path=SECOND)]))
    changeset.confirm(fake, "run-1")
    changeset.rollback(fake, "run-1")


def steps():
    with TemporaryDirectory() as folder:
        fake = FakeHost(Path(folder))
        story(fake)
        return fake.steps


STEPS = steps()


@pytest.mark.parametrize("boots", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("at", range(1, len(STEPS) + 1), ids=[f"{n}-{name}" for n, name in enumerate(STEPS, 1)])
def test_a_crash_at_any_step_leaves_a_host_that_roll_back_restores(fake, at, boots):
    fake.file().write_bytes(b"old")
    before = fake.tree()
    fake.crash_at = at
    with pytest.raises(Crash):
        story(fake)
    if boots:
        fake.boot("second-boot", SETTINGS)

    done = changeset.rollback(fake, "run-1")

    assert fake.tree() == before
    assert done.state == state(fake) == ("lost" if boots and "confirming" not in STEPS[:at] else "rolled_back")
    assert done.changed_since == ()
    assert changeset.apply(fake, asking(run="run-2")).state == "held"


def test_a_crash_in_the_middle_of_a_vector_leaves_what_roll_back_knows_as_ours(fake):
    before = fake.tree()
    fake.crash_at = 2
    with pytest.raises(Crash):
        changeset.apply(fake, asking({"net.ipv4.tcp_rmem": "1 2 3"}))
    fake.set("net.ipv4.tcp_rmem", "1 2 6291456")

    assert changeset.rollback(fake, "run-1").changed_since == ()
    assert fake.tree() == before


FORWARD, ETH0 = "net.ipv4.ip_forward", "net.ipv4.conf.eth0.forwarding"
VALUES = {
    FORWARD: st.sampled_from(["0", "1"]),
    "net.core.somaxconn": st.integers(0, 9).map(str),
    "net.ipv4.tcp_rmem": st.tuples(*[st.integers(1, 3)] * 3).map(lambda three: " ".join(map(str, three))),
    "net.ipv4.tcp_congestion_control": st.sampled_from(["cubic", "reno", "bbr"]),
    "net.ipv4.ip_local_reserved_ports": st.sampled_from(["", "80", "80-82", "80,81,82"]),
}


@settings(deadline=None, max_examples=60)
@given(
    wanted=st.fixed_dictionaries({}, optional=VALUES),
    refused=st.sampled_from([None, *VALUES]),
    eth0=st.sampled_from(["0", "1", "2"]),
    old=st.sampled_from([None, b"", b"old\n"]),
    confirmed=st.booleans(),
)
def test_there_and_back_is_nothing_at_all(wanted, refused, eth0, old, confirmed):
    with TemporaryDirectory() as folder:
        fake = FakeHost(Path(folder))
        fake.set(FORWARD, "0")
        fake.set(ETH0, eth0)
        fake.kernel.moves[FORWARD] = ETH0
        if old is not None:
            fake.file().write_bytes(old)
        before = fake.tree()
        if refused in wanted:
            fake.kernel.refused[refused, wanted[refused]] = (errno.EINVAL, "1 1 1" if "rmem" in refused else None)
        try:
            changeset.apply(fake, asking(wanted, files=[dropin()]))
            if confirmed:
                changeset.confirm(fake, "run-1")
                assert fake.file().read_text() == dropin()["content"]
        except Failed:
            assert fake.tree() == before
        changeset.rollback(fake, "run-1")

        assert fake.tree() == before
