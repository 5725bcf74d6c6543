from __future__ import annotations

import pytest

from tcptune.domain.facts import HostFacts, Unread
from tcptune.errors import BecomeRefused, HostKeyRefused, HostUnreachable
from tcptune.ports import Output
from tcptune.probes.script import BOOTSTRAP, assemble
from tcptune.workflows.collect import Collector
from tests.unit.builders import NOW, SOMAXCONN, answer, host
from tests.unit.fakes import FakeTransport, InlineWorkers, Said, clock, collector

FINE = answer({SOMAXCONN: "4096"})


def collected(says: Said) -> list[HostFacts | Unread]:
    return list(collector(says).stream([host(name) for name in says], [SOMAXCONN]))


def test_a_host_that_answers_gives_facts() -> None:
    [one] = collected({"web1": FINE})

    assert isinstance(one, HostFacts)
    assert (one.host, one.collected_at, list(one.sysctl)) == ("web1", NOW, [SOMAXCONN])


@pytest.mark.parametrize("error", [HostUnreachable, HostKeyRefused, BecomeRefused])
def test_a_host_that_cannot_be_read_is_a_result_and_the_others_go_on(error: type[HostUnreachable]) -> None:
    found = collected({"web1": error("web1: no way in", hint="ssh web1 true"), "web2": FINE})

    assert found[0] == Unread(host="web1", error="no way in", hint="ssh web1 true")
    assert isinstance(found[1], HostFacts)


def test_a_host_whose_answer_makes_no_sense_is_a_result_too() -> None:
    assert [type(one) for one in collected({"a": "hello\n", "b": FINE[:100], "c": FINE})] == [Unread, Unread, HostFacts]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Output(127, "", "sh: not\n found\n"), "the probe said nothing: sh: not found"),
        (Output(3, "", ""), "the probe said nothing: it exited with 3"),
    ],
)
def test_a_host_that_says_nothing_gives_the_reason_it_has(said: Output, reason: str) -> None:
    [one] = collected({"web1": said})

    assert isinstance(one, Unread)
    assert one.error == reason


def test_talk_on_standard_error_and_a_bad_exit_do_not_spoil_an_answer() -> None:
    assert isinstance(collected({"web1": Output(1, FINE, "bash: warning\n")})[0], HostFacts)


def test_an_error_of_our_own_is_not_taken_for_one_of_the_host() -> None:
    with pytest.raises(KeyError):
        list(collector({}).stream([host("web9")], [SOMAXCONN]))


def test_each_host_is_asked_once_with_a_command_line_that_holds_no_key() -> None:
    transport = FakeTransport({"web1": FINE, "web2": FINE})
    list(Collector(transport, InlineWorkers(), clock, timeout_s=7).stream([host("web1"), host("web2")], [SOMAXCONN]))

    command = ("sh", "-c", BOOTSTRAP)
    assert transport.asked == [(name, command, assemble([SOMAXCONN]), 7) for name in ("web1", "web2")]


def test_facts_stream_as_hosts_are_asked() -> None:
    transport = FakeTransport({"web1": FINE, "web2": FINE})
    stream = Collector(transport, InlineWorkers(), clock).stream([host("web1"), host("web2")], [SOMAXCONN])
    next(stream)

    assert [name for name, *_ in transport.asked] == ["web1"]
