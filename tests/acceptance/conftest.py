"""Fixtures: the command, and machines to use it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.lab import Lab
from tests.lab.pytest_plugin import Hosts

Machines = Callable[[int], list[Machine]]
On = Callable[..., tuple[str, ...]]


@pytest.fixture
def tcptune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tcptune]:
    # Not tmp_path: a test's name in it would make the paths of ssh's sockets too long.
    command = Tcptune(tmp_path_factory.mktemp("tcptune"))
    yield command
    command.close()


@pytest.fixture
def machines(lab: Lab, hosts: Hosts) -> Machines:
    """Give a function that gives so many machines as new."""
    return lambda count: [Machine(lab, host) for host in hosts(count)]


@pytest.fixture
def on(lab: Lab) -> On:
    """Give a function that gives the options by which a command finds some machines."""
    return lambda *machines: ("-i", str(lab.inventory), "--limit", ",".join(m.name for m in machines))
