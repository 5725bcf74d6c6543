"""What is known in several places is known as the same: ids of causes, messages of the kernel, times of silence."""

from __future__ import annotations

import inspect
import re

import pytest

from tcptune.domain.causes import CAUSE_ID
from tcptune.domain.chain import Aspect, seconds
from tcptune.domain.strain import KernelMessage
from tcptune.knowledge.captures import capture_causes, known_gaps
from tcptune.knowledge.causes import causes, kernel_patterns
from tcptune.knowledge.service_errors import service_errors
from tcptune.knowledge.surroundings import idle_timeouts
from tcptune.knowledge.timeout_chain import products
from tcptune.knowledge.wording import wording
from tcptune.planning import chain_http2, chain_rules
from tcptune.probes.kernel_log import PATTERNS
from tests.unit.knowledge.test_causes import KERNEL_SAYS

ONLY_IN_CAPTURES = {
    "connect.tried_only",
    "reset.aborted",
    "reset.challenged",
    "reset.idle_timeout",
    "reset.late",
    "reset.sent_by_its_host",
    "reset.unexplained",
    "tls.alert",
}
"""What packets show and nothing else does: a sign, and no cause that a host or a log could tell of."""
LEAST_S = 5
"""A shorter silence is a pause of a program, and no hint at anybody."""


def test_what_packets_show_has_the_names_that_causes_have() -> None:
    assert set(capture_causes()) - set(causes()) == ONLY_IN_CAPTURES


def test_packets_and_causes_agree_whether_the_kernel_helps() -> None:
    helps = {name: one.kernel_change_helps for name, one in capture_causes().items() if name in causes()}

    assert {name: causes()[name].kernel_change_helps for name in helps} == helps


def test_lines_of_logs_name_causes_that_are_known() -> None:
    assert {cause for phrase in wording().phrases for cause in phrase.causes} - set(causes()) == set()


def test_stages_of_a_service_name_causes_that_are_known() -> None:
    assert {cause for one in service_errors() for cause in one.causes} - set(causes()) == set()


def test_rules_of_a_chain_name_causes_that_are_known() -> None:
    named = re.findall(r"causes=\(([^)]*)\)", inspect.getsource(chain_rules) + inspect.getsource(chain_http2))
    ids = {cause for one in named for cause in re.findall(r'"([^"]+)"', one)}

    assert len(ids) >= 6
    assert all(re.match(CAUSE_ID, one) for one in ids)
    assert ids - set(causes()) == set()


def test_the_probe_and_the_judgement_mean_the_same_lines_of_the_kernel() -> None:
    for pattern in kernel_patterns():
        asked = re.compile(PATTERNS[KernelMessage(pattern.id)])
        assert all(asked.search(line) for line in KERNEL_SAYS[pattern.id]), pattern.id
        others = [line for name, lines in KERNEL_SAYS.items() if name != pattern.id for line in lines]
        assert not [line for line in others if asked.search(line)], pattern.id


@pytest.mark.parametrize(
    "phrase", [one for one in wording().phrases if one.id.startswith("kernel.")], ids=lambda one: one.id
)
def test_a_log_and_the_kernel_s_own_say_the_same_of_a_line(phrase: object) -> None:
    found = next(one for one in wording().phrases if one is phrase)
    meant = {
        pattern.cause
        for pattern in kernel_patterns()
        for line in KERNEL_SAYS[pattern.id]
        if any(text in line for text in found.texts)
    }

    assert meant == {found.causes[0]}


def test_what_forgets_idle_connections_is_known_as_a_silence() -> None:
    known = {one.seconds for one in known_gaps()}

    assert {one.seconds for one in idle_timeouts()} <= known
    idle = {
        seconds(value)
        for product in products().values()
        for aspect, value in product.defaults.items()
        if aspect in {Aspect.FLOW, Aspect.SENDS_IDLE, Aspect.RECEIVES_IDLE}
    }
    assert {one for one in idle if one is not None and one >= LEAST_S} <= known
