"""There and back, whatever happens in between."""

from __future__ import annotations

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fake_host import SETTINGS, Crash, FakeHost, asking, dropin, every_kind
from hypothesis import given, settings
from hypothesis import strategies as st
from module_utils import changeset
from module_utils.errors import Failed


def state(fake, run="run-1"):
    return fake.runs.load(run).state


def story(fake):
    """There and back, with all that a run can hold."""
    changeset.apply(fake, asking(files=every_kind()))
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
