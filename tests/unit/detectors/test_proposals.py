"""However many causes ask for a setting, a host gets one value for it, with all reasons."""

from __future__ import annotations

import pytest

from tcptune.detectors import judge
from tcptune.detectors.proposals import agreed
from tcptune.domain.causes import Confidence
from tcptune.domain.diagnosis import (
    CauseFound,
    Evidence,
    FleetDiagnosis,
    NofileProposal,
    Operator,
    Proposal,
    Source,
)
from tcptune.reports.diagnosis import terminal
from tests.unit.detectors.cases import CASES
from tests.unit.detectors.hosts import PEER, RANGE, sampled, sockets

KEY = "net.core.somaxconn"


def cause(name: str, *settings: Proposal, nofile: NofileProposal | None = None) -> CauseFound:
    return CauseFound(
        cause=name,
        summary="a cause of a test",
        confidence=Confidence.HIGH,
        because="it was seen",
        evidence=(Evidence(source=Source.COUNTER, name="n", value=1),),
        remedies=(),
        kernel_change_helps=True,
        settings=settings,
        nofile=nofile,
    )


def asks(operator: Operator, value: str, why: str) -> Proposal:
    return Proposal(key=KEY, operator=operator, value=value, actual="128", why=why)


@pytest.mark.parametrize(
    ("operator", "one", "other", "farthest"),
    [
        (Operator.AT_LEAST, "4096", "8192", "8192"),
        (Operator.AT_LEAST, "10 900 30", "20 400 60", "20 900 60"),
        (Operator.AT_MOST, "60", "30", "30"),
        (Operator.WIDEN, "10240 60999", "32768 65535", "10240 65535"),
        (Operator.INCLUDES, "8080", "80,8081", "80,8080-8081"),
        (Operator.EXACTLY, "1", "1", "1"),
    ],
)
def test_of_two_values_the_farthest_counts_with_both_reasons(
    operator: Operator, one: str, other: str, farthest: str
) -> None:
    found = agreed([cause("a", asks(operator, one, "bursts")), cause("b", asks(operator, other, "a flood"))])

    assert [(c.settings[0].value, c.settings[0].why) for c in found] == [(farthest, "bursts; a flood")] * 2


@pytest.mark.parametrize("other", [asks(Operator.EXACTLY, "0", "y"), asks(Operator.AT_MOST, "0", "y")])
def test_of_two_that_contradict_each_other_the_first_counts_and_says_so(other: Proposal) -> None:
    found = agreed([cause("a", asks(Operator.EXACTLY, "1", "x")), cause("b", other)])

    for one in found:
        assert (one.settings[0].operator, one.settings[0].value) == (Operator.EXACTLY, "1")
        assert "0, which another cause asks for, is not to be had too" in one.settings[0].why


def test_two_limits_of_one_process_are_one() -> None:
    low = NofileProposal(process="java", at_least=65536, actual=4096, why="x")
    high = NofileProposal(process="java", at_least=131072, actual=65536, why="y")

    found = agreed([cause("a", nofile=low), cause("b", nofile=high)])

    expected = NofileProposal(process="java", at_least=131072, actual=4096, why="x; y")
    assert [one.nofile for one in found] == [expected, expected]


def test_no_two_causes_mean_one_setting_in_different_ways() -> None:
    meant: dict[str, set[Operator]] = {}
    for case in CASES.values():
        for one in judge(case.sampled).causes:
            for setting in one.settings:
                meant.setdefault(setting.key, set()).add(setting.operator)

    assert meant
    assert [key for key, operators in meant.items() if len(operators) > 1] == []


def test_what_helps_two_causes_alike_is_told_once() -> None:
    peers = [PEER.model_copy(update={"address": f"10.0.0.{n}", "in_range": RANGE}) for n in (8, 9)]

    text = terminal(FleetDiagnosis(hosts=(judge(sampled(second={"sockets": sockets(peers)})),)))

    assert text.count("port_exhaustion  high") == 2
    assert text.count("widen 10240 65535, is 32768 60999") == 1
    assert text.count("widen 10240 65535, as for 1") == 1
    assert text.count("more destination or source addresses") == 1
    assert "keep connections to 10.0.0.9:8080 open" in text
    assert "      and as for 1\n" in text
