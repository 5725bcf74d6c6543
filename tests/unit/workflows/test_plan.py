from __future__ import annotations

from tcptune.domain.facts import Collected, Unread
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.playbook import render
from tcptune.workflows.plan import plan
from tests.unit.builders import ABSENT, NOW, SOMAXCONN, facts, host, profile, rule

PROFILE = profile(rule(SOMAXCONN, "4096"))
COLLECTED: list[Collected] = [
    facts("low2", {SOMAXCONN: "128"}),
    facts("fine", {SOMAXCONN: "4096"}),
    facts("pod", {SOMAXCONN: ABSENT}),
    Unread(host="down", error="no SSH session", hint="ssh down true"),
    facts("low1", {SOMAXCONN: "128"}),
]
HOSTS = [host(one.host, become_password="hunter2", login_password="hunter3") for one in COLLECTED]
MADE = plan(COLLECTED, HOSTS, PROFILE, catalogue(), NOW)


def test_every_host_is_changed_fine_or_left_out_with_a_reason() -> None:
    assert [c.hosts for c in MADE.cohorts] == [("low1", "low2")]
    assert MADE.fine == ("fine", "pod")
    assert [(s.host, s.key) for s in MADE.skipped] == [("down", None), ("pod", SOMAXCONN)]


def test_the_plan_knows_how_its_hosts_are_reached_and_from_which_profile_it_comes() -> None:
    assert {name: c.address for name, c in MADE.hosts.items()} == {"low1": "low1.example", "low2": "low2.example"}
    assert (MADE.profile, MADE.profile_digest, MADE.made_at) == (PROFILE.name, PROFILE.digest, NOW)


def test_no_password_is_in_a_plan_or_in_what_is_rendered_from_it() -> None:
    assert "hunter" not in MADE.model_dump_json()
    assert "hunter" not in str(render(MADE, "run1"))


def test_a_fleet_of_which_nothing_could_be_read_gives_a_plan_without_changes() -> None:
    made = plan([Unread(host="down", error="no SSH session")], HOSTS, PROFILE, catalogue(), NOW)

    assert (made.cohorts, made.fine, made.hosts) == ((), (), {})
    assert [s.host for s in made.unread] == ["down"]
