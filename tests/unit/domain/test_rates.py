from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.facts import HostFacts
from tcptune.domain.gates import Cause
from tcptune.domain.rates import NotMeasured, Rates, rates
from tcptune.domain.samples import Sampled
from tcptune.domain.strain import Drops, LinkDrops, Pressure, SoftnetCpu
from tests.unit.builders import NOW, facts

OVERFLOWS, SEGMENTS, RETRANS = "TcpExt.ListenOverflows", "Tcp.OutSegs", "Tcp.RetransSegs"


def host(counters: dict[str, int] | None, *, later_s: float = 0, boot_id: str = "b1", **more: Any) -> HostFacts:
    one = facts("web1")
    system = one.system.model_copy(update={"boot_id": boot_id})
    at = NOW + timedelta(seconds=later_s)
    return one.model_copy(update={"counters": counters, "system": system, "collected_at": at, **more})


def measured(first: HostFacts, second: HostFacts) -> Rates:
    found = rates(Sampled(first=first, second=second))
    assert isinstance(found, Rates)
    return found


def refused(first: HostFacts, second: HostFacts) -> NotMeasured:
    found = rates(Sampled(first=first, second=second))
    assert isinstance(found, NotMeasured)
    return found


def test_a_counter_grows_so_much_and_so_fast() -> None:
    found = measured(host({OVERFLOWS: 5, SEGMENTS: 100}), host({OVERFLOWS: 65, SEGMENTS: 100}, later_s=30))

    assert (found.seconds, found.grew(OVERFLOWS), found.per_s(OVERFLOWS)) == (30, 60, 2)
    assert (found.grew(SEGMENTS), found.counters[SEGMENTS].per_s) == (0, 0)


def test_the_hosts_own_clock_counts_where_it_is_known() -> None:
    first = host({OVERFLOWS: 0}, pressure=Pressure(uptime_s=100.25))
    second = host({OVERFLOWS: 42}, later_s=11, pressure=Pressure(uptime_s=110.75))

    assert (measured(first, second).seconds, measured(first, second).per_s(OVERFLOWS)) == (10.5, 4)


def test_a_host_that_was_booted_in_between_has_no_rates() -> None:
    sampled = Sampled(first=host({OVERFLOWS: 5}), second=host({OVERFLOWS: 6}, later_s=30, boot_id="b2"))
    found = rates(sampled)

    assert sampled.rebooted
    assert isinstance(found, NotMeasured)
    assert (found.cause, found.why[:21]) == (Cause.REBOOTED, "it was booted between")


def test_a_namespace_that_was_made_anew_has_no_rates() -> None:
    found = refused(host({SEGMENTS: 500, OVERFLOWS: 1}), host({SEGMENTS: 3, OVERFLOWS: 7}, later_s=30))

    assert found.cause is Cause.REBOOTED
    assert "Tcp.OutSegs went backwards, 500 to 3" in found.why


def test_a_counter_of_32_bits_that_begins_again_is_not_called_a_boot() -> None:
    wrapped = refused(host({SEGMENTS: (1 << 32) - 500}), host({SEGMENTS: 70}, later_s=30)).why
    anew = refused(host({SEGMENTS: 500}), host({SEGMENTS: 70}, later_s=30)).why
    untold = refused(host({SEGMENTS: 500}, boot_id=""), host({SEGMENTS: 70}, later_s=30, boot_id="")).why

    assert ["32 bits" in wrapped, "32 bits" in anew] == [True, False]
    assert ["it was booted" in why for why in (wrapped, anew, untold)] == [False, False, True]


@pytest.mark.parametrize("later_s", [0, -5])
def test_samples_without_a_time_between_them_have_no_rates(later_s: float) -> None:
    assert "no time lies between the samples" in refused(host({}), host({}, later_s=later_s)).why


def test_one_counter_that_went_back_has_no_number_and_is_named() -> None:
    found = measured(host({OVERFLOWS: 5, SEGMENTS: 1}), host({OVERFLOWS: 4, SEGMENTS: 2}, later_s=10))

    assert (found.fell, found.grew(OVERFLOWS), found.grew(SEGMENTS)) == ((OVERFLOWS,), None, 1)


def test_a_counter_that_one_sample_lacks_is_no_zero() -> None:
    found = measured(host({SEGMENTS: 1}), host({SEGMENTS: 2, "nf_conntrack.drop": 9}, later_s=10))

    assert (found.one_sided, found.grew("nf_conntrack.drop")) == (("nf_conntrack.drop",), None)
    assert found.per_s(SEGMENTS, "nf_conntrack.drop") is None


def test_a_host_without_counters_has_no_numbers() -> None:
    assert dict(measured(host(None), host({SEGMENTS: 2}, later_s=10)).counters) == {}


def test_levels_are_no_counters() -> None:
    levels = {"Tcp.CurrEstab": 5, "Tcp.MaxConn": -1, "sockstat.TCP.tw": 7, "sockstat6.TCP6.inuse": 1}
    found = measured(host({**levels, SEGMENTS: 1}), host({**levels, SEGMENTS: 1}, later_s=10))

    assert list(found.counters) == [SEGMENTS]


def test_a_share_is_of_what_grew() -> None:
    found = measured(host({RETRANS: 0, SEGMENTS: 0, "a.b": 0}), host({RETRANS: 3, SEGMENTS: 60, "a.b": 0}, later_s=10))

    assert found.share(RETRANS, SEGMENTS) == 0.05
    assert found.share(RETRANS, "a.b") is None
    assert found.share(RETRANS, "not.there") is None


def test_processors_interfaces_and_memory_have_rates_by_name() -> None:
    def strained(dropped: int, missed: int, kills: int, **more: Any) -> HostFacts:
        lost = Drops(
            softnet=(SoftnetCpu(cpu=3, processed=2**32 - 1 if not dropped else 5, dropped=dropped, time_squeeze=0),),
            links=(LinkDrops(name="eth0.100", counts={"rx_missed_errors": missed}),),
        )
        return host({}, drops=lost, pressure=Pressure(uptime_s=10.0 + dropped, oom_kills=kills), **more)

    found = measured(strained(0, 1, 0), strained(20, 9, 2))

    assert found.grew("cpu.3.dropped") == 20
    assert found.per_s("link.eth0.100.rx_missed_errors") == 0.4
    assert found.grew("memory.oom_kills") == 2
    # 32 bits were full: it did not lose four billion packets.
    assert found.fell == ("cpu.3.processed",)


NAMES = st.sampled_from([OVERFLOWS, SEGMENTS, RETRANS, "a.b", "nf_conntrack.drop", "Tcp.CurrEstab"])
COUNTERS = st.dictionaries(NAMES, st.integers(0, 2**64 - 1))


@given(before=COUNTERS, after=COUNTERS, seconds=st.integers(1, 10**6))
def test_no_number_is_ever_negative_and_each_counter_is_told_once(
    before: dict[str, int], after: dict[str, int], seconds: int
) -> None:
    found = rates(Sampled(first=host(before), second=host(after, later_s=seconds)))
    if isinstance(found, NotMeasured):
        return

    assert all(one.grew >= 0 for one in found.counters.values())
    told = [*found.counters, *found.fell, *found.one_sided]
    assert sorted(told) == sorted((before.keys() | after.keys()) - {"Tcp.CurrEstab"})
