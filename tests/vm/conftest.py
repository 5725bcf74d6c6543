"""Fixtures: a virtual machine of each release asked for, and the command to use on it.

TCPTUNE_VM_RELEASES names the releases, bookworm if it is not set. A test gets its machine with a clean disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.lab.vm import VmLab, missing
from tests.vm.wanted import Patient

SUITES = os.environ.get("TCPTUNE_VM_RELEASES", "bookworm").split()
On = Callable[[], tuple[str, ...]]


@pytest.fixture(scope="session", params=SUITES)
def vm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmLab]:
    """Give the virtual machine of a release, up, and as the test before left it."""
    if reasons := missing():
        if os.environ.get("CI") == "true":
            pytest.fail("; ".join(reasons), pytrace=False)
        pytest.skip("; ".join(reasons))
    lab = VmLab(tmp_path_factory.mktemp(request.param), request.param, tied=True)
    try:
        lab.up()
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def used() -> set[str]:
    """Names of the machines that some test has had."""
    return set()


@pytest.fixture
def machine(vm: VmLab, used: set[str]) -> Machine:
    """Give the machine as new."""
    if vm.name in used:
        vm.reset()
    used.add(vm.name)
    return Machine(vm, vm.host())


@pytest.fixture
def tcptune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tcptune]:
    """Give the command, with a home and a journal of its own."""
    command = Patient(tmp_path_factory.mktemp("tcptune"))
    yield command
    command.close()


@pytest.fixture
def on(vm: VmLab) -> On:
    """Give a function that gives the options by which a command finds the machine."""
    return lambda: ("-i", str(vm.inventory))
