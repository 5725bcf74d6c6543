"""The record of a run, its states, and the lock."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_host import asking, dropin
from module_utils import changeset, runs
from module_utils.errors import Failed, Locked, Refused, UnknownRun

STATES = sorted(runs.MOVES)


def record(fake, **more):
    keys = (runs.KeyChange("net.core.somaxconn", None, "4096", "1024"),)
    return fake.runs.create(runs.Manifest("run-1", "", "digest", "boot", keys, (), **more), {}, {})


def test_the_table_names_every_state_and_leads_nowhere_else():
    assert {state for moves in runs.MOVES.values() for state in moves} <= set(runs.MOVES)
    assert set(runs.MOVES) >= runs.FINISHED


def test_every_state_has_a_way_back_but_the_one_that_needs_none():
    for state in set(STATES) - {runs.ROLLING_BACK, runs.LOST}:
        assert runs.ROLLING_BACK in runs.MOVES[state]


@pytest.mark.parametrize(("here", "there"), [*itertools.product(STATES, STATES)])
def test_only_the_moves_of_the_table_are_made(fake, here, there):
    manifest = record(fake)._replace(state=here)
    if there in runs.MOVES[here]:
        fake.runs.move(manifest, there)
        assert fake.runs.load("run-1").state == there
    else:
        with pytest.raises(ValueError, match=f"no move from {here} to {there}"):
            fake.runs.move(manifest, there)
        assert fake.runs.load("run-1").state == runs.PREPARED


def test_a_record_is_the_same_when_it_is_read_back(fake):
    fake.file().write_bytes(b"\xff old")
    changeset.apply(fake, asking(files=[dropin(), dropin(path="/etc/sysctl.d/98-tcptune.conf")]))
    found = fake.runs.load("run-1")

    told = runs.decode(json.loads(json.dumps(runs.encode(found))))
    # These change after the manifest was written, and are kept beside it.
    assert told._replace(state=found.state, history=found.history) == found
    assert [entered for entered, _ in found.history] == ["prepared", "running", "held"]
    assert [file.before is None for file in found.files] == [False, True]
    assert found.previous == {"net.core.somaxconn": "4096", "net.ipv4.tcp_rmem": "4096 131072 6291456"}


def test_the_record_keeps_the_previous_bytes_and_is_closed_to_others(fake):
    fake.file().write_bytes(b"\xff old")
    changeset.apply(fake, asking(files=[dropin()]))
    folder = Path(fake.runs.folder) / "run-1"

    assert (folder / "0.before").read_bytes() == b"\xff old"
    assert oct(folder.stat().st_mode)[-3:] == "700"
    modes = {file.name: oct(file.stat().st_mode)[-3:] for file in folder.iterdir()}
    assert modes.pop("rollback.sh") == "700"
    assert set(modes.values()) == {"600"}


def test_the_manifest_of_another_format_is_refused(fake):
    record(fake)
    path = Path(fake.runs.folder) / "run-1/manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))

    with pytest.raises(Refused, match="format 2"):
        fake.runs.load("run-1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": 1}'])
def test_a_damaged_manifest_stops_the_next_run_instead_of_being_overlooked(fake, text):
    record(fake)
    (Path(fake.runs.folder) / "run-1/manifest.json").write_text(text)

    with pytest.raises(Failed, match="cannot use"):
        changeset.apply(fake, asking(run="run-2"))


def test_a_host_without_the_run_says_so(fake):
    with pytest.raises(UnknownRun, match="no run nosuch"):
        changeset.rollback(fake, "nosuch")


def test_damaged_previous_bytes_are_never_written(fake):
    fake.file().write_bytes(b"old")
    changeset.apply(fake, asking(files=[dropin()]))
    changeset.confirm(fake, "run-1")
    (Path(fake.runs.folder) / "run-1/0.before").write_bytes(b"odd")

    with pytest.raises(Failed, match="damaged"):
        changeset.rollback(fake, "run-1")
    assert fake.file().read_bytes() == dropin()["content"].encode()


def test_a_second_process_is_told_who_changes_the_host(fake):
    with fake.runs.lock.hold("run-with-a-longer-name"):
        pass
    with fake.runs.lock.hold("run-7"), pytest.raises(Locked) as caught, fake.runs.lock.hold("run-8"):
        pass

    assert caught.value.message == f"this host is being changed by pid {os.getpid()}, run run-7"


@pytest.mark.parametrize(
    "act",
    [
        lambda fake: changeset.apply(fake, asking()),
        lambda fake: changeset.predict(fake, asking()),
        lambda fake: changeset.confirm(fake, "run-0"),
        lambda fake: changeset.rollback(fake, "run-0", check=True),
    ],
)
def test_no_act_goes_on_while_another_process_changes_the_host(fake, act):
    changeset.apply(fake, asking(run="run-0"))
    before = fake.values()

    with fake.runs.lock.hold("run-with-a-longer-name"):
        pass
    with fake.runs.lock.hold("run-7"), pytest.raises(Locked):
        act(fake)

    assert fake.values() == before


def test_the_lock_of_a_process_that_was_killed_is_free(fake):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from module_utils.lock import HostLock\n"
        "with HostLock(sys.argv[2]).hold('dead'): os._exit(9)"
    )
    plugins = str(Path(runs.__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, "-c", code, plugins, fake.runs.lock.path], check=False)

    assert done.returncode == 9
    (link,) = Path(fake.runs.lock.path).iterdir()
    assert str(link.readlink()).endswith(" dead")
    with fake.runs.lock.hold("run-1"):
        pass


def test_looking_for_a_lock_creates_none(fake):
    fake.runs.lock.peek()

    assert not Path(fake.runs.lock.path).exists()
