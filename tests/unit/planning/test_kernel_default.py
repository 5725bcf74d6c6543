from __future__ import annotations

import pytest

from tcptune.domain.guards import Scope
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.kernel_default import computed_default, is_near
from tests.unit.builders import SOMAXCONN, system

RMEM = catalogue()["net.ipv4.tcp_rmem"]


@pytest.mark.parametrize(
    ("kernel", "gib", "computed"),
    [
        ("6.18.0", 24, "4096 131072 33554432"),
        ("6.1.0", 24, "4096 131072 6291456"),
        ("4.9.0", 24, "4096 87380 6291456"),
        ("6.1.0", 0.25, "4096 131072 2097152"),
    ],
)
def test_a_default_is_computed_for_the_kernel_and_the_memory_of_the_host(
    kernel: str, gib: float, computed: str
) -> None:
    host = system(kernel=kernel, memory_bytes=int(gib * 2**30))

    assert computed_default(RMEM, host, Scope.HOST) == computed


def test_nothing_is_computed_where_there_is_no_formula_no_memory_or_a_parent_namespace() -> None:
    assert computed_default(catalogue()[SOMAXCONN], system(), Scope.HOST) is None
    assert computed_default(RMEM, system(memory_bytes=None), Scope.HOST) is None
    assert computed_default(RMEM, system(), Scope.NAMESPACE) is None
    assert computed_default(RMEM, system(), None) is not None


@pytest.mark.parametrize(
    ("actual", "near"),
    [("4096 131072 6291456", True), ("4096 131072 4718592", True), ("4096 131072 4718591", False), ("4096", False)],
)
def test_near_is_within_a_quarter_number_by_number(actual: str, near: bool) -> None:
    assert is_near(actual, "4096 131072 6291456") is near


def test_a_name_is_near_no_number() -> None:
    assert not is_near("bbr", "256")
