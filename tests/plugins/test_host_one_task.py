"""What a plain task leaves to the host: our own drop-in, apply and confirm in one call, and letting go of a setting."""

from __future__ import annotations

import errno

import pytest
from fake_host import DROPIN, EVERY_KIND, LIMITS, MODULES, UNIT, asking, dropin, every_kind
from module_utils import at_once, changeset, own_lines
from module_utils.errors import Failed, Refused, Stale, Unfinished
from module_utils.request import make_removal, make_request

SOMAXCONN, RMEM, RESERVED = "net.core.somaxconn", "net.ipv4.tcp_rmem", "net.ipv4.ip_local_reserved_ports"
WANTED = {SOMAXCONN: "1024", RMEM: "4096 131072 16777216"}


def persisted(fake, settings=WANTED, check=False, **more):
    return at_once.apply_and_confirm(fake, make_request(settings, persist=True, **more), check=check)


def let_go(fake, *keys, check=False, **more):
    return at_once.apply_and_confirm(fake, make_removal(keys, **more), check=check)


def held(fake):
    return own_lines.lines(fake.file().read_text())


def test_one_call_sets_runtime_and_boot_and_the_second_changes_nothing(fake):
    first = persisted(fake)
    before = fake.everything()
    second = persisted(fake)

    assert (first.changed, first.state) == (True, "confirmed")
    assert first.previous == {SOMAXCONN: "4096", RMEM: "4096 131072 6291456"}
    assert held(fake) == WANTED
    assert {key: fake.get(key) for key in WANTED} == WANTED
    assert (second.changed, second.state, second.run) == (False, "unchanged", None)
    assert fake.everything() == before


def test_check_mode_predicts_both_and_changes_nothing(fake):
    before = fake.everything()
    told = persisted(fake, check=True)

    assert fake.everything() == before
    done = persisted(fake)
    assert (told.changed, told.state, told.keys, told.files) == (True, "confirmed", done.keys, done.files)


def test_what_one_call_did_is_rolled_back_byte_for_byte(fake):
    before = fake.tree()
    done = persisted(fake)
    changeset.rollback(fake, done.run)

    assert fake.tree() == before


def test_what_our_file_holds_of_others_stays_and_comes_first(fake):
    fake.file().write_text(own_lines.HEADER + "net.ipv4.tcp_fin_timeout = 30\nnet/core/somaxconn = 77\n")
    persisted(fake)

    assert [*held(fake).items()] == [("net.ipv4.tcp_fin_timeout", "30"), *WANTED.items()]


def test_a_line_with_tabs_or_another_spelling_is_not_written_again(fake):
    text = "net/ipv4/tcp_rmem\t=\t4096\t131072\t16777216\nnet.ipv4.ip_local_reserved_ports=8081,8080,8082\n"
    fake.file().write_text(text)
    fake.set(RMEM, "4096\t131072\t16777216")
    fake.set(RESERVED, "8080-8082")
    wanted = {RMEM: "4096 131072 16777216", RESERVED: "8080,8081,8082"}

    assert not persisted(fake, wanted).changed
    assert fake.file().read_text() == text


def test_lines_that_stand_in_another_order_are_put_in_the_one_asked_for(fake):
    fake.file().write_text("net.ipv4.tcp_rmem = 4096 131072 16777216\nnet.core.somaxconn = 1024\n")
    fake.set(RMEM, WANTED[RMEM])
    fake.set(SOMAXCONN, WANTED[SOMAXCONN])

    assert persisted(fake).changed
    assert [*held(fake)] == [*WANTED]


def test_a_line_of_our_file_that_nobody_understands_is_refused_with_its_number(fake):
    fake.file().write_text("# ours\n-net.core.rmem_max = 1\n")

    with pytest.raises(Refused, match=r"99-tcptune.conf: line 2 is no plain setting: -net.core.rmem_max"):
        persisted(fake)


def test_persist_without_settings_or_beside_the_same_file_is_refused():
    with pytest.raises(Refused, match="persist without settings"):
        make_request({}, persist=True)
    with pytest.raises(Refused, match="is given, and persist writes it"):
        make_request(WANTED, files=[dropin()], persist=True)


def test_persist_alone_is_held_until_confirm_and_the_same_call_is_the_same_run(fake):
    first = changeset.apply(fake, make_request(WANTED, persist=True))
    assert (first.state, fake.file().exists()) == ("held", False)
    second = changeset.apply(fake, make_request(WANTED, persist=True))
    assert (second.changed, second.run) == (False, first.run)
    with pytest.raises(Unfinished):
        changeset.apply(fake, make_request(WANTED))

    changeset.confirm(fake, first.run)
    assert held(fake) == WANTED


def test_a_call_that_died_in_between_is_finished_by_the_next(fake):
    run = changeset.apply(fake, make_request(WANTED, persist=True)).run
    done = persisted(fake)

    assert (done.changed, done.run, done.state) == (True, run, "confirmed")
    assert held(fake) == WANTED


