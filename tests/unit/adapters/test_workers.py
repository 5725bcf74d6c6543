from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tcptune.adapters.workers import ThreadWorkers
from tcptune.domain.hosts import Host
from tests.unit.builders import host

HOSTS = [host(f"h{n}") for n in range(20)]


def name(one: Host) -> str:
    return one.name


def test_every_host_gives_one_result() -> None:
    assert sorted(ThreadWorkers(4).stream(name, HOSTS)) == sorted(map(name, HOSTS))


def test_no_hosts_are_no_results() -> None:
    assert list(ThreadWorkers(4).stream(name, [])) == []


def test_results_come_in_the_order_in_which_they_are_done() -> None:
    first = threading.Event()

    def work(one: Host) -> str:
        if one.name == "h0":
            assert first.wait(10)
        return one.name

    results = ThreadWorkers(2).stream(work, HOSTS[:3])
    early = [next(results), next(results)]
    first.set()

    assert sorted(early) == ["h1", "h2"]
    assert list(results) == ["h0"]


def test_hosts_are_worked_on_at_the_same_time() -> None:
    together = threading.Barrier(4, timeout=10)

    def work(one: Host) -> str:
        together.wait()
        return one.name

    assert len(list(ThreadWorkers(4).stream(work, HOSTS[:4]))) == 4


def test_no_more_hosts_than_asked_for_are_worked_on_at_once() -> None:
    lock, working, most = threading.Lock(), 0, 0

    def work(one: Host) -> str:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        time.sleep(0.002)
        with lock:
            working -= 1
        return one.name

    list(ThreadWorkers(3).stream(work, HOSTS))

    assert most <= 3


def test_hosts_are_taken_as_they_are_needed_so_that_a_fleet_need_not_fit_in_memory() -> None:
    taken = 0

    def endless() -> Iterator[Host]:
        nonlocal taken
        while True:
            taken += 1
            yield HOSTS[0]

    results = ThreadWorkers(3).stream(name, endless())
    for _ in range(10):
        next(results)
    results.close()  # type: ignore[attr-defined]

    assert taken <= 10 + 2 * 3


def test_an_error_reaches_the_caller_and_hosts_that_wait_are_not_begun() -> None:
    begun: list[str] = []

    def work(one: Host) -> str:
        begun.append(one.name)
        if one.name == "h0":
            raise ValueError("bug")
        time.sleep(0.005)
        return one.name

    with pytest.raises(ValueError, match="bug"):
        list(ThreadWorkers(1).stream(work, HOSTS))

    assert len(begun) < 4


def test_a_caller_that_goes_away_stops_the_work() -> None:
    begun: list[str] = []

    def work(one: Host) -> str:
        begun.append(one.name)
        return one.name

    results = ThreadWorkers(1).stream(work, HOSTS)
    next(results)
    results.close()  # type: ignore[attr-defined]
    after = len(begun)
    time.sleep(0.02)

    assert len(begun) == after < len(HOSTS)
