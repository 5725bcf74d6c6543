"""What became of a host's counters since a change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from tcptune.domain.effects import HostEffect, Outcome
from tcptune.domain.gates import CounterReading, CountersUnread, Window
from tcptune.planning.counter_gate import PORTS_TAKEN
from tcptune.planning.effect import effect
from tcptune.reports import effects as report
from tests.unit.builders import NOW
from tests.unit.detectors.hosts import BUSY

OVERFLOWS = "TcpExt.ListenOverflows"
RULE = "listen-overflows"
MORE = {
    "TcpExt.TCPBacklogDrop": 0,
    "softnet_stat.processed": 400_000,
    "softnet_stat.dropped": 0,
}


def window(
    grew: Mapping[str, int] | None = None, *, boot: str = "b1", times: float = 1.0, seconds: float = 30
) -> Window:
    growth = {**BUSY, **MORE, **(grew or {})}
    first = {**dict.fromkeys(growth, 5_000_000), "sockstat.TCP.mem": 900}
    last = {name: value + int(growth.get(name, 0) * times) for name, value in first.items()}
    return Window(
        first=CounterReading(host="web1", at=NOW, boot_id=boot, counters=first),
        last=CounterReading(host="web1", at=NOW + timedelta(seconds=seconds), boot_id=boot, counters=last),
    )


def outcomes(found: HostEffect) -> dict[str, Outcome]:
    return {one.rule: one.outcome for one in found.rates}


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (900, 0, Outcome.FIXED),
        (900, 2, Outcome.FIXED),
        (900, 300, Outcome.BETTER),
        (900, 850, Outcome.UNCHANGED),
        (900, 1100, Outcome.UNCHANGED),
        (900, 4000, Outcome.WORSE),
        (0, 0, Outcome.UNCHANGED),
        (0, 5, Outcome.UNCHANGED),
        (0, 900, Outcome.WORSE),
    ],
)
def test_a_rate_is_fixed_better_unchanged_or_worse(before: int, after: int, outcome: Outcome) -> None:
    found = effect("web1", window({OVERFLOWS: before}), window({OVERFLOWS: after}))

    assert outcomes(found)[RULE] is outcome
    assert found.outcome is outcome


def test_few_events_are_chance_and_no_repair() -> None:
    found = effect("web1", window({OVERFLOWS: 5}), window({OVERFLOWS: 0}))

    assert outcomes(found)[RULE] is Outcome.UNCHANGED


def test_no_errors_without_requests_prove_nothing() -> None:
    found = effect("web1", window({OVERFLOWS: 900}), window({OVERFLOWS: 0}, times=0.1))

    assert outcomes(found)[RULE] is Outcome.NOT_JUDGED
    assert found.outcome is Outcome.NOT_JUDGED


def test_a_window_too_short_to_see_what_was_seen_before_proves_no_repair() -> None:
    # Three events in ten seconds for an hour: none in the next six is chance one time in six.
    before = window({OVERFLOWS: 9}, times=120, seconds=3600)
    after = window({OVERFLOWS: 0}, times=0.2, seconds=6)

    found = effect("web1", before, after)

    assert outcomes(found)[RULE] is Outcome.NOT_JUDGED
    assert "longer" in next(one.why for one in found.rates if one.rule == RULE)
    assert outcomes(effect("web1", before, window({OVERFLOWS: 0}, times=4, seconds=120)))[RULE] is Outcome.FIXED


def test_less_than_half_in_a_window_that_is_too_short_is_no_better() -> None:
    before = window({OVERFLOWS: 9}, times=120, seconds=3600)

    found = effect("web1", before, window({OVERFLOWS: 1}, times=0.2, seconds=6))

    assert outcomes(found)[RULE] is Outcome.NOT_JUDGED


def test_more_of_everything_is_more_load_and_nothing_worse() -> None:
    night, day = window({OVERFLOWS: 60}), window({OVERFLOWS: 60}, times=5)

    found = effect("web1", night, day)

    assert Outcome.WORSE not in outcomes(found).values()
    assert outcomes(effect("web1", night, window({OVERFLOWS: 60 * 5}, times=5)))[RULE] is Outcome.WORSE


def test_errors_now_on_a_host_that_was_idle_before_are_not_called_unchanged() -> None:
    idle = window(times=0.0)

    found = effect("web1", idle, window({"Tcp.EstabResets": 9000}))

    assert outcomes(found)["reset-connections"] is Outcome.NOT_JUDGED
    assert found.outcome is Outcome.NOT_JUDGED


def test_a_host_without_traffic_is_not_judged_by_the_few_numbers_that_need_none() -> None:
    found = effect("web1", window(times=0.001), window(times=0.001))

    assert Outcome.UNCHANGED in outcomes(found).values()
    assert found.outcome is Outcome.NOT_JUDGED


def test_one_rate_that_is_worse_makes_the_host_worse() -> None:
    found = effect("web1", window({OVERFLOWS: 900}), window({OVERFLOWS: 0, "TcpExt.TCPAbortOnMemory": 900}))

    assert found.outcome is Outcome.WORSE


def test_without_numbers_from_before_nothing_is_compared() -> None:
    found = effect("web1", None, window())

    assert (found.outcome, found.rates) == (Outcome.NOT_JUDGED, ())
    assert "from before the run" in found.why


def test_a_host_that_cannot_be_read_now_is_not_judged() -> None:
    away = CountersUnread(host="web1", at=NOW, why="no SSH session")

    found = effect("web1", window({OVERFLOWS: 900}), Window(first=away, last=away))

    assert {one.outcome for one in found.rates} == {Outcome.NOT_JUDGED}
    assert {one.why for one in found.rates} == {"no SSH session"}


def test_a_boot_between_run_and_look_does_no_harm_to_the_comparison() -> None:
    found = effect("web1", window({OVERFLOWS: 900}), window({OVERFLOWS: 0}, boot="b2"))

    assert found.outcome is Outcome.FIXED


def test_the_report_tells_what_moved_and_counts_the_rest() -> None:
    found = (
        effect("web1", window({OVERFLOWS: 900}), window({OVERFLOWS: 0})),
        effect("web2", None, window()),
    )

    lines = report.terminal(found)

    assert lines[0] == "+ web1  rates: fixed"
    assert any(line.split() == [RULE, "30", "0", "per", "second", "fixed"] for line in lines)
    assert lines[-1] == "? web2  rates: nothing is known of its counters from before the run"
    assert [row[0] for row in report.rows(found)] == ["web1"] * (1 + len(found[0].rates)) + ["web2"]
    assert report.summary(found) == "; rates of 1 host not judged"


def taken(percent: int | None) -> Window:
    found = window()
    if percent is None:
        return found
    ends = {
        name: one.model_copy(update={"counters": {**one.counters, PORTS_TAKEN: percent}})
        for name, one in (("first", found.first), ("last", found.last))
        if isinstance(one, CounterReading)
    }
    return found.model_copy(update=ends)


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (100, 1, Outcome.FIXED),
        (100, 99, Outcome.UNCHANGED),
        (30, 100, Outcome.WORSE),
        (30, 90, Outcome.UNCHANGED),
        (100, None, Outcome.NOT_JUDGED),
    ],
)
def test_local_ports_have_no_counter_and_are_judged_by_how_many_are_taken(
    before: int, after: int | None, outcome: Outcome
) -> None:
    assert outcomes(effect("web1", taken(before), taken(after)))["local-ports"] is outcome


def test_local_ports_are_not_asked_for_where_nobody_looked_before() -> None:
    assert "local-ports" not in outcomes(effect("web1", window(), taken(5)))


def test_a_script_reads_the_verdict_of_a_host() -> None:
    found = effect("web1", window({OVERFLOWS: 900}), window({OVERFLOWS: 0}))

    assert found.model_dump(mode="json")["outcome"] == "fixed"


FULL = {"Tcp.InSegs": 40, "Tcp.OutSegs": 40, "nf_conntrack.drop": 600, "nf_conntrack.insert_failed": 0}
FREE = {"nf_conntrack.drop": 0, "nf_conntrack.insert_failed": 0}


def test_a_host_that_drops_all_of_its_clients_is_not_idle() -> None:
    assert outcomes(effect("web1", window(FULL), window(FREE)))["conntrack-drops"] is Outcome.FIXED
    assert outcomes(effect("web1", window(FREE), window(FULL)))["conntrack-drops"] is Outcome.WORSE


def test_errors_prove_that_somebody_asked_however_little_got_through() -> None:
    few = {"Tcp.InSegs": 10, OVERFLOWS: 40}

    assert outcomes(effect("web1", window(few), window()))[RULE] is Outcome.FIXED
    assert outcomes(effect("web1", window({"Tcp.InSegs": 10}), window()))[RULE] is Outcome.NOT_JUDGED
