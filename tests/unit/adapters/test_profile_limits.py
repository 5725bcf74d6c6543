from __future__ import annotations

import json
from pathlib import Path

import pytest

from tcptune.adapters.profile_limits import LIMIT_ENTRY
from tcptune.adapters.profile_schema import profile_schema
from tcptune.adapters.profiles import load_profile, load_profiles, load_waivers
from tcptune.dialects import WRITERS
from tcptune.dialects.writing import ExportOptions
from tcptune.domain.guards import Guard
from tcptune.domain.profile import LimitEntry, Profile, compared
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import catalogue
from tcptune.reports import FORMATS
from tests.unit.adapters.test_profiles import load, mistakes, written

REASON = "why: because, source: getrlimit(2)"
LOAD = "load: {connections: {default: 30000, unit: connections, meaning: at the peak}}\n"


def text(*entries: str, name: str = "web", head: str = "") -> str:
    items = "".join(f"    - {{{entry}, {REASON}}}\n" for entry in entries)
    return f"profile: {name}\n{head}limits:\n  nofile:\n{items}"


def asked(profile: Profile) -> list[tuple[str, str]]:
    return [(one.at_least, one.who) for one in profile.limits]


def test_one_limit_is_a_mapping_and_several_are_a_list(tmp_path: Path) -> None:
    one = f"profile: web\nlimits:\n  nofile:\n    at_least: 65536\n    {REASON.replace(', ', chr(10) + '    ')}\n"
    several = text("at_least: 65536, processes: nginx", "at_least: '4096', processes: [sshd, 'haproxy*']")

    assert asked(load(tmp_path, one)) == [("65536", "every process that listens")]
    assert asked(load(tmp_path, several)) == [("65536", "nginx"), ("4096", "haproxy*, sshd")]


def test_an_entry_knows_its_reason_source_guard_and_place(tmp_path: Path) -> None:
    [one] = load(tmp_path, text("at_least: 65536, when: {kernel: '>= 5.4'}")).limits

    assert one == LimitEntry(
        at_least="65536",
        why="because",
        source="getrlimit(2)",
        profile="web",
        place=f"{tmp_path}/web.yml:4",
        when=Guard(kernel=">= 5.4"),
        group="web",
    )


def test_a_formula_keeps_the_load_variables_it_uses(tmp_path: Path) -> None:
    [one] = load(tmp_path, text('at_least: "{{ (connections * 2) | round_up_pow2 }}"', head=LOAD)).limits

    assert set(one.load) == {"connections"}


def test_a_profile_of_limits_alone_is_a_profile(tmp_path: Path) -> None:
    assert load(tmp_path, text("at_least: 65536")).entries == ()


def test_settings_and_limits_stand_beside_each_other(tmp_path: Path) -> None:
    head = "settings: {net.core.somaxconn: {exactly: 4096, why: w, source: s}}\n"
    made = load(tmp_path, text("at_least: 65536", head=head))

    assert (len(made.entries), len(made.limits)) == (1, 1)


MISTAKES = {
    "at_least: 64K": "takes one whole number, '64K' is none",
    "at_least: 65536.5": "takes one whole number",
    "at_least: '065536'": "takes one whole number",
    "at_least: '1 2'": "takes one whole number",
    "at_least: [1024, 2048]": "takes one whole number",
    "at_least: infinity": "no limit is infinite",
    "at_least: 0": "0 is outside 64..2147483584",
    "at_least: 2147483585": "is outside 64..2147483584",
    "at_least: -5": "-5 is outside",
    "at_least: yes": "no booleans",
    "at_least: ": "a value is missing here",
    "at_least: {a: 1}": "not a mapping",
    "exactly: 65536": "unknown key 'exactly'",
    "processes: [nginx]": "nofile has no 'at_least'",
    "at_least: 65536, processes: []": "'processes' is a list of names",
    "at_least: 65536, processes: [[a]]": "'processes' is a list of names",
    "at_least: 65536, processes: ['']": "'processes' is a list of names",
    "at_least: 65536, processes: {a: b}": "'processes' is a list of names",
    "at_least: 65536, when: {kernl: '5'}": "unknown key 'kernl'",
    "at_least: 65536, when: {kernel: many}": "is no comparison",
    "at_least: 65536, process: nginx": "unknown key 'process'",
    "at_least: '{{ connectons * 2 }}'": "connectons is neither a fact nor a load variable",
    "at_least: '{{ actual[0] * 2 }}'": "actual is neither a fact nor a load variable",
    "at_least: '{{ 1 / 0 }}'": "cannot be computed",
    "at_least: '{{ connections * 1000000 }}'": "this formula gives 30000000000: 30000000000 is outside",
}


