"""What the audit makes of a profile on a host: guards, formulas, absent, waivers, several profiles."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tcptune.adapters.profiles import load_profiles
from tcptune.domain.findings import Deviates, Met, NotApplicable, Unknown, Waived, Where
from tcptune.domain.hosts import Declared
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import catalogue
from tcptune.planning.audit import audit_host
from tcptune.planning.plan import plan_host
from tests.profile_hosts import GIB, TODAY, facts, only_finding, profile, written

SOMAXCONN = "net.core.somaxconn"
RATE = """\
load:
  rate: {default: 40000, unit: connections/s, meaning: peak}
  stall_s: {default: 0.2, unit: s, meaning: longest stall}
"""
FORMULA = f"""\
  {SOMAXCONN}:
    at_least: "{{{{ (rate * stall_s) | round_up_pow2 }}}}"
    why: bursts
    source: listen(2)
"""


def asks(operator: str, *, key: str = SOMAXCONN, more: str = "") -> str:
    return f"  {key}:\n    {operator}\n    why: a reason\n    source: a source\n{more}"


def test_a_formula_is_evaluated_and_shown_beside_its_value(tmp_path: Path) -> None:
    found = only_finding(facts({SOMAXCONN: "4096"}), profile(tmp_path, FORMULA, RATE))

    assert isinstance(found, Deviates)
    assert found.demand == "at least 8192 = round_up_pow2(40000 * 0.2)"
    assert found.layers.wanted == "8192"


def test_declared_load_beats_the_default_of_the_profile(tmp_path: Path) -> None:
    wanted = profile(tmp_path, FORMULA, RATE)

    found = only_finding(facts({SOMAXCONN: "4096"}), wanted, Declared(load={"rate": 20000}))

    assert isinstance(found, Met)
    assert found.demand == "at least 4096 = round_up_pow2(20000 * 0.2)"


def test_a_formula_whose_value_the_setting_cannot_have_is_unknown_not_met(tmp_path: Path) -> None:
    found = only_finding(facts({SOMAXCONN: "4096"}), profile(tmp_path, FORMULA, RATE), Declared(load={"rate": 1e7}))

    assert isinstance(found, Unknown)
    assert "2097152" in found.why


def test_a_formula_may_ask_for_the_settings_own_numbers_and_the_hosts_memory(tmp_path: Path) -> None:
    key = "net.ipv4.tcp_rmem"
    wanted = profile(
        tmp_path, asks('elements: [leave, leave, {at_least: "{{ min(actual[2] * 2, memory_bytes / 64) }}"}]', key=key)
    )

    found = only_finding(facts({key: "4096 131072 6291456"}, memory_bytes=8 * GIB), wanted)

    assert isinstance(found, Deviates)
    assert found.layers.wanted == "4096 131072 12582912"
    assert found.demand == "any any >=12582912 (12582912 = min(actual[2] * 2, memory_bytes / 64))"


def test_hosts_that_differ_in_a_little_memory_share_the_words_of_a_finding(tmp_path: Path) -> None:
    wanted = profile(tmp_path, asks('at_least: "{{ round_up_pow2(memory_bytes / GiB) * 1024 }}"'))

    found = {only_finding(facts({SOMAXCONN: "128"}, memory_bytes=7 * GIB + more), wanted) for more in (0, 4096)}

    assert len(found) == 1


def test_a_plan_shows_the_formula_beside_the_change(tmp_path: Path) -> None:
    host = facts({SOMAXCONN: "4096"})
    audit = audit_host(host, profile(tmp_path, FORMULA, RATE), catalogue(), today=TODAY)
    [change] = plan_host(host, audit, catalogue())[0].changes

    assert (change.after, change.formula) == ("8192", "at least 8192 = round_up_pow2(40000 * 0.2)")


def test_a_guard_that_does_not_hold_makes_the_entry_not_applicable(tmp_path: Path) -> None:
    wanted = profile(tmp_path, asks("at_least: 8192", more='    when: {kernel: ">= 6.6"}\n'))

    found = only_finding(facts({SOMAXCONN: "128"}, kernel="6.1.0"), wanted)

    assert found == NotApplicable(key=SOMAXCONN, why="only for kernel >= 6.6; this is 6.1.0")


def test_the_first_alternative_whose_guard_holds_counts(tmp_path: Path) -> None:
    wanted = profile(
        tmp_path,
        f"""\
  {SOMAXCONN}:
    - {{at_least: 16384, when: {{roles: [edge]}}, why: edge, source: x}}
    - {{at_least: 4096, why: others, source: x}}
