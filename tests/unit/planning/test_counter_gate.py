"""Counters of changed hosts beside their own past and beside the hosts not yet changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tcptune.domain.facts import Unread
from tcptune.domain.gate_rules import LevelRule
from tcptune.domain.gates import Cause, CounterReading, CountersUnread, Verdict, Watched, Window
from tcptune.knowledge.gates import built_in_rules
from tcptune.planning.counter_gate import judge_counters, reading, rules_of
from tests.unit.builders import NOW, facts
from tests.unit.planning.watched import (
    BUSY,
    IN,
    OTHER_BOOT,
    OUT,
    OVERFLOWS,
    RATE,
    RETRANS,
    SHARE,
    S,
    busy,
    gate,
    one,
    unread,
    watched,
)
from tests.unit.planning.watched import reading as said

STEADY = [busy(f"other{n}", 300, 300) for n in range(5)]


def test_a_share_that_grew_fails_beside_hosts_that_stay_as_they_were() -> None:
    sample = one(busy("web1", 300, 900), *STEADY)

    assert sample.verdict is Verdict.FAILED
    assert (sample.before, sample.after, sample.unit) == (0.5, 1.5, "percent")
    assert sample.threshold is not None
    assert 0.75 < sample.threshold < 1.0
    assert sample.why == ("3 times what it was; 1 times on the 5 hosts not yet changed: segments are lost")


def test_what_happens_to_the_whole_fleet_fails_no_wave() -> None:
    others = [busy(f"other{n}", 300, 900 + 10 * n) for n in range(5)]

    assert one(busy("web1", 300, 900), *others).verdict is Verdict.PASSED
    assert one(busy("web1", 300, 2700), *others).verdict is Verdict.FAILED


def test_one_other_host_in_trouble_excuses_nobody() -> None:
    others = [*STEADY[:4], busy("other9", 10, 6000)]

    assert one(busy("web1", 300, 900), *others).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    "quiet",
    [
        watched("other", {IN: 5, OUT: 5, RETRANS: 0}, {IN: 5, OUT: 5, RETRANS: 3}),
        watched("other", {**BUSY, RETRANS: 1}, {**BUSY, RETRANS: 600}, boot=OTHER_BOOT),
        watched("other", BUSY, BUSY),
        watched("other", {IN: 5, OUT: 5, RETRANS: 0}, {**BUSY, RETRANS: 6000}),
        watched("other", {**BUSY, RETRANS: 60}, {IN: 5, OUT: 5, RETRANS: 5}),
    ],
    ids=["idle", "rebooted", "lacks the counter", "idle before", "idle since"],
)
def test_others_that_tell_nothing_excuse_nobody_and_that_is_said(quiet: Watched) -> None:
    others = [quiet.model_copy(update={"host": f"other{n}"}) for n in range(9)]

    sample = one(busy("web1", 300, 900), *others)

    assert sample.verdict is Verdict.FAILED
    assert "compared with itself alone: 0 of the hosts not yet changed were at work, 3 are asked for" in sample.why


def test_of_others_that_were_not_read_it_is_said_why() -> None:
    silent, *_ = STEADY[2:]
    lost = Window(first=silent.after.first, last=unread("other2", why="no answer in time"))
    others = [*STEADY[:2], silent.model_copy(update={"after": lost})]

    sample = one(busy("web1", 300, 900), *others)

    assert "2 of the hosts not yet changed were at work, 3 are asked for (other2 has no number: no answer" in sample.why


def test_where_the_others_differ_widely_more_is_put_down_to_chance() -> None:
    alike = [busy(f"other{n}", 300, 1500) for n in range(5)]
    apart = [busy(f"other{n}", 300, 300 + 600 * n) for n in range(5)]

    assert one(busy("web1", 300, 3000), *alike).verdict is Verdict.FAILED
    assert one(busy("web1", 300, 3000), *apart).verdict is Verdict.PASSED


def test_the_laxer_of_the_two_factors_binds() -> None:
    rule = SHARE.model_copy(update={"times_before": 4.0})

    assert one(busy("web1", 300, 1100), *STEADY, rule=rule).verdict is Verdict.PASSED
    assert one(busy("web1", 300, 1500), *STEADY, rule=rule).verdict is Verdict.FAILED


def test_a_changed_host_is_no_witness_of_its_own() -> None:
    changed = [busy(f"web{n}", 300, 900) for n in range(5)]

    assert {s.verdict for s in judge_counters(gate(SHARE), changed, [*changed, *STEADY])} == {Verdict.FAILED}


def test_a_number_that_was_bad_before_and_stays_so_passes() -> None:
    assert one(busy("web1", 6000, 6100), *STEADY).verdict is Verdict.PASSED


def test_growth_below_what_is_tolerated_passes() -> None:
    sample = one(busy("web1", 1, 60), *STEADY)

    assert sample.verdict is Verdict.PASSED
    assert sample.why.startswith("no more than is tolerated")


def test_an_absolute_bound_needs_no_past_and_no_others() -> None:
    rule = RATE.model_copy(update={"at_most_per_s": 5.0})
    fleet = [busy(f"other{n}", 6000, 6000, OVERFLOWS) for n in range(5)]

    worse = one(busy("web1", 6000, 6000, OVERFLOWS), *fleet, rule=rule)
    new = one(busy("web1", 6000, 6000, OVERFLOWS).model_copy(update={"before": None}), rule=rule)

    for sample in (worse, new):
        assert (sample.verdict, sample.threshold, sample.after) == (Verdict.FAILED, 5.0, 100.0)


def test_an_idle_host_neither_passes_nor_fails() -> None:
    quiet = {IN: 30, OUT: 30}

    sample = one(watched("web1", {**quiet, RETRANS: 0}, {**quiet, RETRANS: 30}), *STEADY)

    assert (sample.verdict, sample.cause) == (Verdict.UNDECIDED, Cause.IDLE)
    assert sample.why == "idle: Tcp.OutSegs 0.5 a second, 100 are asked for"


def test_a_host_that_was_idle_before_has_nothing_to_be_compared_with() -> None:
    sample = one(watched("web1", {IN: 5, OUT: 5, RETRANS: 0}, {**BUSY, RETRANS: 600}), *STEADY)

    assert sample.cause is Cause.IDLE
    assert sample.why.startswith("idle before the change")


def test_a_host_that_fell_silent_is_told_from_one_that_was_always_idle() -> None:
    silent = watched("web1", {**BUSY, RETRANS: 60}, {IN: 0, OUT: 0, RETRANS: 0})
    night = [watched(f"other{n}", {**BUSY, RETRANS: 60}, {IN: 0, OUT: 0, RETRANS: 0}) for n in range(5)]

    assert one(silent, *STEADY).cause is Cause.FELL_SILENT
    assert one(silent).cause is Cause.FELL_SILENT
    assert one(silent, *night).cause is Cause.IDLE


def test_another_boot_is_no_rate() -> None:
    sample = one(watched("web1", {**BUSY, RETRANS: 1}, {**BUSY, RETRANS: 2}, boot=OTHER_BOOT), *STEADY)

    assert (sample.cause, sample.after) == (Cause.REBOOTED, None)
    assert sample.why == "it was booted between 15:10:26 and 15:10:31"


def test_counters_that_ran_backwards_are_no_rate() -> None:
    before = busy("web1", 300, 300)
    again = Window(first=said("web1", 65, {IN: 0, OUT: 0, RETRANS: 0}), last=said("web1", 125, {**BUSY, RETRANS: 9}))

    sample = one(before.model_copy(update={"after": again}), *STEADY)

    assert sample.cause is Cause.REBOOTED
    assert "Tcp.InSegs went backwards, 5060000 to 0" in sample.why


def test_a_counter_of_a_sum_that_ran_backwards_is_not_hidden_by_the_other() -> None:
    rule = RATE.model_copy(update={"counters": ("TcpExt.A", "TcpExt.B")})
    start, end = {**BUSY, "TcpExt.A": 900, "TcpExt.B": 5}, {IN: 99_000, OUT: 99_000, "TcpExt.A": 0, "TcpExt.B": 9000}
    host = busy("web1", 1, 1).model_copy(
        update={"after": Window(first=said("web1", 0, start), last=said("web1", S, end))}
    )

    assert one(host.model_copy(update={"before": None}), rule=rule).cause is Cause.REBOOTED


def test_a_counter_that_this_kernel_lacks_is_not_a_zero() -> None:
    sample = one(watched("web1", BUSY, BUSY), *STEADY, rule=RATE)

    assert (sample.verdict, sample.cause) == (Verdict.UNDECIDED, Cause.LACKING)
    assert sample.why.startswith("TcpExt.ListenOverflows is not among its counters")


def test_a_host_that_could_not_be_read_is_undecided_with_the_reason() -> None:
    host = busy("web1", 300, 300)
    gone = host.model_copy(update={"after": Window(first=host.after.first, last=unread("web1", 125))})
    new = host.model_copy(update={"before": Window(first=unread("web1"), last=unread("web1", 60))})

    assert (one(gone).cause, one(gone).why) == (Cause.UNREAD, "no answer from web1 in time")
    assert (one(new).cause, one(new).why) == (
        Cause.NO_BASELINE,
        "no number from before the change: no answer from web1 in time",
    )


@pytest.mark.parametrize("seconds", [-5, 0, 1, S // 2])
def test_readings_too_close_together_say_nothing(seconds: int) -> None:
    host = busy("web1", 300, 900)
    late = host.after.last
    assert isinstance(late, CounterReading)
    close = late.model_copy(update={"at": host.after.first.at + timedelta(seconds=seconds)})

    sample = one(host.model_copy(update={"after": Window(first=host.after.first, last=close)}), *STEADY)

    assert sample.cause is Cause.UNREAD
    assert sample.why == f"{seconds} s lie between its readings, {S} s are asked for"


def test_a_level_is_what_it_is_and_may_fall() -> None:
    rule = LevelRule.model_validate(
        {
            "name": "memory",
            "counters": ["sockstat.TCP.mem"],
            "unit": "pages",
            "tolerated_level": 1000,
            "traffic": [OUT],
            "why": "w",
            "source": "s",
        }
    )

    def host(before: int, after: int) -> Watched:
        level, start = "sockstat.TCP.mem", {OUT: 0, IN: 0}
        middle, end = dict(BUSY), {name: 2 * number for name, number in BUSY.items()}
        return Watched(
            host="web1",
            before=Window(
                first=said("web1", 0, {**start, level: before}), last=said("web1", 60, {**middle, level: before})
            ),
            after=Window(first=said("web1", 65, {**middle, level: 5}), last=said("web1", 125, {**end, level: after})),
        )

    assert one(host(4000, 3000), rule=rule).verdict is Verdict.PASSED
    assert one(host(4000, 9000), rule=rule).verdict is Verdict.FAILED
    assert one(host(1, 1900), rule=rule).verdict is Verdict.PASSED


def test_a_reading_is_made_of_facts_or_of_why_there_are_none() -> None:
    known = facts("web1").model_copy(update={"counters": {OUT: 5}})

    assert reading(known, NOW) == CounterReading(host="web1", at=NOW, boot_id=known.system.boot_id, counters={OUT: 5})
    assert reading(Unread(host="web1", error="timed out"), NOW) == CountersUnread(host="web1", at=NOW, why="timed out")
    gap = facts("web1").model_copy(update={"gaps": {"counters": "nobody asked"}})
    assert reading(gap, NOW) == CountersUnread(host="web1", at=NOW, why="no counters: nobody asked")


def test_a_rule_of_the_same_name_takes_the_place_of_a_built_in_one() -> None:
    names = [rule.name for rule in built_in_rules()]

    own = rules_of(gate(SHARE, built_in=True))
    fewer = rules_of(gate(built_in=True, leave_out=["memory"]))

    assert [rule.name for rule in own] == names
    assert own[names.index("retransmissions")] == SHARE
    assert [rule.name for rule in fewer] == [name for name in names if name != "memory"]


def test_to_leave_out_what_is_no_rule_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="leave_out: memroy: no such built-in rule; there are listen-overflows"):
        rules_of(gate(leave_out=["memroy"]))
