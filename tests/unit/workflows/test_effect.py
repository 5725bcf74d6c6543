from __future__ import annotations

import pytest

from tcptune.domain.effects import Outcome
from tcptune.domain.facts import Unread
from tcptune.domain.gates import Baseline, CounterReading, CountersUnread
from tcptune.domain.journal import PolicyRecord, Rollout, WaveRecord
from tcptune.domain.runs import Run
from tcptune.domain.samples import Sampled
from tcptune.errors import UsageError
from tcptune.workflows.effect import from_facts, kept, measure
from tests.unit.builders import NOW, host, run
from tests.unit.detectors.hosts import sampled
from tests.unit.planning.test_effect import OVERFLOWS, window


def begun_after(one: Sampled) -> Run:
    """Return a run that began when a host had been sampled."""
    return run().model_copy(update={"started_at": one.second.collected_at})


class Kept:
    """What a journal knows of a rollout of two waves."""

    def __init__(self, rollout: Rollout | None) -> None:
        self.given = rollout

    def rollout(self, _run: str) -> Rollout | None:
        return self.given

    def baseline(self, _run: str, number: int) -> Baseline | None:
        return Baseline(windows={"web1": window(), "web2": window()}) if number == 1 else None


class Looks:
    """Counters of a host at its first look and at its second."""

    def __init__(self, *looks: dict[str, CounterReading | CountersUnread]) -> None:
        self.looks = list(looks)
        self.asked_for_ports: list[bool] = []

    def counters(self, _hosts: object, *, ports: bool) -> dict[str, CounterReading | CountersUnread]:
        self.asked_for_ports.append(ports)
        return self.looks.pop(0)


def test_the_journal_gives_the_hosts_of_a_wave_and_not_those_it_was_compared_with() -> None:
    waves = (WaveRecord(number=1, hosts=("web1",)), WaveRecord(number=2, hosts=("web2",)))
    rollout = Rollout(policy=PolicyRecord(text="", digest=""), waves=waves)

    assert list(kept(Kept(rollout), run())) == ["web1"]  # type: ignore[arg-type]
    assert kept(Kept(None), run()) == {}  # type: ignore[arg-type]


def test_two_facts_files_give_the_hosts_that_both_hold() -> None:
    one: Sampled = sampled()

    found = from_facts([one.first, Unread(host="web2", error="away")], [one.second], begun_after(one))

    assert list(found) == ["web1"]
    assert isinstance(found["web1"].first, CounterReading)


def test_facts_files_in_the_wrong_order_are_refused() -> None:
    one: Sampled = sampled()

    with pytest.raises(UsageError, match="web1 is not older in the first file"):
        from_facts([one.second], [one.first], begun_after(one))
    with pytest.raises(UsageError, match="web1 is not older in the first file"):
        from_facts([one.first], [one.first], begun_after(one))


def test_facts_from_after_the_run_began_are_no_facts_from_before_it() -> None:
    one: Sampled = sampled()
    begun = run().model_copy(update={"started_at": one.first.collected_at})

    with pytest.raises(UsageError, match=r"web1 was read at .*, after run"):
        from_facts([one.first], [one.second], begun)


def test_counters_are_read_twice_with_the_window_between() -> None:
    now, slept = window({OVERFLOWS: 0}), []
    watch = Looks({"web1": now.first}, {"web1": now.last})

    [found] = measure(watch, [host("web1")], {"web1": window({OVERFLOWS: 900})}, 60.0, slept.append)  # type: ignore[arg-type]

    assert slept == [60.0]
    assert found.outcome is Outcome.FIXED
    assert watch.asked_for_ports == [False, False]


def test_sockets_are_looked_at_again_where_they_were_before() -> None:
    one: Sampled = sampled()
    before = from_facts([one.first], [one.second], begun_after(one))
    watch = Looks({"web1": before["web1"].first}, {"web1": before["web1"].last})

    [found] = measure(watch, [host("web1")], before, 60.0, lambda _: None)  # type: ignore[arg-type]

    assert watch.asked_for_ports == [True, True]
    assert [one.outcome for one in found.rates if one.rule == "local-ports"] == [Outcome.UNCHANGED]


def test_nobody_waits_for_hosts_of_which_nothing_is_known_from_before() -> None:
    slept: list[float] = []

    [found] = measure(Looks(), [host("web1")], {}, 60.0, slept.append)  # type: ignore[arg-type]

    assert slept == []
    assert found.why == "nothing is known of its counters from before the run"


def test_a_host_that_cannot_be_read_is_not_judged() -> None:
    away = CountersUnread(host="web1", at=NOW, why="no SSH session")

    [found] = measure(Looks({"web1": away}, {"web1": away}), [host("web1")], {"web1": window()}, 60.0, lambda _: None)  # type: ignore[arg-type]

    assert found.outcome is Outcome.NOT_JUDGED
