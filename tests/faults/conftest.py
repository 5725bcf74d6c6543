"""Fixtures: a stage with as many fresh hosts as a fault needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults import Fault, Stage, missing
from tests.faults.ahead import Ahead
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


@pytest.fixture(scope="module")
def ahead(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ahead]:
    """Make the faults of the tests that run, two at a time, on labs of their own."""
    request.getfixturevalue("lab")  # skips or fails where there can be no lab
    if reasons := missing():
        pytest.skip("; ".join(reasons))
    # Of this module: elsewhere a parameter of another kind may go by that name.
    tests = [one for one in request.session.items if isinstance(one, pytest.Function) and one.module is request.module]
    faults = [test.callspec.params["fault"] for test in tests if "ahead" in test.fixturenames]
    made = Ahead(tmp_path_factory.mktemp("ahead"), faults)
    yield made
    made.close()
