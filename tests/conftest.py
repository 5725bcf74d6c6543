"""What all tests share: the lab's fixtures, and that what takes minutes runs only where it is asked for."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

pytest_plugins = ["tests.lab.pytest_plugin"]


ON_REQUEST = ("slow", "vm")


def pytest_configure(config: pytest.Config) -> None:
    """Give a worker a temporary folder of few characters: a path of ssh's sockets has 107, and popen-gw1 is nine."""
    if hasattr(config, "workerinput"):
        given = Path(config.option.basetemp)
        config.option.basetemp = given.with_name(given.name.removeprefix("popen-gw"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [name for name in ON_REQUEST if name not in config.option.markexpr]
    unwanted = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail what needs the lab and would be skipped, where CI runs: there a skipped test looks like a passed one."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and item.get_closest_marker("lab"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs the lab and was skipped: {report.longrepr}"
    return report