@pytest.mark.parametrize(("entry", "said"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, entry: str, said: str) -> None:
    told = mistakes(tmp_path, text(entry, head=LOAD))

    assert said in told
    assert f"{tmp_path}/web.yml:5:" in told


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("limits:\n", "'limits' is empty"),
        ("limits: []\n", "'limits' maps the name"),
        ("limits: 65536\n", "'limits' maps the name"),
        ("limits: {nofile: 65536}\n", "nofile is a mapping, or a list of them"),
        ("limits: {nofile: []}\n", "nofile is a mapping, or a list of them"),
        ("limits: {nofile: [65536]}\n", "a limit is a mapping with at_least"),
        ("limits: {nofiles: {at_least: 1}}\n", "there is no limit 'nofiles'"),
        ("limits: {nproc: {at_least: 1}}\n", "there is no limit 'nproc'"),
        ("limits: {nofile: {at_least: 65536, why: w}}\n", "'source' is missing"),
        ("limits: {nofile: {at_least: 65536, source: s}}\n", "'why' is missing"),
    ],
)
def test_what_is_no_limit_is_refused(tmp_path: Path, limits: str, said: str) -> None:
    assert said in mistakes(tmp_path, f"profile: web\n{limits}")


def test_all_mistakes_are_told_at_once_each_with_a_hint(tmp_path: Path) -> None:
    told = mistakes(tmp_path, text("at_least: 64K", "at_leat: 5", head="settings: {net.core.somaxcon: {}}\n"))

    assert told.startswith(f"{tmp_path}/web.yml: 4 mistakes\n")
    assert told.count("\n  try: ") == 4
    assert "did you mean at_least?" in told


def test_an_entry_behind_one_for_the_same_processes_without_a_guard_never_counts(tmp_path: Path) -> None:
    said = mistakes(tmp_path, text("at_least: 1000, processes: [a, b]", "at_least: 2000, processes: [b, a]"))

    assert "nofile of a, b: the entry of" in said
    assert "never counts" in said
    assert len(load(tmp_path, text("at_least: 1000, when: {scope: host}", "at_least: 2000")).limits) == 2


# Merging


def test_a_profile_overrides_what_it_extends_for_the_same_processes_alone(tmp_path: Path) -> None:
    written(
        tmp_path, text("at_least: 9000, processes: [b, a]", "at_least: 8000, processes: c", name="base"), "base.yml"
    )
    made = load(tmp_path, text("at_least: 1000, processes: [a, b]", head="extends: [base.yml]\n"))

    assert asked(made) == [("8000", "c"), ("1000", "a, b")]


def test_an_override_with_a_guard_leaves_the_other_hosts_as_they_were(tmp_path: Path) -> None:
    written(tmp_path, text("at_least: 9000", name="base"), "base.yml")
    made = load(tmp_path, text("at_least: 1000, when: {scope: namespace}", head="extends: [base.yml]\n"))
    [alternatives] = made.limit_groups()

    assert [one.at_least for one in alternatives] == ["1000", "9000"]


def test_load_variables_of_what_is_extended_can_be_given_another_default(tmp_path: Path) -> None:
    formula = 'at_least: "{{ connections }}"'
    written(tmp_path, text(formula, name="base", head=LOAD), "base.yml")
    made = load(tmp_path, f"profile: web\nextends: [base.yml]\n{LOAD.replace('30000', '5000')}")

    assert made.limits[0].load["connections"].default == 5000


