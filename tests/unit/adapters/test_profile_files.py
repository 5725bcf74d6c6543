"""Profile files: every mistake at once with its place, inheritance, several profiles, waiver files, the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tcptune.adapters.profile_schema import profile_schema
from tcptune.adapters.profiles import load_file, load_profile, load_profiles, load_waivers
from tcptune.domain.demands import AtLeast, Exactly
from tcptune.domain.profile import Profile
from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import catalogue
from tests.profile_hosts import profile, written

SCHEMA = Path("docs/schemas/profile.schema.json")
SOMAXCONN = "net.core.somaxconn"
SYNCOOKIES = "net.ipv4.tcp_syncookies"

TWELVE = """\
profile: broken
format_version: 7
sumary: a typo
load:
  cpus: {default: 1, unit: x, meaning: taken}
settings:
  net.core.somaxcon:
    at_least: 4096
    why: w
    source: s
  net.core.somaxconn:
    at_least: 0100
    why: w
    source: s
  net.ipv4.tcp_rmem:
    exactly: 4096 131072
    why: w
    source: s
  net.ipv4.tcp_syncookies:
    exactly: on
    why: w
    source: s
  net.ipv4.tcp_fin_timeout:
    at_least: 15
    at_most: 60
    why: w
    source: s
  net.ipv4.tcp_keepalive_time:
    at_most: "{{ pek_rate * 2 }}"
    why: w
    source: s
  net.ipv4.tcp_keepalive_intvl:
    at_most: 30
    source: s
  net.ipv4.tcp_wmem:
    elements: [leave, {at_leest: 1}, leave]
    why: w
    source: s
  net.ipv4.tcp_mtu_probing:
    at_least: 1
    when: {kernel: newest}
    why: w
    source: s
