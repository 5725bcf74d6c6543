"""Apply: all or nothing, in the given order, and what is refused leaves no trace."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fake_host import DROPIN, asking, dropin, sha256
from module_utils import changeset, storage
from module_utils.errors import ChangeError, Failed, Refused, Stale, Unfinished

SECOND = "/etc/sysctl.d/98-tcptune-more.conf"


def state(fake, run="run-1"):
    return fake.runs.load(run).state


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
    make_folder = storage.make_folder

    def late(path):
        fake.set("net.core.somaxconn", "7")
        make_folder(path)

    monkeypatch.setattr("module_utils.storage.make_folder", late)
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
