"""Fixtures for tests that need real hosts: `lab`, one for the session, and `hosts`, fresh ones for a test.

@pytest.mark.lab
def test_a_reboot_forgets_what_was_not_kept(lab: Lab, hosts: Hosts) -> None:
    web, database = hosts(2)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.lab import Lab, LabHost, missing

Hosts = Callable[[int], list[LabHost]]


class _Used:
    """Names of the hosts that a test may have changed since they were made."""

    def __init__(self) -> None:
        self.names: set[str] = set()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give the session's lab, up with at least one host.

    A person without root skips what needs it. CI must not: there a skipped test looks like a passed one.
    """
    reasons = missing()
    if reasons and os.environ.get("CI") == "true":
        pytest.fail("; ".join(reasons), pytrace=False)
    if reasons:
        pytest.skip("; ".join(reasons))
    lab = Lab(tmp_path_factory.mktemp("lab"), tied=True)
    try:
        lab.up(1)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="session")
def _used_hosts() -> _Used:
    return _Used()


@pytest.fixture
def hosts(lab: Lab, _used_hosts: _Used) -> Iterator[Hosts]:
    """Give a function that gives `count` hosts as new. Asked again in one test, it gives the same ones, and more."""
    given: set[str] = set()

    def give(count: int) -> list[LabHost]:
        if len(lab.hosts) < count:
            lab.up(count)
        names = [host.name for host in lab.hosts[:count]]
        lab.reset(*sorted(_used_hosts.names.intersection(names) - given))
        given.update(names)
        _used_hosts.names.update(names)
        return lab.hosts[:count]

    yield give
    # A reset host has its own key again, but known_hosts is the machine's.
    for name in given:
        lab.right_host_key(name)
