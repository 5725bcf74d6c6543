"""What was not read is never counted as well, and no numbers make a detector fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptune.detectors import DETECTORS, judge
from tcptune.detectors.case import Clue
from tcptune.detectors.clues import Heard
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import Evidence, Source
from tcptune.domain.facts import Unreadable
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import SocketState, StateCount
from tcptune.domain.state import Listeners, NetNamespace
from tcptune.knowledge.causes import causes
from tests.unit.detectors.case import Faulty
from tests.unit.detectors.cases import CASES, HEALTHY
from tests.unit.detectors.hosts import BUSY, NGINX, WEB, log, sampled, sockets

SECTIONS = ("pressure", "drops", "sockets", "kernel_log", "listeners", "conntrack")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_was_not_read_is_said_and_the_host_is_not_well(section: str) -> None:
    found = judge(sampled(first={section: None, "gaps": {section: "ss is not there"}}))

    assert found.causes == ()
    assert not found.well
    assert any("ss is not there" in gap.why or "not read" in gap.why for gap in found.not_judged)


def test_a_container_is_judged_without_the_log_of_its_machine() -> None:
    space = NetNamespace(child=True, sign="net.ipv4.tcp_mem is absent")

    assert judge(sampled(first={"kernel_log": None}, system={"namespace": space})).well


def test_lines_of_the_machine_support_what_a_container_shows_and_make_it_no_surer() -> None:
    space = NetNamespace(child=True, sign="net.ipv4.tcp_mem is absent")
    case = {"TcpExt.TCPReqQFullDoCookies": 900, "TcpExt.SyncookiesSent": 900}

    found = judge(sampled(case, second={"kernel_log": log(possible_syn_flooding=1)}, system={"namespace": space}))

    assert [one.cause for one in found.causes] == ["listen.syn_queue_full"]
    assert found.causes[0].evidence[-1].source is Source.KERNEL_LOG


def test_a_counter_that_the_kernel_lacks_is_no_zero() -> None:
    without = {name: growth for name, growth in BUSY.items() if name != "TcpExt.ListenOverflows"}

    found = judge(sampled(counters=without))

    assert "accept-queue" in {gap.group for gap in found.not_judged}
    assert not found.well


def test_samples_in_the_wrong_order_are_called_that() -> None:
    good = sampled()

    found = judge(Sampled(first=good.second, second=good.first))

    assert [gap.why for gap in found.not_judged] == [
        "the second sample is older than the first: are the two files in the wrong order?"
    ]
    assert not found.well


def test_a_boot_between_samples_is_told_and_not_taken_for_a_wrong_clock() -> None:
    good = sampled()
    assert good.second.pressure is not None
    young = {
        "system": good.second.system.model_copy(update={"boot_id": "other"}),
        "pressure": good.second.pressure.model_copy(update={"uptime_s": 20}),
    }

    [gap] = judge(Sampled(first=good.first, second=good.second.model_copy(update=young))).not_judged

    assert "booted" in gap.why


def test_a_setting_that_may_not_be_read_is_said() -> None:
    case = CASES["a short backlog under bursts"].sampled
    closed = {**case.second.sysctl, "net.core.somaxconn": Unreadable()}

    found = judge(case.model_copy(update={"second": case.second.model_copy(update={"sysctl": closed})}))

    assert [(gap.group, gap.why) for gap in found.not_judged] == [("accept-queue", "net.core.somaxconn was not read")]


def test_what_was_seen_before_a_fact_was_missed_is_kept() -> None:
    found = judge(sampled({"TcpExt.ListenOverflows": 900}, first={"listeners": None}))

    assert [one.cause for one in found.causes] == ["listen.accept_queue_overflow"]
    assert "accept-queue" in {gap.group for gap in found.not_judged}


def test_sockets_whose_owners_cannot_be_seen_are_not_judged() -> None:
    states = (StateCount(state=SocketState.CLOSE_WAIT, sockets=900, unowned=2),)

    found = judge(sampled(first={"sockets": sockets(owners_known=False, states=states)}))

    assert "close-wait" in {gap.group for gap in found.not_judged}


def test_open_files_that_may_not_be_counted_are_not_judged() -> None:
    hidden = NGINX.model_copy(update={"open_files": None})
    alone = Listeners(source="ss", listeners=(WEB,), processes=(hidden,))

    found = judge(sampled(first={"listeners": alone, "sockets": sockets(processes=())}))

    assert [gap.group for gap in found.not_judged] == ["open-files"]


def test_samples_that_cannot_be_compared_are_not_judged_at_all() -> None:
    good = sampled()
    booted = good.second.model_copy(update={"system": good.second.system.model_copy(update={"boot_id": "other"})})
    fewer = good.second.model_copy(update={"counters": {**(good.second.counters or {}), "Tcp.InSegs": 1}})
    other = good.second.model_copy(update={"host": "web2"})
    uncounted = good.second.model_copy(update={"counters": None, "gaps": {"counters": "no /proc"}})

    found = [
        judge(good.model_copy(update={"second": booted})),
        judge(good.model_copy(update={"second": fewer})),
        judge(good.model_copy(update={"second": other})),
        judge(good.model_copy(update={"second": uncounted})),
        judge(sampled(window_s=1)),
        judge(Sampled(first=good.second, second=good.first)),
    ]

    assert [one.well or bool(one.causes) for one in found] == [False] * 6
    assert ["booted" in found[0].not_judged[0].why, "backwards" in found[1].not_judged[0].why] == [True, True]
    assert ["two hosts" in found[2].not_judged[0].why, "no /proc" in found[3].not_judged[0].why] == [True, True]
    assert [len(one.not_judged) for one in found] == [1] * 6


def test_a_clue_from_elsewhere_makes_a_cause_surer_or_is_one() -> None:
    said = Evidence(source=Source.LOG, name="accept4() failed (24: Too many open files)", value=40, unit="lines")
    clues = [
        Clue("perf.slow_reader", Confidence.POSSIBLE, "the log tells of it", said),
        Clue("reset.keepalive_race", Confidence.LIKELY, "resets after 60 s of silence", said),
    ]
    likely = CASES["a lossy path"].sampled

    found = {one.cause: one for one in judge(likely, Heard(tuple(clues))).causes}

    assert list(found) == ["perf.loss", "reset.keepalive_race", "perf.slow_reader"]
    assert found["reset.keepalive_race"].evidence == (said,)
    assert found["reset.keepalive_race"].remedies


def test_two_looks_that_agree_are_surer_than_one() -> None:
    said = Evidence(source=Source.PCAP, name="resets of another TTL", value=3, unit="resets")
    clue = Clue("reset.security_device", Confidence.POSSIBLE, "the TTL is another", said)

    found = judge(CASES["segments that do not fit"].sampled, Heard((clue,)))

    assert [(one.cause, one.confidence) for one in found.causes][:1] == [("reset.security_device", Confidence.LIKELY)]
    assert found.causes[0].evidence[-1] == said


def test_many_in_time_wait_are_told_for_harmless() -> None:
    found = judge(sampled(first={"sockstat": {"sockstat.TCP.tw": 31_000}}))

    assert [one.cause for one in found.harmless] == ["state.time_wait_many"]
    assert found.well


def test_resets_that_nothing_explains_are_no_health() -> None:
    found = judge(sampled({"Tcp.EstabResets": 1200, "TcpExt.TCPAbortOnTimeout": 0}))

    assert found.causes == ()
    assert [one.what for one in found.unexplained] == ["peers, or something between, reset connections of this host"]
    assert found.found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_section_that_is_missing_makes_a_detector_fail(case: Faulty) -> None:
    for section in SECTIONS:
        for of in ("first", "second"):
            part = getattr(case.sampled, of).model_copy(update={section: None})
            found = judge(case.sampled.model_copy(update={of: part}))
            assert found.causes or found.not_judged
    bare = dict.fromkeys(SECTIONS) | {"sysctl": {}}
    found = judge(
        Sampled(first=case.sampled.first.model_copy(update=bare), second=case.sampled.second.model_copy(update=bare))
    )
    assert not found.well


GROWTH = st.dictionaries(st.sampled_from(sorted(BUSY)), st.integers(0, 1 << 62))


@given(GROWTH, st.sampled_from(sorted({*HEALTHY, *CASES})), st.floats(4, 1e6))
@settings(deadline=None, max_examples=150)
def test_no_numbers_make_a_detector_fail(grew: dict[str, int], name: str, window_s: float) -> None:
    base = HEALTHY[name] if name in HEALTHY else CASES[name].sampled
    second = base.second.model_copy(
        update={
            "counters": {key: value + grew.get(key, 0) for key, value in (base.first.counters or {}).items()},
            "pressure": base.second.pressure
            and base.second.pressure.model_copy(update={"uptime_s": 90_000 + window_s}),
        }
    )

    found = judge(base.model_copy(update={"second": second}))

    assert {one.cause for one in (*found.causes, *found.harmless)} <= set(causes())
    assert {gap.group for gap in found.not_judged} <= {*DETECTORS, "kernel-log", "resets", "all"}