def test_of_several_profiles_every_entry_counts_and_what_they_share_counts_once(tmp_path: Path) -> None:
    written(tmp_path, text("at_least: 9000, processes: a", name="base"), "base.yml")
    one = written(tmp_path, text("at_least: 1000", name="one", head="extends: [base.yml]\n"), "one.yml")
    two = written(tmp_path, text("at_least: 2000", name="two", head="extends: [base.yml]\n"), "two.yml")
    made = load_profiles([str(one), str(two)])

    assert sorted(asked(made)) == [
        ("1000", "every process that listens"),
        ("2000", "every process that listens"),
        ("9000", "a"),
    ]
    # Two groups: neither is an alternative of the other, so the higher one counts.
    assert len(made.limit_groups()) == 3


def test_an_override_in_one_of_several_profiles_stands_for_both(tmp_path: Path) -> None:
    written(tmp_path, text("at_least: 9000, processes: a", name="base"), "base.yml")
    one = written(tmp_path, text("at_least: 1000, processes: a", name="one", head="extends: [base.yml]\n"), "one.yml")
    two = written(tmp_path, text("at_least: 2000", name="two", head="extends: [base.yml]\n"), "two.yml")

    assert ("9000", "a") not in asked(load_profiles([str(one), str(two)]))


# What else reads profiles


def test_a_waiver_may_be_about_the_limits(tmp_path: Path) -> None:
    path = written(tmp_path, "- {key: limits.nofile, who: ada, until: 2027-01-31, why: moves}\n", "waivers.yml")

    assert load_waivers(path)[0].covers("limits.nofile", "web1")


def test_other_limits_cannot_be_waived(tmp_path: Path) -> None:
    path = written(tmp_path, "- {key: limits.nproc, who: ada, until: 2027-01-31, why: moves}\n", "waivers.yml")
    with pytest.raises(ProfileError, match="not in the catalogue"):
        load_waivers(path)


def test_the_schema_knows_every_key_of_a_limit() -> None:
    schema = profile_schema(catalogue())

    assert set(schema["$defs"]["limit"]["properties"]) == set(LIMIT_ENTRY)
    assert set(schema["properties"]["limits"]["properties"]) == {"nofile"}
    assert {"required": ["limits"]} in schema["anyOf"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_profile_shows_its_limits(tmp_path: Path, format_: str) -> None:
    shown = FORMATS[format_](load(tmp_path, text("at_least: 65536, processes: [nginx], when: {scope: host}")))

    for said in ("nofile", "65536", "nginx", "because", "getrlimit(2)", "host"):
        assert said in shown


def test_a_difference_in_limits_is_a_difference(tmp_path: Path) -> None:
    left, right = (load(tmp_path, text(f"at_least: {number}, processes: nginx")) for number in (1000, 2000))
    [change] = compared(left, right).changes

    assert (change.key, change.before, change.after) == (
        "limits.nofile",
        ("at least 1000 for nginx",),
        ("at least 2000 for nginx",),
    )
    assert compared(left, left).changes == ()


@pytest.mark.parametrize("to", WRITERS)
def test_no_other_tools_file_says_them_and_that_is_told(tmp_path: Path, to: str) -> None:
    head = "settings: {net.ipv4.tcp_syncookies: {exactly: 1, why: w, source: s}}\n"
    made = WRITERS[to].write(load(tmp_path, text("at_least: 65536, processes: nginx", head=head)), ExportOptions())

    assert made.files
    assert [(one.text, one.path) for one in made.left_out] == [("nofile of nginx: at least 65536", "web")]


@pytest.mark.parametrize("name", ["web-frontend", "api-server", "high-connection"])
def test_built_in_profiles_ask_for_files_of_servers_they_name(name: str) -> None:
    [one] = load_profile(name).limits

    assert one.processes
    assert one.why
    assert one.source
    assert json.loads(one.model_dump_json())["limit"] == "nofile"