"""
PLACES = {
    (2, 1): "format version 1, not 7",
    (3, 1): "unknown key 'sumary'",
    (5, 3): "'cpus' cannot name a load variable",
    (7, 3): "net.core.somaxcon is not in the catalogue",
    (12, 5): "leading zero",
    (16, 5): "takes three numbers, this has",
    (20, 5): "no booleans",
    (23, 3): "has 2 operators (at_least, at_most)",
    (29, 5): "pek_rate is neither a fact nor a load variable",
    (32, 3): "'why' is missing",
    (36, 23): "unknown operator 'at_leest'",
    (41, 12): "'newest' is no comparison",
}


def entry(operator: str, key: str = SOMAXCONN, more: str = "") -> str:
    return f"  {key}:\n    {operator}\n    why: w\n    source: s\n{more}"


def demands(found: Profile) -> dict[str, str]:
    return {e.key: str(e.demand) for e in found.entries}


def test_twelve_mistakes_are_told_at_once_each_with_line_column_and_hint(tmp_path: Path) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(TWELVE)

    with pytest.raises(ProfileError) as told:
        load_file(path)

    lines = str(told.value).splitlines()
    assert told.value.exit_code == 3
    assert lines[0] == f"{path}: 12 mistakes"
    found = {}
    for line, hint in zip(lines[1::2], lines[2::2], strict=True):
        at = re.fullmatch(rf"{re.escape(str(path))}:(\d+):(\d+): (.*)", line)
        assert at, line
        assert hint.startswith("  try: "), line
        found[int(at[1]), int(at[2])] = at[3]
    assert found.keys() == PLACES.keys()
    for place, words in PLACES.items():
        assert words in found[place]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("between: [60, 15]", "no value is between 60 and 15"),
        ("between: 15", "takes a list of two"),
        ("one_of: 15", "takes a list of values"),
        ("leave: 15", "takes no value"),
        ("absent: 1", "takes no value"),
        ("includes: 80", "holds no list of ports"),
        ("elements: [leave, leave]", "is no vector"),
        ("at_least: 4k", "takes whole decimal numbers"),
        ("at_least: -5", "-5"),
        ("at_least: '{{ 2 ** 9 }}'", "pow has no place"),
        ("at_least: '{{ memory_bytes }}'", "this formula gives 17179869184"),
        ("at_least: '{{ 1 / (cpus - 4) }}'", "division by zero"),
        ("at_least: 4096\n    when: {scope: pod}", "scope"),
        ("at_least: 4096\n    when: {kernal: '>= 6'}", "unknown key 'kernal'"),
        ("at_least: 4096\n    when: {memory: '>= 8'}", "no size such as 8 GiB"),
        ("at_least: 4096\n    whi: x", "unknown key 'whi'"),
        ("", "has no operator"),
    ],
)
def test_a_mistake_in_an_entry_is_explained(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ProfileError, match=re.escape(said)):
        profile(tmp_path, entry(text))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("load: {Rate: {default: 1, unit: x, meaning: m}}\n", "cannot name a load variable"),
        ("load: {rate: {default: fast, unit: x, meaning: m}}\n", "the default is no number"),
        ("load: {rate: {default: 1, meaning: m}}\n", "'unit' is missing"),
        ("extends: baseline\n", "a list of profile names"),
        ("extends: [basline]\n", "there is no profile 'basline'"),
        ("waivers: [{key: net.core.somaxconn, who: me, why: w}]\n", "needs its last day"),
        ("waivers: [{key: net.core.somaxconn, who: me, why: w, until: 2026-02-30}]\n", "needs its last day"),
        ("waivers: [{key: net.core.nope, who: me, why: w, until: 2026-02-28}]\n", "not in the catalogue"),
    ],
)
def test_a_mistake_in_the_head_is_explained(tmp_path: Path, head: str, said: str) -> None:
    with pytest.raises(ProfileError, match=re.escape(said)):
        profile(tmp_path, entry("at_least: 4096"), head)


def test_an_alternative_after_one_without_a_guard_is_a_mistake(tmp_path: Path) -> None:
    text = f"  {SOMAXCONN}:\n    - {{leave: true, why: w, source: s}}\n    - {{at_least: 1, why: w, source: s}}\n"

    with pytest.raises(ProfileError, match="never counts"):
        profile(tmp_path, text)


def test_a_child_replaces_what_it_inherits_and_keeps_the_rest(tmp_path: Path) -> None:
    written(tmp_path, "parent", entry("at_least: 4096") + entry("exactly: 1", SYNCOOKIES))

    found = profile(tmp_path, entry("at_least: 1024"), "extends: [parent.yml]\n")

    assert demands(found) == {SOMAXCONN: "at least 1024", SYNCOOKIES: "1"}
    assert [e.profile for e in found.entries] == ["mine", "parent"]


def test_what_is_inherited_counts_where_no_guard_of_the_childs_holds(tmp_path: Path) -> None:
    written(tmp_path, "parent", entry("at_least: 4096"))

    found = profile(tmp_path, entry("at_least: 9000", more="    when: {roles: [edge]}\n"), "extends: [parent.yml]\n")

    [[first, second]] = found.groups()[SOMAXCONN]
    assert (str(first.demand), str(second.demand)) == ("at least 9000", "at least 4096")


def test_a_child_may_change_the_default_of_an_inherited_load_variable(tmp_path: Path) -> None:
    head = "load: {rate: {default: %s, unit: 1/s, meaning: m}}\n"
    written(tmp_path, "parent", entry("at_least: '{{ rate }}'"), head % 100)

    found = profile(tmp_path, entry("exactly: 1", SYNCOOKIES), "extends: [parent.yml]\n" + head % 200)

    assert found.entries[0].load["rate"].default == 200


def test_parents_that_clash_name_both_lines_unless_the_child_decides(tmp_path: Path) -> None:
    written(tmp_path, "low", entry("at_most: 1024"))
    written(tmp_path, "high", entry("at_least: 4096"))
    head = "extends: [low.yml, high.yml]\n"

    with pytest.raises(ProfileError) as clash:
        profile(tmp_path, entry("exactly: 1", SYNCOOKIES), head)

    assert "low.yml:3" in str(clash.value)
    assert "high.yml:3" in str(clash.value)
    assert demands(profile(tmp_path, entry("exactly: 2048"), head)) == {SOMAXCONN: "2048"}


def test_what_one_profile_overrides_does_not_clash_with_what_another_inherits(tmp_path: Path) -> None:
    written(tmp_path, "parent", entry("at_least: 4096"))
    head = "extends: [parent.yml]\n"
    lower = written(tmp_path, "lower", entry("at_most: 1024"), head)
    other = written(tmp_path, "other", entry("exactly: 1", SYNCOOKIES), head)

    found = load_profiles([lower, other])

    assert [str(e.demand) for e in found.entries if e.key == SOMAXCONN] == ["at most 1024"]


def test_a_shared_parent_counts_once(tmp_path: Path) -> None:
    written(tmp_path, "parent", entry("at_least: 4096"))
    head = "extends: [parent.yml]\n"
    names = [written(tmp_path, name, entry("exactly: 1", SYNCOOKIES), head) for name in ("a", "b")]

    found = load_profiles(names)

    assert [e.demand for e in found.entries if e.key == SOMAXCONN] == [AtLeast(value="4096")]
    assert {type(e.demand) for e in found.entries if e.key == SYNCOOKIES} == {Exactly}


def test_profiles_that_extend_each_other_are_told_as_a_circle(tmp_path: Path) -> None:
    written(tmp_path, "a", entry("at_least: 1"), "extends: [b.yml]\n")
    written(tmp_path, "b", entry("at_least: 1"), "extends: [a.yml]\n")

    with pytest.raises(ProfileError, match="in a circle"):
        load_profile(str(tmp_path / "a.yml"))


def test_a_folded_text_keeps_no_mark_of_its_folding(tmp_path: Path) -> None:
    path = tmp_path / "folded.yml"
    long = "word " * 60
    body = f"leave: true\n    source: s\n    why: >-\n      {long}\n      {long}\n"
    path.write_text(f"profile: f\nsettings:\n  {SOMAXCONN}:\n    {body}")

    assert load_file(path).entries[0].why == (long * 2).strip()


def test_waivers_stand_in_a_file_of_their_own_too(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yml"
    path.write_text(f"- {{key: {SOMAXCONN}, hosts: [web1, web2], who: me, until: 2027-01-31, why: later}}\n")

    [waiver] = load_waivers(path)

    assert waiver.covers(SOMAXCONN, "web2")
    assert not waiver.covers(SOMAXCONN, "web3")
    assert waiver.place == f"{path}:1"


def test_mistakes_of_a_waiver_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "waivers.yml"
    path.write_text("- {key: net.core.nope, who: me, until: soon}\n- nobody\n")

    with pytest.raises(ProfileError, match="4 mistakes"):
        load_waivers(path)


def test_the_published_schema_is_the_generated_one() -> None:
    assert json.loads(SCHEMA.read_text()) == profile_schema(catalogue()), (
        f"run: tcptune profile schema -o {SCHEMA}, and review the difference"
    )


def valid(document: Any) -> bool:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(profile_schema(catalogue()))
    validator.check_schema(profile_schema(catalogue()))
    return bool(validator.is_valid(document))


def test_the_schema_takes_every_construct_of_the_language() -> None:
    text = """
