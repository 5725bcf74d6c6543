"""Answers of active gates, and what the rollout does about samples."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from tcptune.domain.gates import (
    ActiveGate,
    Answer,
    Cause,
    CommandGate,
    Counted,
    CountersGate,
    Gate,
    GateSample,
    GateTable,
    HttpGate,
    SshGate,
    TcpGate,
    Treat,
    UndecidedAs,
    Verdict,
)
from tcptune.planning.gates import counted, judge_answers
from tests.unit.builders import NOW

HTTP = HttpGate(path="/health", latency_at_most_ms=200)
COMPARED = HttpGate(path="/health", latency_times_before=3)
COMMAND = CommandGate(name="well", command=("check-well", "{host}"))


def answer(gate: ActiveGate, value: float | None = 5, *, works: bool | None = True, **fields: object) -> Answer:
    given = {
        "host": "web1",
        "gate": gate.gate,
        "check": gate.checks[0],
        "at": NOW,
        "works": works,
        "value": value,
        "unit": "exit status" if isinstance(gate, CommandGate) else "ms",
    }
    return Answer.model_validate({**given, **fields})


def judged(gate: ActiveGate, before: Answer | None, after: Answer | None) -> GateSample:
    [sample] = judge_answers(gate, ["web1"], [before] if before else [], [after] if after else [], at=NOW)
    return sample


def test_what_works_passes_with_both_times() -> None:
    sample = judged(SshGate(within_s=7), answer(SshGate(), 80), answer(SshGate(), 95))

    assert (sample.verdict, sample.before, sample.after, sample.threshold) == (Verdict.PASSED, 80, 95, 7000)


@pytest.mark.parametrize("before", [None, answer(HTTP, None, works=False, said="refused")], ids=["unasked", "broken"])
def test_what_does_not_work_fails_whatever_it_was_before(before: Answer | None) -> None:
    sample = judged(HTTP, before, answer(HTTP, None, works=False, said="status 503, not 200"))

    assert sample.verdict is Verdict.FAILED
    earlier = "before the change, too: refused" if before else "nobody asked it before the change"
    assert sample.why == f"status 503, not 200; {earlier}"


def test_an_answer_slower_than_its_bound_fails() -> None:
    assert judged(HTTP, answer(HTTP, 150), answer(HTTP, 200)).verdict is Verdict.PASSED
    slow = judged(HTTP, answer(HTTP, 150), answer(HTTP, 201))
    assert (slow.verdict, slow.threshold, slow.why) == (Verdict.FAILED, 200, "too slow")


def test_an_answer_much_slower_than_before_fails() -> None:
    assert judged(COMPARED, answer(COMPARED, 40), answer(COMPARED, 120)).verdict is Verdict.PASSED
    assert judged(COMPARED, answer(COMPARED, 40), answer(COMPARED, 121)).verdict is Verdict.FAILED


def test_a_fast_answer_may_be_many_times_slower() -> None:
    sample = judged(COMPARED, answer(COMPARED, 1), answer(COMPARED, 59))

    assert (sample.verdict, sample.threshold) == (Verdict.PASSED, 60)


def test_the_stricter_of_two_bounds_holds() -> None:
    both = HttpGate(latency_at_most_ms=100, latency_times_before=3)

    assert judged(both, answer(both, 40), answer(both, 101)).threshold == 100
    assert judged(both, answer(both, 25), answer(both, 101)).threshold == 75


@pytest.mark.parametrize("before", [None, answer(COMPARED, None, works=False)], ids=["unasked", "broken"])
def test_without_a_time_from_before_there_is_nothing_to_compare_with(before: Answer | None) -> None:
    sample = judged(COMPARED, before, answer(COMPARED, 10))

    assert (sample.verdict, sample.cause) == (Verdict.UNDECIDED, Cause.NO_BASELINE)


def test_what_could_not_be_tried_is_undecided() -> None:
    sample = judged(COMMAND, None, answer(COMMAND, None, works=None, said="check-well cannot be started"))

    assert (sample.verdict, sample.cause, sample.unit) == (Verdict.UNDECIDED, Cause.UNREAD, "exit status")
    assert sample.why == "check-well cannot be started"


def test_a_host_without_an_answer_has_its_rows_all_the_same() -> None:
    gate = TcpGate(ports=(80, 443))
    said = answer(gate, check="port 443", host="web2")

    samples = judge_answers(gate, ["web2", "web1"], [], [said], at=NOW)

    assert [(s.host, s.check, s.verdict.value) for s in samples] == [
        ("web1", "port 80", "undecided"),
        ("web1", "port 443", "undecided"),
        ("web2", "port 80", "undecided"),
        ("web2", "port 443", "passed"),
    ]
    assert samples[0].why == "nobody asked it since the change"


def test_the_policy_says_what_an_undecided_sample_does() -> None:
    lost = judged(SshGate(), None, None)
    strict, lax = SshGate(), SshGate(undecided=UndecidedAs(unread=Treat.HOLD))

    assert [one.treat for one in counted(strict, [lost])] == [Treat.FAIL]
    assert [one.treat for one in counted(lax, [lost])] == [Treat.HOLD]
    assert [one.treat for one in counted(lax, [judged(lax, None, answer(lax))])] == [Treat.CONTINUE]
    slow = judged(HTTP, None, answer(HTTP, 900))
    assert [one.treat for one in counted(HttpGate(undecided=UndecidedAs(unread=Treat.HOLD)), [slow])] == [Treat.FAIL]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_say(cause: Cause) -> None:
    for treat in Treat:
        said = UndecidedAs.model_validate({cause.name.lower(): treat})
        assert said.of(cause) is treat


def table(*treats: Treat) -> GateTable:
    sample = judged(SshGate(), None, None)
    return GateTable(title="wave 1 of 2", rows=tuple(Counted(sample=sample, treat=treat) for treat in treats))


def test_the_most_severe_row_decides() -> None:
    assert table(Treat.CONTINUE, Treat.FAIL, Treat.HOLD).treat is Treat.FAIL
    assert table(Treat.CONTINUE, Treat.HOLD).treat is Treat.HOLD
    assert table(Treat.CONTINUE).treat is Treat.CONTINUE


def test_where_nothing_was_asked_nothing_goes_on_by_itself() -> None:
    assert table().treat is Treat.HOLD


def test_only_an_undecided_sample_has_a_cause() -> None:
    good = judged(SshGate(), None, answer(SshGate())).model_dump()

    for wrong in ({"cause": "idle"}, {"verdict": "undecided"}):
        with pytest.raises(ValidationError, match="an undecided sample has a cause, and no other has one"):
            GateSample.model_validate({**good, **wrong})


GATE: TypeAdapter[Gate] = TypeAdapter(Gate)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"gate": "tcp", "ports": []}, "at least 1 item"),
        ({"gate": "tcp", "ports": [80, 80]}, "a port is named twice"),
        ({"gate": "tcp", "ports": [0]}, "greater than or equal to 1"),
        ({"gate": "tcp", "ports": [80], "address": "-oProxy"}, "no host name"),
        ({"gate": "tcp", "ports": [80], "address": "{name}"}, "{name} stands for nothing here"),
        ({"gate": "tcp", "ports": [80], "address": "a/b"}, "no host name"),
        ({"gate": "http", "path": "health"}, "starts with a slash"),
        ({"gate": "http", "path": "/a b"}, "has no spaces"),
        ({"gate": "http", "path": "/a\r\nX: y"}, "has no spaces"),
        ({"gate": "http", "server_name": "a\r\nX: y"}, "no host name"),
        ({"gate": "http", "scheme": "http", "ca_file": "/ca.pem"}, "ca_file needs scheme https"),
        ({"gate": "http", "status": []}, "at least 1 item"),
        ({"gate": "http", "verify": False}, "Extra inputs"),
        ({"gate": "ssh", "within_s": 0}, "greater than 0"),
        ({"gate": "ssh", "within_s": 601}, "less than or equal to 600"),
        ({"gate": "command", "name": "x", "command": []}, "at least 1 item"),
        ({"gate": "command", "name": "x", "command": ["{host}"]}, "not filled in from the host"),
        ({"gate": "command", "name": "x", "command": ["ping", "{hosts}"]}, "{hosts} stands for nothing here"),
        ({"gate": "command", "name": "x", "command": ["ping", "a\0b"]}, "a word holds a NUL"),
        ({"gate": "command", "name": "X y", "command": ["ping"]}, "match pattern"),
        ({"gate": "command", "name": "x", "command": "ping web1"}, "valid tuple"),
        ({"gate": "counters", "built_in": False}, "no rule is left"),
        ({"gate": "counters", "built_in": False, "leave_out": ["memory"], "rules": []}, "no rule is left"),
        ({"gate": "counters", "rules": [{"measure": "rate", "name": "a", "counters": ["Overflows"]}]}, "no counter"),
        ({"gate": "dns"}, "does not match any of the expected tags"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_a_gate_that_makes_no_sense_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as problem:
        GATE.validate_python(given)

    assert says in str(problem.value)


def test_two_rules_of_one_name_are_refused() -> None:
    rule = {"measure": "rate", "name": "a", "counters": ["Tcp.X"], "tolerated_per_s": 1, "why": "w", "source": "s"}

    with pytest.raises(ValidationError, match="two rules are called a"):
        CountersGate.model_validate({"rules": [rule, rule]})
