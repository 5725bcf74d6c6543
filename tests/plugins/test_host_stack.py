"""Runs upon runs: which may be taken back, and how many are remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_host import DROPIN, SETTINGS, asking, dropin
from module_utils import changeset, status
from module_utils.errors import Failed, Refused

SECOND = "/etc/sysctl.d/98-tcptune-more.conf"


def confirmed(fake, run, settings, files=()):
    changeset.apply(fake, asking(settings, files=files, run=run))
    changeset.confirm(fake, run)


def folders(fake):
    return sorted(path.name for path in Path(fake.runs.folder).iterdir())


def test_a_run_is_not_taken_back_under_a_newer_one_that_changed_the_same_setting(fake):
    start = fake.tree()
    confirmed(fake, "run-1", {"net.core.somaxconn": "1"})
    between = fake.tree()
    confirmed(fake, "run-2", {"net.core.somaxconn": "2", "net.ipv4.tcp_rmem": "1 2 3"})
    after = fake.everything()

    with pytest.raises(Refused, match=r"run run-2 came after run run-1 and changed net\.core\.somaxconn") as caught:
        changeset.rollback(fake, "run-1")

    assert (caught.value.hint, caught.value.facts["newer"]) == ("roll back run-2 first", "run-2")
    assert fake.everything() == after
    changeset.rollback(fake, "run-2")
    assert fake.tree() == between
    changeset.rollback(fake, "run-1")
    assert fake.tree() == start


def test_a_run_is_not_taken_back_under_a_newer_one_that_wrote_the_same_file(fake):
    confirmed(fake, "run-1", {"net.core.somaxconn": "1"}, [dropin("1\n")])
    confirmed(fake, "run-2", {"net.ipv4.tcp_rmem": "1 2 3"}, [dropin("2\n")])

    with pytest.raises(Refused, match=f"run-2 came after run run-1 and changed {DROPIN} too"):
        changeset.rollback(fake, "run-1")


def test_runs_that_have_nothing_in_common_are_taken_back_in_any_order(fake):
    before = fake.tree()
    confirmed(fake, "run-1", {"net.core.somaxconn": "1"}, [dropin("1\n")])
    confirmed(fake, "run-2", {"net.ipv4.tcp_rmem": "1 2 3"}, [dropin("2\n", path=SECOND)])

    assert changeset.rollback(fake, "run-1").changed_since == ()
    assert (fake.get("net.core.somaxconn"), fake.get("net.ipv4.tcp_rmem")) == ("4096", "1 2 3")
    assert changeset.rollback(fake, "run-2").changed_since == ()
    assert fake.tree() == before


def test_the_order_of_runs_is_not_that_of_their_names(fake):
    confirmed(fake, "run-9", {"net.core.somaxconn": "1"})
    confirmed(fake, "run-1", {"net.core.somaxconn": "2"})

    with pytest.raises(Refused, match="run-1 came after"):
        changeset.rollback(fake, "run-9")
    assert [told["run"] for told in status.runs(fake)] == ["run-9", "run-1"]


def test_a_newer_run_that_is_undone_stands_in_nobodys_way(fake):
    confirmed(fake, "run-1", {"net.core.somaxconn": "1"})
    fake.kernel.refused["net.core.somaxconn", "2"] = (22, None)
    with pytest.raises(Failed):
        changeset.apply(fake, asking({"net.core.somaxconn": "2"}, run="run-2"))

    assert changeset.rollback(fake, "run-1").state == "rolled_back"
    assert fake.get("net.core.somaxconn") == "4096"


def test_the_oldest_finished_runs_are_forgotten_and_the_newest_can_be_taken_back(fake):
    for number in range(6):
        changeset.apply(fake, asking({"net.core.somaxconn": str(number)}, run=f"run-{number}", keep_runs=3))
        changeset.confirm(fake, f"run-{number}")

    assert folders(fake) == ["run-3", "run-4", "run-5"]
    changeset.rollback(fake, "run-5")
    assert fake.get("net.core.somaxconn") == "4"


def test_a_run_that_could_not_be_taken_back_is_never_forgotten(fake):
    changeset.apply(fake, asking({"net.core.somaxconn": "1"}, keep_runs=1))
    fake.kernel.refused["net.core.somaxconn", "4096"] = (1, None)
    with pytest.raises(Failed):
        changeset.rollback(fake, "run-1")

    assert fake.runs.prune(1) == []
    assert folders(fake) == ["run-1"]


def test_what_a_crash_left_of_a_draft_or_of_a_forgotten_run_is_removed(fake):
    (Path(fake.runs.folder) / ".run-0").mkdir(parents=True)
    (Path(fake.runs.folder) / ".run-0" / "manifest.json").write_text("{")
    changeset.apply(fake, asking())

    assert folders(fake) == ["run-1"]


def test_a_host_keeps_at_least_one_run(fake):
    with pytest.raises(Refused, match="keep_runs is 0"):
        changeset.apply(fake, asking(keep_runs=0))


# What a host tells of them


def test_the_record_of_a_run_tells_what_is_there_now(fake):
    changeset.apply(fake, asking({"net.core.somaxconn": "1024"}, files=[dropin()]))
    fake.boot("second-boot", {**SETTINGS, "net.core.somaxconn": "7"})
    before = fake.everything()

    told = status.status(fake, "run-1")

    assert (told["host_state"], told["booted_since"], told["ends"], told["timer"]) == ("held", True, "lost", None)
    assert told["files"] == [DROPIN]
    assert [entry["state"] for entry in told["history"]] == ["prepared", "running", "held"]
    assert told["keys"] == [
        {
            "key": "net.core.somaxconn",
            "before": None,
            "replaced": "4096",
            "after": "1024",
            "stored": "1024",
            "origin": "4096",
            "now": "7",
        }
    ]
    assert fake.everything() == before


def test_a_host_can_be_asked_while_somebody_changes_it(fake):
    changeset.apply(fake, asking())
    with fake.runs.lock.hold("run-7"):
        assert status.busy(fake).endswith("run run-7")
        assert status.status(fake, "run-1")["host_state"] == "held"
    assert status.busy(fake) is None


def test_a_host_without_runs_has_none(fake):
    assert (status.runs(fake), status.busy(fake)) == ([], None)
