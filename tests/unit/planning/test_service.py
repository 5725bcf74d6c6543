"""Tries become times, failures and what may be behind them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.service import Address, Error, Service, ServiceReport, Stage, StageResult, Try, target
from tcptune.knowledge.service_errors import service_errors
from tcptune.planning.service import summary, syn_step, times

WEB = target("http://web.example/")


def named(*, error: Error | None = None, left_off: int = 0) -> Try:
    return Try(target=0, round=0, stages=(StageResult(stage=Stage.DNS, ms=1, error=error),), left_off=left_off)


def tried(
    connect_ms: float = 1.0,
    *,
    error: Error | None = None,
    said: str = "",
    address: str = "192.0.2.1",
    again: int | None = 0,
    stage: Stage = Stage.HTTP,
) -> Try:
    stages = [StageResult(stage=Stage.CONNECT, ms=connect_ms)]
    if stage is Stage.CONNECT:
        stages = [StageResult(stage=stage, ms=connect_ms, error=error, said=said)]
    else:
        stages.append(StageResult(stage=stage, ms=5, error=error, said=said))
    return Try(target=0, round=0, address=address, stages=tuple(stages), syn_retransmits=again)


def report(*tries: Try) -> ServiceReport:
    return summary([WEB], [named(), *tries], service_errors(), count=len(tries), origin=None)


def service(*tries: Try) -> Service:
    [only] = report(*tries).services
    return only


def address(*tries: Try) -> Address:
    [only] = service(*tries).addresses
    return only


def test_a_service_that_always_answers_is_fine() -> None:
    found = service(tried(1), tried(3), tried(2))

    assert (found.unhealthy, found.untried) == (False, False)
    connect = found.addresses[0].stages[0]
    assert connect.tried == 3
    assert connect.worked == times([1, 2, 3])


def test_one_failure_of_many_is_one_too_many() -> None:
    found = service(*[tried() for _ in range(99)], tried(error=Error.RESET))

    assert found.unhealthy
    assert [(one.stage, one.error, one.took.count) for one in found.failures] == [(Stage.HTTP, Error.RESET, 1)]
    assert found.failures[0].causes[0] == "reset.unread_data_on_close"


def test_what_ails_the_machine_that_tries_is_not_the_service_s_fault_and_not_fine() -> None:
    found = service(tried(error=Error.NO_LOCAL_PORT, stage=Stage.CONNECT))

    assert (found.unhealthy, found.untried) == (False, True)
    assert found.failures[0].causes == ("port_exhaustion",)


def test_a_name_that_is_not_found_is_a_finding() -> None:
    [found] = summary([WEB], [named(error=Error.NAME_NOT_FOUND)], service_errors(), count=1, origin=None).services

    assert (found.unhealthy, found.addresses, found.name.worked) == (True, (), None)


def test_a_service_of_which_nothing_is_known_was_not_tried() -> None:
    [found] = summary([WEB], [], service_errors(), count=1, origin=None).services

    assert found.untried


def test_addresses_are_told_apart() -> None:
    found = service(tried(), tried(address="2001:db8::1", error=Error.REFUSED, stage=Stage.CONNECT))

    assert [(one.address, one.family, len(one.failures)) for one in found.addresses] == [
        ("192.0.2.1", 4, 0),
        ("2001:db8::1", 6, 1),
    ]


@pytest.mark.parametrize(
    ("status", "cause"), [("502", "reset.keepalive_race"), ("504", "proxy.timeout"), ("503", "limit.db_pool")]
)
def test_the_status_of_a_proxy_tells_what_is_behind_it(status: str, cause: str) -> None:
    [found] = address(tried(error=Error.STATUS, said=status)).failures

    assert found.causes[0] == cause


def test_each_status_and_each_alert_is_a_row_of_its_own() -> None:
    found = address(
        tried(error=Error.STATUS, said="500"),
        tried(error=Error.STATUS, said="404"),
        tried(error=Error.STATUS, said="500"),
        tried(error=Error.EOF, said="a"),
        tried(error=Error.EOF, said="b"),
    ).failures

    assert [(one.error, one.took.count) for one in found] == [(Error.STATUS, 2), (Error.EOF, 2), (Error.STATUS, 1)]


@pytest.mark.parametrize(
    ("connect_ms", "again", "syns"),
    [(1010, 1, 1), (1010, None, 1), (1010, 0, None), (3020, 2, 2), (400, None, None), (400, 1, 1), (7100, None, 1)],
)
def test_a_syn_that_was_sent_again_is_told_even_where_all_answered(
    connect_ms: float, again: int | None, syns: int | None
) -> None:
    found = service(tried(), tried(connect_ms, again=again))
    retried = found.addresses[0].retried

    assert (retried and retried.syns) == syns
    assert found.unhealthy is (syns is not None)
    assert retried is None or "connect_latency.steps" in retried.causes


@pytest.mark.parametrize(
    ("connect_ms", "step"),
    [(999, None), (1000, 1), (1249, 1), (1250, None), (3000, 3), (7100, 7), (15_020, 15), (20_000, None), (80, None)],
)
def test_the_steps_at_which_a_syn_is_sent_again(connect_ms: float, step: int | None) -> None:
    assert syn_step(connect_ms) == step


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_times_are_in_order_and_measured(took: list[float]) -> None:
    found = times(took)

    assert found.min_ms <= found.p95_ms <= found.max_ms
    assert round(found.min_ms, 2) <= found.median_ms <= round(found.max_ms, 2)
    assert {found.min_ms, found.p95_ms, found.max_ms} <= set(took)
    assert sum(one <= found.p95_ms for one in took) >= math.ceil(0.95 * len(took))
