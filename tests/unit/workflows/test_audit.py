from __future__ import annotations

from tcptune.domain.facts import Unread
from tcptune.knowledge.catalogue import catalogue
from tcptune.workflows.audit import audit
from tests.unit.builders import ETC, SOMAXCONN, facts, profile, rule

PROFILE = profile(rule(SOMAXCONN, "4096"), name="web")
FINE, LOW = facts("fine", {SOMAXCONN: "4096"}), facts("low", {SOMAXCONN: "128"})
CLOSED = facts("closed", {SOMAXCONN: "4096"}, {f"{ETC}/x.conf": None})
DOWN = Unread(host="down", error="no SSH session")


def test_every_host_is_in_the_result_once_by_name() -> None:
    found = audit([LOW, DOWN, FINE, CLOSED], PROFILE, catalogue())

    assert found.profile == "web"
    assert [h.host for h in found.hosts] == ["closed", "fine", "low"]
    assert found.unread == (DOWN,)


def test_hosts_that_could_not_be_read_are_listed_by_name() -> None:
    also = Unread(host="a", error="no SSH session")

    assert audit([DOWN, also], PROFILE, catalogue()).unread == (also, DOWN)


def test_only_a_host_that_was_judged_in_full_can_be_fine() -> None:
    found = audit([LOW, DOWN, FINE, CLOSED], PROFILE, catalogue())

    assert [h.host for h in found.deviating] == ["low"]
    assert [h.host for h in found.undecided] == ["closed"]