profile: all
format_version: 1
summary: Everything.
extends: [baseline]
load: {rate: {default: 1.5, unit: 1/s, meaning: m}}
settings:
  net.core.somaxconn:
    - {at_least: "{{ rate * 2 }}", when: {kernel: ">= 5.4", memory: ">= 1 GiB", scope: host, roles: edge}, why: w,
       source: s}
    - {between: [1, 2], why: w, source: s}
  net.ipv4.tcp_rmem: {elements: [leave, {at_most: 1}, {between: [1, 2]}], why: w, source: s}
  net.ipv4.tcp_wmem: {exactly: [1, 2, 3], why: w, source: s}
  net.ipv4.tcp_tw_reuse: {absent: true, why: w, source: s}
  net.ipv4.tcp_fin_timeout: {leave: true, why: w, source: s}
  net.ipv4.tcp_syncookies: {one_of: [1, 2], why: w, source: s}
waivers: [{key: net.core.somaxconn, hosts: ["web*"], who: me, until: "2027-01-31", why: w}]
"""
    assert valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "settings",
    [
        {"net.core.somaxcon": {"leave": True, "why": "w", "source": "s"}},
        {"net.core.somaxconn": {"why": "w", "source": "s"}},
        {"net.core.somaxconn": {"at_least": 1, "at_most": 2, "why": "w", "source": "s"}},
        {"net.core.somaxconn": {"at_least": 1, "source": "s"}},
        {"net.core.somaxconn": {"at_least": True, "why": "w", "source": "s"}},
        {"net.ipv4.tcp_rmem": {"elements": ["leave", "leave"], "why": "w", "source": "s"}},
        {"net.core.somaxconn": {"at_least": 1, "when": {"scope": "pod"}, "why": "w", "source": "s"}},
        {},
    ],
)
def test_the_schema_refuses_what_the_language_does(settings: dict[str, Any]) -> None:
    assert not valid({"profile": "p", "settings": settings})
