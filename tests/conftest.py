"""What all tests share: the lab's fixtures, and that slow tests run only where they are asked for."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.lab.pytest_plugin"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" in config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
