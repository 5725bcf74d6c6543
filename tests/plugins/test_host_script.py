"""rollback.sh decides as the module does, whatever shell runs it, and leaves a record that the module believes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from fake_host import DROPIN, EVERY_KIND, LIMITS, MISSING, SETTINGS, UNIT, Crash, FakeHost, asking, dropin, every_kind
from module_utils import changeset, script
from module_utils.request import make_removal
from shells import SHELLS, FakeSystemd, run_script, run_shimmed

EVERY_SHELL = pytest.mark.parametrize("shell", SHELLS)


def state(fake, run="run-1"):
    return fake.runs.load(run).state


@EVERY_SHELL
@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize("old", [None, b"\xff old bytes\n"])
def test_it_restores_values_bytes_mode_and_owner(fake, shell, confirmed, old):
    if old is not None:
        fake.file().write_bytes(old)
        fake.file().chmod(0o604)
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    if confirmed:
        changeset.confirm(fake, "run-1")

    done = run_script(fake, shell)

    assert (done.returncode, fake.tree()) == (0, before), done.stderr
    assert state(fake) == "rolled_back"
    assert not changeset.rollback(fake, "run-1").changed
    assert changeset.apply(fake, asking(run="run-2")).state == "held"


@EVERY_SHELL
def test_it_brings_back_the_files_that_a_run_has_removed(fake, shell):
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    fake.file(LIMITS).chmod(0o640)
    before = fake.tree()
    named = [*asking().settings, *(path for path in EVERY_KIND if path != DROPIN)]
    changeset.apply(fake, make_removal(named, run="run-2"))
    changeset.confirm(fake, "run-2")
    assert not [path for path in EVERY_KIND if fake.file(path).exists()]

    done = run_script(fake, shell, run="run-2")

    assert (done.returncode, fake.tree()) == (0, before), done.stderr
    assert state(fake, "run-2") == "rolled_back"
    assert not changeset.rollback(fake, "run-2").changed


@EVERY_SHELL
def test_it_does_nothing_when_it_is_run_again(fake, shell):
    changeset.apply(fake, asking())
    run_script(fake, shell)
    fake.set("net.core.somaxconn", "1024")
    before = fake.everything()

    done = run_script(fake, shell)

    assert (done.returncode, state(fake)) == (0, "rolled_back")
    assert "there is nothing to put back" in done.stderr
    after = fake.everything()
    lock = fake.runs.lock.path
    assert {path: what for path, what in after.items() if path != lock} == {
        path: what for path, what in before.items() if path != lock
    }


@EVERY_SHELL
def test_it_leaves_alone_what_a_third_party_changed_and_the_module_knows(fake, shell):
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    fake.set("net.core.somaxconn", "7")
    fake.file().write_text("somebody else")

    done = run_script(fake, shell)

    assert done.returncode == 0
    assert "net.core.somaxconn is 7 now: somebody else has changed it" in done.stderr
    assert (fake.get("net.core.somaxconn"), fake.file().read_text()) == ("7", "somebody else")
    assert fake.get("net.ipv4.tcp_rmem") == "4096 131072 6291456"
    assert fake.runs.load("run-1").left == (DROPIN, "net.core.somaxconn")
    assert changeset.rollback(fake, "run-1", ["net.core.somaxconn", DROPIN]).changed_since == ()
    assert (fake.get("net.core.somaxconn"), fake.file().exists()) == ("4096", False)


@EVERY_SHELL
def test_a_vector_that_a_crash_left_in_part_is_ours(fake, shell):
    before = fake.tree()
    fake.crash_at = 3
    with pytest.raises(Crash):
        changeset.apply(fake, asking({"net.ipv4.tcp_rmem": "1 2 3"}))
    fake.set("net.ipv4.tcp_rmem", "1 2 6291456")

    assert run_script(fake, shell).returncode == 0
    assert fake.tree() == before


@EVERY_SHELL
def test_a_list_of_ports_is_ours_before_it_was_read_back(fake, shell):
    fake.crash_at = 3
    with pytest.raises(Crash):
        changeset.apply(fake, asking({"net.ipv4.ip_local_reserved_ports": "9000,8081,8080,8082"}))
    fake.set("net.ipv4.ip_local_reserved_ports", "8080-8082,9000")

    assert run_script(fake, shell).returncode == 0
    assert fake.get("net.ipv4.ip_local_reserved_ports") == ""


@EVERY_SHELL
@pytest.mark.parametrize(
    ("key", "before", "after", "shown"),
    [
        ("net.ipv4.tcp_allowed_congestion_control", "reno cubic", "reno cubic bbr", "cubic bbr reno"),
        ("net.core.rps_default_mask", "0", "ff", "00000000,000000ff"),
    ],
)
def test_what_the_kernel_shows_in_other_words_is_ours(fake, shell, key, before, after, shown):
    fake.set(key, before)
    fake.crash_at = 3
    with pytest.raises(Crash):
        changeset.apply(fake, asking({key: after}))
    fake.set(key, shown)

    assert run_script(fake, shell).returncode == 0
    assert fake.get(key) == before


@EVERY_SHELL
def test_damaged_previous_bytes_are_never_written_and_the_values_still_go_back(fake, shell):
    fake.file().write_bytes(b"old")
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    (Path(fake.runs.folder) / "run-1/0.before").write_bytes(b"odd")

    done = run_script(fake, shell)

    assert (done.returncode, state(fake)) == (1, "failed_restored")
    assert "0.before is damaged" in done.stderr
    assert fake.file().read_bytes() == dropin()["content"].encode()
    assert fake.values() == {key: " ".join(value.split()) for key, value in SETTINGS.items()}


@EVERY_SHELL
def test_after_a_boot_a_held_run_is_lost_and_nothing_is_written(fake, shell):
    changeset.apply(fake, asking())
    # Whoever set it to our value since, it was not us.
    fake.boot("second-boot", {**SETTINGS, "net.core.somaxconn": "1024"})

    assert run_script(fake, shell).returncode == 0
    assert (state(fake), fake.get("net.core.somaxconn")) == ("lost", "1024")


def test_what_it_reads_is_never_run(fake, tmp_path_factory):
    never = tmp_path_factory.mktemp("never") / "made"
    fake.set("net.core.default_qdisc", f"$(touch {never}) `touch {never}`; * -n \\ %s")
    before = fake.tree()
    changeset.apply(fake, asking({"net.core.default_qdisc": "fq; touch x && $(y) > *"}))

    done = run_script(fake, "dash")

    assert (done.returncode, fake.tree()) == (0, before), done.stderr
    assert not never.exists()


def test_it_needs_no_more_than_a_few_usual_commands():
    words = set(re.findall(r"(?:^|[|(;&]|\bif|\bthen|!|\{)\s*([a-z0-9]+)(?= )", script.SCRIPT, re.MULTILINE))
    for foreign in ("python", "perl", "awk", "sed", "grep", "curl", "flock", "cmp", "tr", "expr"):
        assert foreign not in words
    assert "eval" not in script.SCRIPT
    # Of systemd it wants one thing, and only where that is PID 1.
    assert set(re.findall(r"^ *(systemctl \S+)", script.SCRIPT, re.MULTILINE)) == {"systemctl daemon-reload"}


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_script_is_sound_shell(shell):
    assert subprocess.run([shell, "-n"], input=script.SCRIPT, text=True, check=False).returncode == 0


# What systemd has to know


@EVERY_SHELL
@pytest.mark.parametrize("fails", [False, True])
def test_it_lets_systemd_read_its_units_anew_and_a_refusal_is_told_and_undoes_nothing(fake, shell, fails):
    before = fake.tree()
    systemd = FakeSystemd(fake)
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    if fails:
        systemd.fail()

    done = run_script(fake, shell)

    assert (done.returncode, fake.tree(), state(fake)) == (0, before, "rolled_back"), done.stderr
    assert systemd.known == (None if fails else "")
    assert ("systemctl daemon-reload failed" in done.stderr) == fails


@pytest.mark.parametrize("why", ["no unit", "not confirmed", "not PID 1", "the systemd of others"])
def test_it_does_not_ask_systemd_where_that_is_not_ours_or_has_nothing_to_learn(fake, why):
    systemd = FakeSystemd(fake)
    changeset.apply(fake, asking(files=[dropin()] if why == "no unit" else every_kind()))
    if why != "not confirmed":
        changeset.confirm(fake, "run-1")
    if why == "not PID 1":
        Path(fake.systemd).rmdir()
    if why == "the systemd of others":
        systemd.move_out()

    assert run_script(fake, "dash").returncode == 0
    assert systemd.known is None


@EVERY_SHELL
def test_a_folder_in_which_somebody_keeps_a_file_stays(fake, shell):
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    others = fake.file(MISSING[1] + "/.hidden")
    others.write_text("theirs")

    done = run_script(fake, shell)

    assert (done.returncode, state(fake)) == (0, "rolled_back")
    assert f"{MISSING[1]} was made by this run and stays: it is not empty" in done.stderr
    assert [path.exists() for path in (others, fake.file(UNIT), fake.file(MISSING[0]))] == [True, False, False]


@EVERY_SHELL
def test_it_sweeps_what_a_write_left_that_was_killed_and_nothing_else(fake, shell):
    before = fake.tree()
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    leftovers = [fake.file(path).with_name(".99-tcptune.conf.x1_y.tmp") for path in EVERY_KIND]
    for one in leftovers:
        one.write_text("half")
    others = fake.file("/etc/sysctl.d/.98-theirs.conf.x1_y.tmp")
    others.write_text("theirs")

    assert run_script(fake, shell).returncode == 0
    assert others.exists()
    others.unlink()
    assert fake.tree() == before


# Killed at any of its commands


def story(fake, monkeypatch):
    fake.file().write_bytes(b"old")
    before = fake.tree()
    systemd = FakeSystemd(fake)
    monkeypatch.setattr("module_utils.systemd.reload", systemd.tell)
    changeset.apply(fake, asking(files=every_kind()))
    changeset.confirm(fake, "run-1")
    assert systemd.known == EVERY_KIND[UNIT]
    return before, systemd


def commands(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("count")
    (folder / "host").mkdir()
    fake = FakeHost(folder / "host")
    story(fake, monkeypatch)
    return run_shimmed(fake, folder)


@pytest.mark.parametrize("next_call", ["roll back", "apply", "the script"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_of_its_commands_the_next_call_finishes(tmp_path_factory, monkeypatch, when, next_call):
    ran = commands(tmp_path_factory, monkeypatch)
    assert len(ran) > 40
    assert ran.count("systemctl") == 1
    assert ran.count("rmdir") == 2
    # Every command with one next call each; all of them with the plain roll back.
    picked = range(1, len(ran) + 1) if next_call == "roll back" else range(1, len(ran) + 1, 7)
    for at in picked:
        folder = tmp_path_factory.mktemp("killed")
        (folder / "host").mkdir()
        fake = FakeHost(folder / "host")
        before, systemd = story(fake, monkeypatch)
        run_shimmed(fake, folder, at=at, when=when)

        if next_call == "the script":
            assert run_script(fake, "dash").returncode == 0
        elif next_call == "roll back":
            changeset.rollback(fake, "run-1")
        elif state(fake) == "rolling_back":
            changeset.apply(fake, asking({"net.ipv4.tcp_congestion_control": "bbr"}, run="run-2"))
            changeset.rollback(fake, "run-2")
        else:
            continue
        assert fake.tree() == before, (at, ran[at - 1])
        assert systemd.known == "", (at, ran[at - 1])
        assert state(fake) == "rolled_back"
