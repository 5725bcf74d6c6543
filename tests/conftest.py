"""What all tests share: the lab's fixtures, and that slow tests run only where they are asked for."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["tests.lab.pytest_plugin"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" in config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


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
