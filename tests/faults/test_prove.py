"""Each fault is diagnosed blind by the real command: the right cause first, no wrong one for sure, the right remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.faults import FAULTS, HEALTHY, Fault
from tests.faults.conftest import Stages
from tests.faults.prove import GIVEN, TWINS, Verdict, prove
from tests.lab import Lab

BY_NAME = {fault.name: fault for fault in (*FAULTS, *HEALTHY)}
LINGER, OVERFLOW = BY_NAME["linger-zero"], BY_NAME["accept-queue-overflow"]


@pytest.fixture
def tcptune(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tcptune]:
    command = Tcptune(tmp_path_factory.mktemp("tcptune"))
    yield command
    command.close()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("fault", BY_NAME.values(), ids=BY_NAME)
def test_the_command_finds_it(fault: Fault, stages: Stages, lab: Lab, tcptune: Tcptune) -> None:
    with stages(fault) as stage, fault.make(stage, True) as scene:
        verdict = prove(fault, scene, tcptune, lab)
    print(verdict.row())

    assert list(verdict.mistakes()) == []


def cause(name: str, sure: str = "high", **fields: Any) -> dict[str, Any]:
    remedies = [{"kind": "app", "here": None}, {"kind": "sysctl", "here": None}]
    return {"cause": name, "confidence": sure, "follows_from": None, "remedies": remedies, "settings": []} | fields


def verdict(fault: Fault, *causes: dict[str, Any], code: int = 10, **host: Any) -> list[str]:
    document = {"hosts": [{"causes": list(causes), "unexplained": [], "not_judged": [], **host}]}
    return list(Verdict.of(fault, code, document).mistakes())


def test_a_verdict_that_is_right_has_no_mistakes() -> None:
    linger = cause("reset.so_linger_zero")

    assert verdict(LINGER, linger) == []
    assert verdict(LINGER, linger, cause("perf.loss", "likely")) == []
    assert verdict(LINGER, linger, cause("perf.loss", follows_from="reset.so_linger_zero")) == []
    assert verdict(BY_NAME["busy"], code=0) == []


def test_what_is_wrong_with_a_verdict_is_said() -> None:
    linger, loss = cause("reset.so_linger_zero"), cause("perf.loss")

    assert verdict(LINGER) == ["names nothing first", "does not name reset.so_linger_zero"]
    assert verdict(LINGER, loss, linger) == ["names perf.loss first", "is sure of perf.loss, which is wrong"]
    assert verdict(LINGER, linger, code=4, not_judged=[{"why": "no ss"}]) == ["did not judge: no ss", "exits with 4"]
    assert verdict(BY_NAME["busy"], loss) == ["names perf.loss", "exits with 10"]
    assert verdict(BY_NAME["busy"], code=0, unexplained=[{"what": "resets"}]) == ["does not explain: resets"]


def test_a_remedy_of_another_kind_is_a_mistake_and_so_is_another_setting() -> None:
    here = [{"kind": "app", "here": None}, {"kind": "sysctl", "here": "net.core.somaxconn = 4096"}]
    name, other = "listen.accept_queue_overflow", [{"key": "net.ipv4.tcp_rmem"}]

    assert verdict(OVERFLOW, cause(name, remedies=here)) == []
    assert verdict(OVERFLOW, cause(name)) == ["remedies are app"]
    assert verdict(OVERFLOW, cause(name, remedies=here, settings=other)) == [
        "proposes net.ipv4.tcp_rmem, and not net.core.somaxconn"
    ]
    assert verdict(LINGER, cause("reset.so_linger_zero", settings=other))[0] == "proposes net.ipv4.tcp_rmem"


def test_what_is_given_beside_a_host_is_for_faults_that_there_are() -> None:
    assert (set(GIVEN) | set(TWINS)) <= set(BY_NAME)
