"""What detectors make of hosts: the right cause first, no wrong one for sure, and nothing where nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import tcptune.detectors as family
from tcptune.detectors import DETECTORS, judge
from tcptune.detectors.verdict import ordered
from tcptune.domain.causes import Confidence, Look, RemedyKind
from tcptune.domain.diagnosis import CauseFound, HostDiagnosis
from tcptune.knowledge.causes import causes, thresholds
from tests.unit.detectors.cases import CASES, HEALTHY, Faulty

FOLDER = Path(family.__file__).parent


@pytest.mark.parametrize("faulty", CASES.values(), ids=CASES)
def test_the_right_cause_is_named_first(faulty: Faulty) -> None:
    found = judge(faulty.sampled)

    first = found.causes[0]
    assert (first.cause, first.confidence) == (faulty.cause, faulty.confidence)
    assert found.not_judged == ()


@pytest.mark.parametrize("faulty", CASES.values(), ids=CASES)
def test_no_other_cause_is_sure_unless_it_follows_from_the_first(faulty: Faulty) -> None:
    first, *others = judge(faulty.sampled).causes
    explained = {first.cause}

    for one in others:
        if one.follows_from in explained:
            explained.add(one.cause)
    sure = {one.cause for one in others if one.confidence is Confidence.HIGH and one.cause not in explained}
    # That the kernel resets and that the queue is full are two things, and both are so.
    assert sure <= ({"listen.accept_queue_overflow"} if first.cause == "listen.abort_on_overflow" else set())


@pytest.mark.parametrize("faulty", CASES.values(), ids=CASES)
def test_a_cause_comes_with_what_was_read_and_what_to_do(faulty: Faulty) -> None:
    for one in judge(faulty.sampled).causes:
        known = causes()[one.cause]
        assert one.evidence
        assert [remedy.action for remedy in one.remedies] == [remedy.action for remedy in known.remedies]
        assert {other.cause for other in one.alternatives} <= {other.cause for other in known.apart}
        assert one.kernel_change_helps or not one.settings


@pytest.mark.parametrize("faulty", CASES.values(), ids=CASES)
def test_a_setting_is_proposed_where_one_helps_and_only_there(faulty: Faulty) -> None:
    first = judge(faulty.sampled).causes[0]

    assert bool(first.settings or first.nofile) == faulty.helps
    for setting in first.settings:
        assert setting.value != setting.actual


@pytest.mark.parametrize("sampled", HEALTHY.values(), ids=HEALTHY)
def test_a_host_that_is_well_has_no_finding(sampled: Faulty) -> None:
    found = judge(sampled)

    assert found.causes == ()
    assert found.unexplained == ()
    assert found.well


def test_where_a_listener_may_be_older_than_the_raise_that_is_named_beside_the_small_backlog() -> None:
    found = {one.cause: one for one in judge(CASES["a listener that may be older than the raise"].sampled).causes}

    assert found["listen.somaxconn_captured"].confidence is Confidence.POSSIBLE
    assert "shopd" in found["listen.somaxconn_captured"].because


def test_there_is_a_case_for_every_cause_that_a_host_can_show() -> None:
    shown = {one.id for one in causes().values() if Look.HOST in one.shown_by} - {"state.time_wait_many"}

    assert {case.cause for case in CASES.values()} == shown


def test_every_detector_speaks_in_some_case() -> None:
    silent = dict(DETECTORS)
    for case in (*CASES.values(),):
        found = {one.cause for one in judge(case.sampled).causes}
        silent = {name: one for name, one in silent.items() if not found & _causes_of(one, case)}

    assert set(silent) == {"time-waits"}


def test_every_threshold_is_used() -> None:
    code = "".join(path.read_text() for path in FOLDER.glob("*.py"))

    assert [name for name in thresholds() if f'"{name}"' not in code] == []


def test_what_brings_what_about_never_goes_in_a_circle() -> None:
    known = causes()

    def below(cause: str, path: tuple[str, ...]) -> None:
        assert cause not in path, path
        for other in known[cause].leads_to:
            below(other, (*path, cause))

    for cause in known:
        below(cause, ())


def test_what_follows_stands_behind_its_root_however_sure_it_is() -> None:
    leak, full, overflow = (
        _found(cause, sure)
        for cause, sure in (
            ("state.close_wait_leak", Confidence.LIKELY),
            ("limit.emfile", Confidence.HIGH),
            ("listen.accept_queue_overflow", Confidence.HIGH),
        )
    )
    alone = _found("perf.slow_reader", Confidence.HIGH)

    found = ordered([overflow, full, alone, leak])

    assert [(one.cause, one.follows_from) for one in found] == [
        ("perf.slow_reader", None),
        ("state.close_wait_leak", None),
        ("limit.emfile", "state.close_wait_leak"),
        ("listen.accept_queue_overflow", "limit.emfile"),
    ]


def test_what_is_merely_possible_is_nobodys_root() -> None:
    near = _found("limit.emfile", Confidence.POSSIBLE)
    overflow = _found("listen.accept_queue_overflow", Confidence.HIGH)

    assert [one.cause for one in ordered([near, overflow])] == ["listen.accept_queue_overflow", "limit.emfile"]


def _found(cause: str, sure: Confidence) -> CauseFound:
    host: HostDiagnosis = judge(CASES["a lossy path"].sampled)
    return host.causes[0].model_copy(update={"cause": cause, "confidence": sure})


def _causes_of(detector: family.Detector, case: Faulty) -> set[str]:
    from tcptune.detectors.case import Case

    return {seen.cause for seen in detector(Case.of(case.sampled)) if not seen.harmless}


def test_who_limits_its_own_workers_is_told_so_and_no_limit_of_its_service_is_proposed() -> None:
    [found] = judge(CASES["a proxy that gives its workers few files"].sampled).causes

    [limit] = [one.here for one in found.remedies if one.kind is RemedyKind.LIMIT and one.here]
    assert limit.startswith("worker_rlimit_nofile 65536, then 'nginx -s reload': nginx was started with 65536")
    assert found.about == "nginx (713)"
    assert found.nofile is None