def test_a_confirm_that_fails_takes_the_values_back(fake, monkeypatch):
    before = fake.tree()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("module_utils.files.write", full)
    with pytest.raises(Failed, match="No space left on device; the run was taken back") as caught:
        persisted(fake)

    assert caught.value.facts["host_state"] == "rolled_back"
    assert fake.tree() == before


def test_letting_go_restores_the_value_from_before_the_first_run(fake):
    persisted(fake)
    persisted(fake, {SOMAXCONN: "2048"})
    told = let_go(fake, SOMAXCONN, check=True)
    done = let_go(fake, SOMAXCONN)

    assert done.keys == told.keys
    assert fake.get(SOMAXCONN) == "4096"
    assert held(fake) == {RMEM: WANTED[RMEM]}
    assert done.previous == {SOMAXCONN: "2048"}
    assert not let_go(fake, SOMAXCONN).changed


def test_letting_go_has_a_way_back(fake):
    persisted(fake)
    before = fake.tree()
    changeset.rollback(fake, let_go(fake, *WANTED).run)

    assert fake.tree() == before


def test_the_first_value_is_known_when_its_run_is_forgotten(fake):
    for value in ("1000", "2000", "3000"):
        persisted(fake, {SOMAXCONN: value}, keep_runs=1)
    assert len(fake.runs.all()) == 1
    let_go(fake, SOMAXCONN)

    assert fake.get(SOMAXCONN) == "4096"


def test_a_value_that_somebody_else_set_between_two_runs_is_the_one_that_comes_back(fake):
    persisted(fake, {SOMAXCONN: "1000"})
    fake.set(SOMAXCONN, "555")
    persisted(fake, {SOMAXCONN: "2000"})
    let_go(fake, SOMAXCONN)

    assert fake.get(SOMAXCONN) == "555"


def test_a_value_that_somebody_else_has_changed_since_is_left_and_told_unless_forced(fake):
    persisted(fake)
    fake.set(SOMAXCONN, "555")
    done = let_go(fake, SOMAXCONN)

    assert [tuple(left) for left in done.changed_since] == [(SOMAXCONN, "1024", "555", "4096")]
    assert fake.get(SOMAXCONN) == "555"
    assert held(fake) == {RMEM: WANTED[RMEM]}
    forced = let_go(fake, SOMAXCONN, force_keys=[SOMAXCONN])
    assert (forced.changed, fake.get(SOMAXCONN)) == (True, "4096")


def test_a_line_without_any_record_goes_and_its_value_is_told_to_stay(fake):
    fake.file().write_text("net.core.somaxconn = 4096\n")
    done = let_go(fake, SOMAXCONN)

    assert [tuple(left) for left in done.changed_since] == [(SOMAXCONN, "4096", "4096", "unknown")]
    assert not fake.file().exists()
    assert not let_go(fake, SOMAXCONN).changed


def test_a_setting_that_was_never_ours_is_nothing_to_do(fake):
    before = fake.everything()
    done = let_go(fake, SOMAXCONN, "net.ipv4.no_such_key")

    assert (done.changed, done.changed_since) == (False, ())
    assert fake.everything() == before


def test_a_value_that_was_there_already_stays_when_its_line_goes(fake):
    persisted(fake, {SOMAXCONN: "4096"})
    done = let_go(fake, SOMAXCONN)

    assert (done.changed, done.changed_since, fake.get(SOMAXCONN)) == (True, (), "4096")


def test_coupled_settings_go_back_in_the_opposite_order(fake):
    persisted(fake)
    fake.kernel.writes.clear()
    let_go(fake, *WANTED)

    assert [key for key, _ in fake.kernel.writes] == [RMEM, SOMAXCONN]


def test_all_our_files_of_sysctl_d_are_looked_through_and_no_other(fake):
    other = fake.file("/etc/sysctl.d/99-tcptune-web.conf")
    other.write_text("net.core.somaxconn = 1\nnet.ipv4.tcp_sack = 1\n")
    theirs = fake.file("/etc/sysctl.d/50-theirs.conf")
    theirs.write_text("net.core.somaxconn = 9\n")
    let_go(fake, SOMAXCONN)

    assert own_lines.lines(other.read_text()) == {"net.ipv4.tcp_sack": "1"}
    assert theirs.read_text() == "net.core.somaxconn = 9\n"


def test_a_file_without_any_setting_left_goes_and_comes_back_byte_for_byte(fake):
    persisted(fake)
    fake.file().write_text("# a word of a person\n" + fake.file().read_text())
    fake.file().chmod(0o640)
    before = fake.tree()
    told = let_go(fake, *WANTED, check=True)
    assert fake.tree() == before
    done = let_go(fake, *WANTED)

    assert told.files == done.files == ((DROPIN, before[DROPIN[1:]][0], None),)
    assert not fake.file().exists()
    assert not let_go(fake, *WANTED).changed
    changeset.rollback(fake, done.run)
    assert fake.tree() == before


