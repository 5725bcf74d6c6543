"""What the kernel changes along with a setting comes back with it, whether the module or the script restores it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
from pathlib import Path

import pytest
from fake_host import Crash, FakeHost, asking, dropin
from module_utils import changeset
from module_utils.errors import ChangeError, Failed, Refused
from shells import SHELLS, run_script, run_shimmed

FORWARD = "net.ipv4.ip_forward"
ETH0, ETH1 = "net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.eth1/100.forwarding"


SOMAXCONN = "net.core.somaxconn"


def state(fake, run="run-1"):
    return fake.runs.load(run).state


def routing(fake):
    """Make the host one where ip_forward takes eth0 along, and eth0 forwards already."""
    for key, value in {FORWARD: "0", ETH0: "1", ETH1: "0", "net.ipv4.conf.all.accept_redirects": "1"}.items():
        fake.set(key, value)
    fake.kernel.moves[FORWARD] = ETH0
    return fake


@pytest.fixture
def router(fake):
    return routing(fake)


@contextlib.contextmanager
def crashing(fake, moment):
    """While this lasts, the power goes at the step `moment`."""

    def reached(step):
        fake.steps.append(step)
        if step == moment:
            raise Crash(step)

    genuine, fake.reached = fake.reached, reached
    try:
        yield
    finally:
        fake.reached = genuine


def by_the_module(fake):
    changeset.rollback(fake, "run-1")


def by_the_script(fake, shell="dash"):
    done = run_script(fake, shell)
    assert done.returncode == 0, done.stderr


BACK = pytest.mark.parametrize("back", [by_the_module, by_the_script])


def test_what_a_setting_takes_along_is_recorded_before_the_first_write(router):
    router.crash_at = 1
    with pytest.raises(Crash):
        changeset.apply(router, asking({FORWARD: "1"}))

    assert [tuple(effect) for effect in router.runs.load("run-1").side_effects] == [
        (ETH0, FORWARD, "1", None),
        (ETH1, FORWARD, "0", None),
        ("net.ipv4.conf.all.accept_redirects", FORWARD, "1", None),
    ]
    assert router.kernel.writes == []


@pytest.mark.parametrize("eth0", ["0", "1"])
def test_what_a_setting_took_along_comes_back_with_it(router, eth0):
    router.set(ETH0, eth0)
    changeset.apply(router, asking({FORWARD: "1"}))
    assert router.get(ETH0) == "1"

    done = changeset.rollback(router, "run-1")

    assert (router.get(FORWARD), router.get(ETH0)) == ("0", eth0)
    assert (done.previous, done.changed_since, state(router)) == ({FORWARD: "1"}, (), "rolled_back")


@BACK
def test_what_somebody_else_made_of_it_since_is_kept_through_the_way_back(router, back):
    router.set(ETH0, "0")
    changeset.apply(router, asking({FORWARD: "1"}))
    router.set(ETH0, "2")

    back(router)

    assert (router.get(FORWARD), router.get(ETH0)) == ("0", "2")


def test_a_setting_of_the_run_that_somebody_else_changed_is_left_though_another_would_take_it_along(router):
    changeset.apply(router, asking({FORWARD: "1", ETH0: "3"}))
    router.set(ETH0, "2")

    done = changeset.rollback(router, "run-1")

    assert ([left.name for left in done.changed_since], router.get(ETH0), router.get(FORWARD)) == ([ETH0], "2", "0")


def test_a_failed_apply_takes_back_what_was_taken_along(router):
    router.kernel.refused["net.core.somaxconn", "1"] = (errno.EINVAL, None)
    router.set(ETH0, "5")

    with pytest.raises(ChangeError):
        changeset.apply(router, asking({FORWARD: "1", "net.core.somaxconn": "1"}))

    assert (router.get(FORWARD), router.get(ETH0), state(router)) == ("0", "5", "rolled_back")


def gone(router, key=ETH1):
    Path(router.kernel.path(key)).unlink(missing_ok=True)


@BACK
@pytest.mark.parametrize("moment", [FORWARD, "held"])
def test_an_interface_that_is_gone_is_no_obstacle(router, moment, back):
    router.reached = lambda step: gone(router) if step == moment else None
    changeset.apply(router, asking({FORWARD: "1"}))
    back(router)

    assert (state(router), router.get(ETH0), router.get(ETH1)) == ("rolled_back", "1", "absent")


def test_an_interface_that_goes_while_all_is_taken_back_is_nobodys_change(router):
    router.kernel.refused[SOMAXCONN, "1"] = (errno.EINVAL, None)
    router.reached = lambda step: gone(router) if step == SOMAXCONN else None

    with pytest.raises(Failed) as caught:
        changeset.apply(router, asking({FORWARD: "1", SOMAXCONN: "1"}))

    assert not {"not_restored", "changed_since"} & set(caught.value.facts)
    assert (state(router), router.get(ETH0)) == ("rolled_back", "1")


def test_a_setting_that_is_right_already_takes_nothing_along(router):
    changeset.apply(router, asking({FORWARD: "0"}))

    assert router.runs.load("run-1").side_effects == ()


def test_an_interface_whose_name_no_key_can_have_is_passed_over(router):
    path = Path(router.kernel.path(ETH0)).parents[1] / "eth#2/forwarding"
    path.parent.mkdir()
    path.write_text("1\n")

    changeset.apply(router, asking({FORWARD: "1"}))

    assert "eth#2" not in str(router.runs.load("run-1"))


def test_a_record_of_an_earlier_release_has_no_side_effects_and_no_number(router):
    changeset.apply(router, asking({FORWARD: "1"}))
    path = Path(router.runs.folder) / "run-1/manifest.json"
    record = json.loads(path.read_text())
    del record["side_effects"], record["sequence"]
    path.write_text(json.dumps(record))

    changeset.rollback(router, "run-1")

    assert (router.get(FORWARD), state(router)) == ("0", "rolled_back")


# A way back that is not finished


@BACK
def test_a_side_effect_that_the_kernel_does_not_take_back_fails_and_can_be_repeated(router, back):
    changeset.apply(router, asking({FORWARD: "1"}))
    router.kernel.refused[ETH0, "1"] = (errno.EPERM, None)

    if back is by_the_module:
        with pytest.raises(Failed, match=r"did not take net\.ipv4\.conf\.eth0\.forwarding = 1") as caught:
            back(router)
        assert caught.value.facts["not_restored"] == [ETH0]
    else:
        done = run_script(router, "dash")
        assert (done.returncode, f"{ETH0} is still 0" in done.stderr) == (1, True)
    assert (state(router), router.get(FORWARD), router.get(ETH0)) == ("failed_restored", "0", "0")

    # It is 0 since the way back began, and nobody else has made it so.
    router.kernel.refused.clear()
    again = by_the_script if back is by_the_module else by_the_module
    again(router)
    assert (state(router), router.get(ETH0)) == ("rolled_back", "1")


@BACK
@pytest.mark.parametrize("theirs", [None, "2"])
@pytest.mark.parametrize("own", [None, "3"])
def test_a_way_back_that_died_goes_on_from_what_it_had_found(router, back, own, theirs):
    changeset.apply(router, asking({FORWARD: "1", **({ETH0: own} if own else {})}))
    if theirs:
        router.set(ETH0, theirs)

    with pytest.raises(Crash), crashing(router, FORWARD):
        changeset.rollback(router, "run-1")
    assert router.get(ETH0) == "0"
    back(router)

    assert (router.get(FORWARD), router.get(ETH0)) == ("0", theirs or "1")
    assert router.runs.load("run-1").left == ((ETH0,) if own and theirs else ())


@BACK
def test_what_it_had_found_before_a_boot_means_nothing_after_it(router, back):
    changeset.apply(router, asking({FORWARD: "1"}, files=[dropin()]))
    changeset.confirm(router, "run-1")

    with pytest.raises(Crash), crashing(router, FORWARD):
        changeset.rollback(router, "run-1")
    router.boot("second-boot", {FORWARD: "0", ETH0: "2"})
    back(router)

    assert (state(router), router.get(ETH0)) == ("rolled_back", "2")


@pytest.mark.parametrize("kept", [b"", b"\xff", b"first-boot\nnothing\n"])
def test_a_damaged_note_of_what_was_found_is_no_obstacle(router, kept):
    changeset.apply(router, asking({FORWARD: "1"}))
    with pytest.raises(Crash), crashing(router, "rolling_back"):
        changeset.rollback(router, "run-1")
    Path(router.runs.file("run-1", "found")).write_bytes(kept)

    by_the_module(router)

    assert (state(router), router.get(ETH0)) == ("rolled_back", "1")


# The module and the script agree

OWN = [None, "3"]
"""What the run makes of eth0 itself."""
THEIRS = [{}, {ETH0: "2"}, {ETH0: "0"}, {FORWARD: "2"}, {FORWARD: "2", ETH0: "2"}]
MOMENTS = ["running", FORWARD, ETH0, "stored", "held", "confirmed"]


def ended(tmp_path_factory, wanted, moment, theirs, eth0, back):
    """Return how a host ends: everything on it, its record, and what was left alone."""
    fake = routing(FakeHost(tmp_path_factory.mktemp("host")))
    fake.set(ETH0, eth0)
    with contextlib.suppress(Crash), crashing(fake, moment):
        changeset.apply(fake, asking(wanted, files=[dropin()]))
        changeset.confirm(fake, "run-1")
    assert fake.steps[-1] == moment
    for key, value in theirs.items():
        fake.set(key, value)
    back(fake)
    record = fake.runs.load("run-1")
    return fake.tree(), record.state, sorted(record.left)


@pytest.mark.parametrize(
    ("own", "moment"), [(own, moment) for own in OWN for moment in MOMENTS if own or moment != ETH0]
)
def test_the_module_and_the_script_come_to_the_same_end(tmp_path_factory, own, moment):
    wanted = {FORWARD: "1", **({ETH0: own} if own else {}), SOMAXCONN: "1024"}
    ends = []
    for theirs, eth0 in itertools.product(THEIRS, ["0", "1", "5"]):
        there = [ended(tmp_path_factory, wanted, moment, theirs, eth0, back) for back in (by_the_module, by_the_script)]
        assert there[0] == there[1], (theirs, eth0)
        ends.append(there[0])
        if not theirs:
            before = routing(FakeHost(tmp_path_factory.mktemp("before")))
            before.set(ETH0, eth0)
            assert there[0] == (before.tree(), "rolled_back", [])
    # So that nobody compares one end with itself.
    assert len({str(end) for end in ends}) > 3


@pytest.mark.parametrize("eth0", ["0", "1", "5"])
@pytest.mark.parametrize("own", OWN)
def test_an_apply_that_fails_ends_as_one_that_died_and_was_taken_back(tmp_path_factory, own, eth0):
    wanted = {FORWARD: "1", **({ETH0: own} if own else {}), SOMAXCONN: "1"}

    def failing(back, moment):
        fake = routing(FakeHost(tmp_path_factory.mktemp("host")))
        fake.kernel.refused[SOMAXCONN, "1"] = (errno.EINVAL, None)
        fake.set(ETH0, eth0)
        before = fake.tree()
        with pytest.raises((Crash, Failed)), crashing(fake, moment):
            changeset.apply(fake, asking(wanted))
        fake.kernel.refused.clear()
        if back:
            back(fake)
        assert fake.tree() == before
        record = fake.runs.load("run-1")
        return record.state, record.left

    assert failing(None, None) == ("rolled_back", ())
    assert failing(by_the_module, SOMAXCONN) == failing(by_the_script, SOMAXCONN) == ("rolled_back", ())


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("eth0", ["0", "1"])
def test_every_shell_restores_what_was_taken_along(router, shell, eth0):
    router.set(ETH0, eth0)
    before = router.tree()
    changeset.apply(router, asking({FORWARD: "1"}))
    assert router.tree() != before

    by_the_script(router, shell)

    assert (router.tree(), state(router)) == (before, "rolled_back")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_keeps_what_somebody_else_made_of_it(router, shell):
    changeset.apply(router, asking({FORWARD: "1"}))
    router.set(ETH0, "2")

    by_the_script(router, shell)

    assert (router.get(FORWARD), router.get(ETH0), state(router)) == ("0", "2", "rolled_back")


@pytest.mark.parametrize("theirs", [None, "2"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_script_that_was_killed_at_any_command_is_finished_by_the_module_and_by_itself(
    tmp_path_factory, when, theirs
):
    def story():
        folder = tmp_path_factory.mktemp("killed")
        (folder / "host").mkdir()
        fake = routing(FakeHost(folder / "host"))
        changeset.apply(fake, asking({FORWARD: "1"}))
        if theirs:
            fake.set(ETH0, theirs)
        return fake, folder

    number = len(run_shimmed(*story()))
    assert number > 25
    # Each command of one way back or of the other.
    for at in range(1 if theirs else 2, number + 1, 2):
        fake, folder = story()
        run_shimmed(fake, folder, at=at, when=when)
        (by_the_script if at % 4 < 2 else by_the_module)(fake)

        assert (fake.get(FORWARD), fake.get(ETH0), state(fake)) == ("0", theirs or "1", "rolled_back"), at


# Runs upon runs


def test_a_run_is_not_taken_back_under_a_newer_one_that_took_its_setting_along(router):
    changeset.apply(router, asking({ETH0: "0"}))
    changeset.confirm(router, "run-1")
    changeset.apply(router, asking({FORWARD: "1"}, run="run-2"))
    changeset.confirm(router, "run-2")

    with pytest.raises(Refused, match=r"run-2 came after run run-1 and changed net\.ipv4\.conf\.eth0\.forwarding too"):
        changeset.rollback(router, "run-1")

    changeset.rollback(router, "run-2")
    changeset.rollback(router, "run-1")
    assert (router.get(FORWARD), router.get(ETH0)) == ("0", "1")


def test_a_newer_run_stands_in_the_way_only_where_something_was_taken_along(router):
    changeset.apply(router, asking({ETH1: "1"}))
    changeset.confirm(router, "run-1")
    changeset.apply(router, asking({FORWARD: "1"}, run="run-2"))

    assert changeset.rollback(router, "run-1").changed_since == ()
    assert router.get(ETH1) == "0"
