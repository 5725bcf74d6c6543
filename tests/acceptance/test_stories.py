"""From a fault to its cure, as an operator goes: measure, diagnose, plan, apply, confirm, do the rest, measure again.

What needs a kernel and a systemd of its own has its stories in tests/vm/test_stories.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.storyteller import Story
from tests.faults import FAULTS, Stage, missing
from tests.lab import Lab
from tests.lab.pytest_plugin import Hosts

pytestmark = pytest.mark.lab

SOMAXCONN = "net.core.somaxconn"
PORTS = "net.ipv4.ip_local_port_range"
REUSE = "net.ipv4.tcp_tw_reuse"
Begun = Callable[..., Story]


@pytest.fixture
def begun(lab: Lab, hosts: Hosts, tcptune: Tcptune) -> Iterator[Begun]:
    """Give a function that makes a fault, or the same scene without it, and begins its story."""
    if reasons := missing():
        pytest.skip("; ".join(reasons))
    with ExitStack() as stack:

        def begin(name: str, *, faulty: bool = True) -> Story:
            fault = next(one for one in FAULTS if one.name == name)
            stage = stack.enter_context(Stage(lab, hosts(fault.hosts)))
            scene = stack.enter_context(fault.make(stage, faulty))
            return Story(name, scene, tcptune, lab.inventory)

        yield begin


def test_an_accept_queue_that_overflows_is_cured_once_its_program_listens_again(begun: Begun) -> None:
    story = begun("accept-queue-overflow")
    server, restart = story.scene.stage.server, story.scene.restart
    assert restart is not None
    before = story.measured("before")

    cause = story.diagnosed()
    assert (cause["cause"], cause["confidence"]) == ("listen.accept_queue_overflow", "high")
    story.planned()
    left = story.kept()
    assert left == ["start nginx again"]
    assert server.value(SOMAXCONN) == "4096"

    # The queue is as long as it was when nginx began to listen.
    assert story.verified(expect=10)["verdict"] == "unchanged"
    restart()
    after = story.measured("after")
    assert story.verified()["rates"]["listen-overflows"]["outcome"] == "fixed"

    assert before.error_rate > 0.2
    assert after.error_rate == 0
    story.back()
    assert server.value(SOMAXCONN) == "16"
