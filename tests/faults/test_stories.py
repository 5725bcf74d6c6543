"""From a fault to its cure: the same load before and after, and the share of it that fails."""

from __future__ import annotations

import pytest

from tests.faults import FAULTS, STORIES, Fault, Load, measure
from tests.faults.conftest import Stages

pytestmark = pytest.mark.lab

BY_NAME = {fault.name: fault for fault in FAULTS}


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
def test_the_cure_ends_the_errors_of_the_same_load(name: str, stages: Stages) -> None:
    before, after = told(BY_NAME[name], stages)

    assert before.error_rate > 0.2
    assert after.error_rate == 0
    assert after.done > before.done


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["backlog-small", "backlog-captured", "syn-flood-no-cookies", "idle-drop", "idle-reset"]
)
def test_other_cures_do_so_as_well(name: str, stages: Stages) -> None:
    before, after = told(BY_NAME[name], stages)

    assert before.errors
    assert not after.errors


def told(fault: Fault, stages: Stages) -> tuple[Load, Load]:
    """Measure a fault before and after its cure, on the same hosts with the same load."""
    with stages(fault) as stage, fault.make(stage, True) as scene:
        assert scene.cure is not None
        before = measure(scene).load
        scene.cure()
        after = measure(scene).load
    print(f"{fault.name}: {before.error_rate:.0%} of the exchanges failed, then {after.error_rate:.0%}")
    return before, after