def everything_ours(fake):
    """Write a file of each kind. Return what letting go of all of it asks for, and the paths that then are to go."""
    changeset.apply(fake, asking(WANTED, files=every_kind()))
    changeset.confirm(fake, "run-1")
    return [path for path in EVERY_KIND if path != DROPIN] + [*WANTED]


def test_files_of_every_kind_go_and_come_back_byte_for_byte(fake):
    named = everything_ours(fake)
    before = fake.tree()
    told = let_go(fake, *named, check=True)
    assert fake.tree() == before
    done = let_go(fake, *named)

    assert {file.path: file.then for file in told.files} == dict.fromkeys(EVERY_KIND)
    assert done.files == told.files
    assert not [path for path in EVERY_KIND if fake.file(path).exists()]
    # Also a folder that the first run has made: the way back needs it, and needs no Python.
    assert fake.file(UNIT).parent.is_dir()
    again = let_go(fake, *named)
    assert (again.changed, again.run) == (False, None)
    changeset.rollback(fake, done.run)
    assert fake.tree() == before


def test_letting_go_of_files_is_held_until_it_is_confirmed(fake):
    named = everything_ours(fake)
    held_run = changeset.apply(fake, make_removal(named))
    assert (held_run.state, held_run.changed) == ("held", True)
    assert all(fake.file(path).exists() for path in EVERY_KIND)
    changeset.confirm(fake, held_run.run)

    assert not [path for path in EVERY_KIND if fake.file(path).exists()]


def test_a_file_that_somebody_has_changed_while_it_was_held_stays(fake):
    named = everything_ours(fake)
    run = changeset.apply(fake, make_removal(named)).run
    fake.file(LIMITS).write_text("* soft nofile 4096\n")
    with pytest.raises(Stale, match="is no longer the file it was"):
        changeset.confirm(fake, run)

    assert all(fake.file(path).exists() for path in EVERY_KIND)


def test_a_file_that_somebody_has_put_in_the_place_of_one_that_went_is_left(fake):
    named = everything_ours(fake)
    run = let_go(fake, *named).run
    fake.file(LIMITS).write_text("* soft nofile 4096\n")
    back = changeset.rollback(fake, run)

    assert [left[:2] for left in back.changed_since] == [(LIMITS, "absent")]
    assert fake.file(LIMITS).read_text() == "* soft nofile 4096\n"
    assert fake.file(MODULES).read_text() == EVERY_KIND[MODULES]


def test_what_is_not_ours_to_remove_is_refused_and_a_file_of_settings_by_its_settings():
    with pytest.raises(Refused, match="/etc/passwd is not ours"):
        make_removal(["/etc/passwd"])
    with pytest.raises(Refused, match=r"99-tcptune\.conf holds settings") as caught:
        make_removal([DROPIN, SOMAXCONN])
    assert "name its settings" in caught.value.hint


def test_what_to_let_go_of_has_to_be_named():
    with pytest.raises(Refused, match="no keys are named"):
        make_removal([])
    with pytest.raises(Refused, match="is forced and not among the keys"):
        make_removal([SOMAXCONN], force_keys=[RMEM])


def put(fake, path, text):
    file = fake.file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_later_file_that_says_something_else_is_told_with_its_line(fake):
    put(fake, "/usr/lib/sysctl.d/99-zz.conf", "# theirs\nnet/core/somaxconn = 7\n")
    put(fake, "/etc/sysctl.d/50-early.conf", "net.core.somaxconn = 8\n")

    assert [tuple(one) for one in own_lines.shadows(fake, WANTED)] == [
        (SOMAXCONN, "1024", "7", "/usr/lib/sysctl.d/99-zz.conf", 2, "procps")
    ]


def test_a_masked_file_a_pattern_and_the_same_value_overrule_nothing(fake):
    put(fake, "/usr/lib/sysctl.d/99-zz.conf", "net.core.somaxconn = 7\n")
    put(fake, "/etc/sysctl.d/99-zz.conf", "")
    put(fake, "/etc/sysctl.d/99-zzz.conf", "net.core.* = 7\nnet.ipv4.tcp_rmem = 4096\t131072\t16777216\n")

    assert own_lines.shadows(fake, WANTED) == []


def test_sysctl_conf_overrules_for_procps_alone(fake):
    put(fake, "/etc/sysctl.conf", "net.core.somaxconn = 7\n")
    assert [one.path for one in own_lines.shadows(fake, WANTED)] == ["/etc/sysctl.conf"]
    put(fake, "/run/systemd/system/x", "")

    assert own_lines.shadows(fake, WANTED) == []


def test_a_plan_of_files_has_the_digest_that_it_always_had():
    # A run that an older version has made is known by it.
    assert asking(files=[dropin()]).sha256 == "96e3e47826e326b4075bfcb6d13ae43d37075b0971dae4e090509cea8ae58e1f"


def test_the_drop_in_is_where_the_command_line_writes_it():
    assert own_lines.DROPIN == DROPIN