""",
    )
    host = facts({SOMAXCONN: "4096"})

    assert isinstance(only_finding(host, wanted), Met)
    assert only_finding(host, wanted, Declared(roles=("edge",))).why == "edge"


def test_a_scope_is_told_from_host_only_keys_where_nothing_else_tells(tmp_path: Path) -> None:
    wanted = profile(tmp_path, asks("at_least: 4096", more="    when: {scope: host}\n"))
    inside = facts({SOMAXCONN: "128", "net.ipv4.tcp_mem": None})
    outside = facts({SOMAXCONN: "128", "net.ipv4.tcp_mem": "1 2 3"})

    assert isinstance(only_finding(inside, wanted), NotApplicable)
    assert isinstance(only_finding(outside, wanted), Deviates)
    assert isinstance(only_finding(facts({SOMAXCONN: "128"}), wanted), Unknown)


def test_absent_is_met_where_no_file_sets_the_key(tmp_path: Path) -> None:
    key = "net.ipv4.tcp_tw_reuse"
    wanted = profile(tmp_path, asks("absent: true", key=key))

    assert isinstance(only_finding(facts({key: None}), wanted), Met)
    assert isinstance(only_finding(facts({key: "2"}), wanted), Met)


def test_absent_deviates_where_a_file_sets_it_even_if_the_kernel_lacks_it_and_names_the_line(tmp_path: Path) -> None:
    key = "net.ipv4.tcp_tw_reuse"
    wanted = profile(tmp_path, asks("absent: true", key=key))
    host = facts({key: None}, files={"/etc/sysctl.d/60-old.conf": f"# guide\n{key} = 1\n"})

    found = only_finding(host, wanted)

    assert isinstance(found, Deviates)
    assert found.where is Where.BOOT
    assert found.by_hand is not None
    assert "/etc/sysctl.d/60-old.conf:2" in found.by_hand
    assert found.layers.actual == "not in this kernel"


def test_absent_deviates_at_runtime_where_somebody_set_it_by_hand(tmp_path: Path) -> None:
    key = "net.ipv4.tcp_tw_reuse"

    found = only_finding(facts({key: "1"}), profile(tmp_path, asks("absent: true", key=key)))

    assert isinstance(found, Deviates)
    assert found.where is Where.RUNTIME
    assert f"sysctl -w {key}=2" in (found.by_hand or "")


def test_a_plan_leaves_the_removal_of_a_foreign_line_to_a_person(tmp_path: Path) -> None:
    key = "net.ipv4.tcp_tw_reuse"
    host = facts({key: "2"}, files={"/etc/sysctl.conf": "", "/etc/sysctl.d/60-old.conf": f"{key} = 1\n"})
    audit = audit_host(host, profile(tmp_path, asks("absent: true", key=key)), catalogue(), today=TODAY)

    plan, skipped = plan_host(host, audit, catalogue())

    assert plan.changes == ()
    assert "/etc/sysctl.d/60-old.conf:1" in skipped[0].why


def waiver(until: date, hosts: str = "web*") -> str:
    return (
        f"waivers:\n  - {{key: {SOMAXCONN}, hosts: '{hosts}', who: ops@example.org, until: {until}, why: migration}}\n"
    )


def test_a_waived_deviation_is_no_deviation_until_its_last_day(tmp_path: Path) -> None:
    wanted = profile(tmp_path, asks("at_least: 4096"), waiver(TODAY))

    found = only_finding(facts({SOMAXCONN: "128"}), wanted)

    assert isinstance(found, Waived)
    assert (found.who, found.until, found.layers.actual) == ("ops@example.org", TODAY, "128")


def test_a_waiver_that_ran_out_is_a_deviation_again_and_says_so(tmp_path: Path) -> None:
    yesterday = TODAY - timedelta(days=1)

    found = only_finding(facts({SOMAXCONN: "128"}), profile(tmp_path, asks("at_least: 4096"), waiver(yesterday)))

    assert isinstance(found, Deviates)
    assert found.note == f"the waiver of ops@example.org ran out on {yesterday}: migration"


def test_a_waiver_is_for_the_hosts_it_names_and_for_deviations_only(tmp_path: Path) -> None:
    wanted = profile(tmp_path, asks("at_least: 4096"), waiver(TODAY, "db1, db2"))

    assert isinstance(only_finding(facts({SOMAXCONN: "128"}, host="web1"), wanted), Deviates)
    assert isinstance(only_finding(facts({SOMAXCONN: "4096"}, host="db2"), wanted), Met)
    assert isinstance(only_finding(facts({SOMAXCONN: "128"}, host="db2"), wanted), Waived)


def test_a_plan_lists_what_is_waived_and_does_not_change_it(tmp_path: Path) -> None:
    host = facts({SOMAXCONN: "128"})
    audit = audit_host(host, profile(tmp_path, asks("at_least: 4096"), waiver(TODAY)), catalogue(), today=TODAY)

    plan, skipped = plan_host(host, audit, catalogue())

    assert plan.changes == ()
    assert skipped[0].why == f"waived until {TODAY} by ops@example.org: migration"


def test_two_profiles_are_solved_to_one_value_per_host(tmp_path: Path) -> None:
    names = [
        written(tmp_path, "floor", FORMULA, RATE),
        written(tmp_path, "ceiling", asks("at_most: 16384")),
    ]

    found = only_finding(facts({SOMAXCONN: "65535"}), load_profiles(names))

    assert isinstance(found, Deviates)
    assert found.demand == "between 8192 and 16384"
    assert found.layers.wanted == "16384"
    assert found.why == "bursts; a reason"


@pytest.mark.parametrize(
    ("demands", "reasons"),
    [
        pytest.param(("at_least: 1024", "at_least: 4096"), "why 1", id="the higher one is the reason"),
        pytest.param(("at_least: 4096", "exactly: 4096"), "why 1", id="an exact value is the reason"),
        pytest.param(("at_least: 1024", "at_least: 4096", "at_least: 4096"), "why 1; why 2", id="two want the same"),
        pytest.param(("at_least: 4096", "at_most: 8192"), "why 0; why 1", id="each is one bound"),
        pytest.param(("leave: true", "at_least: 4096"), "why 1", id="one leaves it alone"),
    ],
)
def test_only_profiles_that_bind_give_the_reason(tmp_path: Path, demands: tuple[str, ...], reasons: str) -> None:
    texts = [asks(demand).replace("a reason", f"why {at}") for at, demand in enumerate(demands)]
    names = [written(tmp_path, f"profile{at}", text) for at, text in enumerate(texts)]

    found = only_finding(facts({SOMAXCONN: "128"}), load_profiles(names))

    assert isinstance(found, Deviates)
    assert found.why == reasons


def test_formulas_that_clash_on_a_host_name_both_profiles_and_lines(tmp_path: Path) -> None:
    names = [written(tmp_path, "floor", FORMULA, RATE), written(tmp_path, "ceiling", asks("at_most: 1024"))]
    wanted = load_profiles(names)

    with pytest.raises(ProfileError) as clash:
        only_finding(facts({SOMAXCONN: "128"}), wanted)

    assert "floor.yml:6" in str(clash.value)
    assert "ceiling.yml:3" in str(clash.value)
    assert "at least 8192 = round_up_pow2(40000 * 0.2)" in str(clash.value)
