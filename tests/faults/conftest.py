"""Fixtures: a stage with as many fresh hosts as a fault needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.acceptance.command import Tcptune
from tests.faults import Fault, Stage, missing
from tests.lab import Lab
from tests.lab.pytest_plugin import Hosts

Stages = Callable[[Fault], AbstractContextManager[Stage]]


@pytest.fixture
def stages(lab: Lab, hosts: Hosts) -> Stages:
    """Give a function that opens a stage for a fault; a second one in a test is on the same hosts."""
    if reasons := missing():
        pytest.skip("; ".join(reasons))

    @contextmanager
    def stage(fault: Fault) -> Iterator[Stage]:
        with Stage(lab, hosts(fault.hosts)) as opened:
            yield opened

    return stage


@pytest.fixture
def tcptune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tcptune]:
    """Give the command, with a home and a journal that nobody else has."""
    command = Tcptune(tmp_path_factory.mktemp("tcptune"))
    yield command
    command.close()
