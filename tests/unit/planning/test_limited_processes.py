"""Which processes an entry about limits means, and what is said where that is not known."""

from __future__ import annotations

from datetime import date

import pytest

from tcptune.domain.findings import (
    LimitDeviates,
    LimitMet,
    LimitNotApplicable,
    LimitUnknown,
    LimitWaived,
)
from tcptune.domain.guards import Guard
from tcptune.domain.hosts import Declared
from tcptune.domain.profile import Waiver
from tcptune.domain.state import Listener, Listeners
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.plan import plan_host
from tests.unit.planning.test_limits import (
    CONNECTIONS,
    NGINX,
    host,
    judge,
    judged,
    limit,
    of,
    process,
    unit,
)


@pytest.mark.parametrize(
    ("pattern", "name", "unit_name"),
    [
        ("nginx", "nginx", None),
        ("ngin?", "nginx", None),
        ("nginx", "web", "nginx.service"),
        ("nginx.service", "web", "nginx.service"),
        ("postgresql@*", "postgres", "postgresql@15-main.service"),
        ("prometheus-node-exporter", "prometheus-node", None),
    ],
)
def test_a_name_means_a_process_or_a_unit(pattern: str, name: str, unit_name: str | None) -> None:
    assert isinstance(judged(host(process(900, name=name, unit=unit_name)), limit(65536, pattern)), LimitDeviates)


@pytest.mark.parametrize("pattern", ["nginx", "prometheus-no", "prometheus-mode", "Prometheus*"])
def test_other_names_do_not(pattern: str) -> None:
    found = judged(host(process(name="prometheus-node", unit=None)), limit(65536, pattern))

    assert isinstance(found, LimitNotApplicable)
    assert (found.process, found.why) == (pattern, "no such process listens")


def test_without_names_every_process_that_listens_is_meant_but_the_service_manager() -> None:
    found = judge(
        host(
            process(name="systemd", pid=1, unit="init.scope"),
            process(name="sshd", pid=2, unit="ssh.service"),
            process(name="nginx", pid=3),
        )
    )

    assert [(f.process, f.unit) for f in found] == [("nginx", NGINX), ("sshd", "ssh.service")]


def test_of_several_entries_about_a_process_the_highest_counts() -> None:
    found = judged(
        host(process(5000, 5000), files=unit("5000")), limit(4096), limit(8192, "nginx", why="more"), limit(6000)
    )

    assert isinstance(found, LimitDeviates)
    assert (found.layers.wanted, found.why) == (8192, "more")


def test_entries_of_one_group_are_alternatives() -> None:
    small = limit(100, when=Guard(memory=">= 8 GiB"))
    large = limit(9000)

    assert isinstance(
        judged(host(process(5000, 5000), files=unit("5000"), memory_bytes=16 << 30), small, large), LimitMet
    )
    assert isinstance(judged(host(process(5000, 5000), files=unit("5000")), small, large), LimitDeviates)


def test_a_guard_that_does_not_hold_is_not_applicable_and_one_that_cannot_be_judged_unknown() -> None:
    guarded = limit(when=Guard(kernel=">= 99.0"))

    assert isinstance(judged(host(process()), guarded), LimitNotApplicable)
    assert isinstance(judged(host(process(), memory_bytes=None), limit(when=Guard(memory=">= 1 GiB"))), LimitUnknown)


# What cannot be seen


def test_processes_that_are_not_known_are_no_pass() -> None:
    for found in (
        host().model_copy(update={"listeners": None, "gaps": {"listeners": "no ss"}}),
        host().model_copy(update={"listeners": Listeners(source="proc", listeners=(), notes=("no ss",))}),
    ):
        only = judged(found)
        assert isinstance(only, LimitUnknown)
        assert only.why == "which processes listen is not known: no ss"


def test_a_login_without_root_does_not_see_who_listens() -> None:
    assert isinstance(judged(host(unowned=1, user="1000"), limit(65536, "nginx")), LimitUnknown)


def test_what_root_sees_no_process_of_is_the_kernels() -> None:
    found = judged(host(process(name="sshd", unit="ssh.service"), unowned=1), limit(65536, "nginx"))

    assert isinstance(found, LimitNotApplicable)


def test_where_some_processes_are_hidden_a_named_one_is_judged_and_all_are_unknown() -> None:
    here = host(process(70000, 70000), files=unit("70000"), unowned=1, user="1000")

    assert isinstance(judged(here, limit(65536, "nginx")), LimitMet)
    assert [type(f) for f in judge(here, limit())] == [LimitMet, LimitUnknown]


def test_processes_beyond_those_described_are_no_pass() -> None:
    found = host(process(70000, 70000), files=unit("70000"))
    assert found.listeners
    many = Listener(address="*", port=1, queue=0, backlog=1, pids=(910, 911))
    cut = found.model_copy(update={"listeners": found.listeners.model_copy(update={"listeners": (many,)})})

    assert [type(f) for f in judge(cut)] == [LimitMet, LimitUnknown]


@pytest.mark.parametrize("missing", ["unit_files", "config_files"])
def test_facts_of_an_older_release_do_not_tell_the_next_start(missing: str) -> None:
    found = judged(host(process(70000, 70000), files=unit("70000")).model_copy(update={missing: None}))

    assert isinstance(found, LimitUnknown)
    assert "collect them again" in found.why


def test_on_a_host_where_nothing_listens_nothing_is_asked() -> None:
    assert isinstance(judged(host()), LimitNotApplicable)


# Formulas


def test_a_formula_is_computed_with_the_load_of_the_host() -> None:
    entry = limit("{{ (connections * 2) | round_up_pow2 }}", load={"connections": CONNECTIONS})
    here = host(process(2048, 2048), files=unit("2048"))

    assert isinstance(judged(here, entry), LimitMet)
    found = judged(here, entry, declared=Declared(load={"connections": 30000}))
    assert isinstance(found, LimitDeviates)
    assert found.demand == "at least 65536 = round_up_pow2(30000 * 2)"


@pytest.mark.parametrize("formula", ["{{ connections * 9000000 }}", "{{ 1 }}", "{{ link_speed_mbps }}"])
def test_a_formula_that_gives_no_limit_here_is_unknown(formula: str) -> None:
    found = judged(host(process()), limit(formula, load={"connections": CONNECTIONS}))

    assert isinstance(found, LimitUnknown)
    assert found.why.startswith("here:")


# Waivers, hosts and plans


def test_a_waiver_covers_the_limits_of_a_host_until_its_day() -> None:
    waiver = Waiver(key="limits.nofile", hosts="web*", who="ada", until=date(2027, 1, 31), why="moves next week")
    here = host(process())

    waived = judged(here, waivers=(waiver,), today=date(2027, 1, 31))
    assert isinstance(waived, LimitWaived)
    assert (waived.who, waived.demand, waived.layers.soft) == ("ada", "at least 65536", 1024)
    late = judged(here, waivers=(waiver,), today=date(2027, 2, 1))
    assert isinstance(late, LimitDeviates)
    assert late.notes == ("the waiver of ada ran out on 2027-01-31: moves next week",)


def test_a_limit_that_is_met_is_nothing_to_a_plan() -> None:
    here = host(process(70000, 70000), files=unit("70000"))

    assert plan_host(here, audit_host(here, of(limit()), catalogue()), catalogue())[1] == ()
