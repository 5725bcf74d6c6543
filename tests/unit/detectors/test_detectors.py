"""What detectors make of hosts: the right cause first, no wrong one for sure, and nothing where nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import tcptune.detectors as family
from tcptune.detectors import DETECTORS, judge
from tcptune.detectors.verdict import ordered
from tcptune.domain.causes import Confidence, Look, RemedyKind
from tcptune.domain.diagnosis import CauseFound, HostDiagnosis
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import Sockets
from tcptune.knowledge.causes import causes, thresholds
from tests.unit.detectors.case import OVERFLOWS, Faulty, aged, listening, waiting
from tests.unit.detectors.cases import CASES, HEALTHY
from tests.unit.detectors.hosts import CLIENTS, NGINX, PEER, SSHD, sampled, sockets

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


def test_that_full_queues_would_reset_is_told_by_what_was_seen_of_them() -> None:
    on = {"net.ipv4.tcp_abort_on_overflow": "1"}
    quiet = {"TcpExt.ListenOverflows": 900, "TcpExt.EmbryonicRsts": 0}
    told = {
        "now": judge(sampled(quiet, on, first={"listeners": listening(512, 511)})),
        "full": judge(CASES["a kernel that would reset, and a queue that is full now"].sampled),
        "before": judge(sampled(sysctl=on)),
    }

    found = {name: {one.cause: one for one in one.causes}["listen.abort_on_overflow"] for name, one in told.items()}
    assert {one.confidence for one in found.values()} == {Confidence.POSSIBLE}
    assert "dropped before the handshake ended" in found["now"].because
    assert "the queue on port 443 is full" in found["full"].because
    assert [(one.name, one.value) for one in found["full"].evidence[-1:]] == [("listener on *:443, waiting", 512)]
    assert "and not within the window" in found["before"].because
    assert (found["before"].evidence[1].value, found["before"].evidence[1].unit) == (
        1_000_000,
        "since the network came up",
    )


def test_a_setting_that_nothing_has_met_is_no_finding() -> None:
    found = sampled(sysctl={"net.ipv4.tcp_abort_on_overflow": "1"})
    never = [
        one.model_copy(update={"counters": {**(one.counters or {}), "TcpExt.ListenOverflows": 0}})
        for one in (found.first, found.second)
    ]

    assert judge(Sampled(first=never[0], second=never[1])).well


def test_a_queue_that_stays_is_the_programs_to_empty_at_whatever_moment_it_is_met() -> None:
    found = judge(CASES["a queue that stays, met right after an accept()"].sampled).causes[0]

    assert [remedy.kind for remedy in found.remedies if remedy.here] == [RemedyKind.APP]
    assert ("nginx on *:443, longest wait, at least", 8.3) in [(one.name, one.value) for one in found.evidence]


@pytest.mark.parametrize(
    ("queue", "sockets_"),
    [
        (128, waiting(128, 0.4)),
        (20, waiting(20, 8.3)),
        (129, sockets(ports=[CLIENTS.model_copy(update={"unaccepted": 0})])),
    ],
    ids=["nobody waits for long", "most of the queue is empty", "empty a moment later"],
)
def test_a_queue_that_is_met_twice_in_bursts_is_too_short(queue: int, sockets_: Sockets) -> None:
    now = {"listeners": listening(queue, 128), "sockets": sockets_}
    first = {"listeners": listening(129, 128)}

    found = judge(sampled(OVERFLOWS, {"net.core.somaxconn": "128"}, first=first, second=now)).causes[0]

    assert [setting.key for setting in found.settings] == ["net.core.somaxconn"]


def test_a_queue_that_never_overflowed_stays_full_only_where_it_is_full() -> None:
    assert judge(sampled({}, first={"listeners": listening(127, 128), "sockets": waiting(127, 8.3)})).causes == ()
    assert judge(sampled({}, first={"listeners": listening(129, 128), "sockets": waiting(129, 8.3)})).causes != ()


def test_the_listener_whose_elder_got_more_is_hardly_captured() -> None:
    found = {one.cause: one for one in judge(CASES["a listener whose elder got more"].sampled).causes}

    assert "sshd is older and got 128" in found["listen.backlog_small_in_app"].because
    assert found["listen.somaxconn_captured"].confidence is Confidence.POSSIBLE


def test_a_socket_of_systemd_is_nobodys_elder() -> None:
    case = CASES["a listener whose elder got more"].sampled
    held = tuple(
        one.model_copy(update={"pids": (1,)}) if one.port == 22 else one for one in case.second.listeners.listeners
    )
    listeners = case.second.listeners.model_copy(update={"listeners": held})
    processes = (aged(NGINX, 500.0), aged(SSHD.model_copy(update={"pid": 1, "name": "systemd"}), 80_000.0))
    second = case.second.model_copy(update={"listeners": listeners, "sockets": sockets(processes=processes)})

    assert judge(case.model_copy(update={"second": second})).causes[0].cause == "listen.somaxconn_captured"


@pytest.mark.parametrize(
    ("peer", "sure"),
    [("10.0.0.9", Confidence.HIGH), ("127.0.0.1", Confidence.POSSIBLE)],
    ids=["afar", "both ends here"],
)
def test_aborts_between_programs_of_one_host_may_be_data_after_a_close(peer: str, sure: Confidence) -> None:
    local = "127.0.0.1" if peer == "127.0.0.1" else PEER.local
    there = sockets(peers=[PEER.model_copy(update={"local": local, "address": peer})])
    aborted = {"TcpExt.TCPAbortOnData": 1500, "Tcp.EstabResets": 1550, "Tcp.OutRsts": 1550}

    found = judge(sampled({**aborted, "Tcp.ActiveOpens": 2000}, first={"sockets": there})).causes[0]

    assert (found.cause, found.confidence) == ("reset.so_linger_zero", sure)


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
