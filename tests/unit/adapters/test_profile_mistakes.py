from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcptune.errors import ProfileError
from tcptune.knowledge.catalogue import catalogue
from tests.unit.adapters.test_profiles import entry, load, mistakes, with_settings
from tests.unit.builders import FIN_TIMEOUT, PORTS, RMEM, SOMAXCONN, SYNCOOKIES

TWELVE = """\
profile: ''
format_version: 2
sumary: a test
extends: [baseline, 7.yml]
settings:
  net.core.somaxconn: {exactly: 04096, why: w, source: s}
  net.core.somaxcon: {exactly: 4096, why: w, source: s}
  net.ipv4.tcp_fastopen_key: {exactly: 1, why: w, source: s}
  net.ipv4.tcp_rmem: {exactly: 4096 131072, why: w, source: s}
  net.ipv4.tcp_wmem: {exactly: 4096 1 2, why: w, source: s}
  net.ipv4.tcp_syncookies: {exactly: true, why: w, source: s}
  net.ipv4.tcp_tw_reuse: {exactly: 1, at_least: 1, why: w, source: s}
  net.ipv4.tcp_fin_timeout: {between: 15, why: w}
  net.ipv4.tcp_mtu_probing: 1
"""

PLACES = [
    ("1:1", "'profile' is missing"),
    ("2:1", "reads format version 1, not 2"),
    ("3:1", "unknown key 'sumary'"),
    ("4:21", "7.yml: No such file or directory"),
    ("6:24", "leading zero"),
    ("7:3", "net.core.somaxcon is not in the catalogue"),
    ("8:3", "is a secret"),
    ("9:23", "takes three numbers, this has 2"),
    ("10:23", "wants min <= default <= max"),
    ("11:29", "no booleans"),
    ("12:3", "has 2 operators (exactly, at_least)"),
    ("13:3", "'source' is missing"),
    ("13:30", "'between' takes a list of two"),
    ("14:3", "has a value and no operator"),
]


def test_every_mistake_of_a_file_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    head, *lines = mistakes(tmp_path, TWELVE).splitlines()

    assert head == f"{tmp_path}/web.yml: {len(PLACES)} mistakes"
    told = [line.removeprefix(f"{tmp_path}/web.yml:") for line in lines if not line.startswith("  try: ")]
    assert [line.partition(": ")[0] for line in told] == [place for place, _ in PLACES]
    for line, (_, said) in zip(told, PLACES, strict=True):
        assert said in line


def test_one_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    said = mistakes(tmp_path, with_settings(entry(SOMAXCONN, "exactly: 0")))

    assert said == f"{tmp_path}/web.yml:3:24: 0 is outside 1..65535 (connections)"


@pytest.mark.parametrize(
    ("key", "demand", "said"),
    [
        (SOMAXCONN, "exactly: 4k", "without unit"),
        (SOMAXCONN, "exactly: --5", "without unit"),
        (SOMAXCONN, "exactly: 4_096", "without unit"),
        (SOMAXCONN, "exactly: -1", "is negative"),
        (SOMAXCONN, "exactly: ", "a value is missing here"),
        (SOMAXCONN, "exactly: ''", "takes one number, this has 0"),
        (SOMAXCONN, "exactly: {a: 1}", "not a mapping"),
        (SOMAXCONN, "exactly: [1, 2]", "takes one number, this has 2"),
        (SOMAXCONN, "exactly: off", "no booleans"),
        (SOMAXCONN, "at_leat: 4096", "unknown key 'at_leat'"),
        (SOMAXCONN, "leave: false", "'leave' takes no value"),
        (SOMAXCONN, "leave: 'true'", "'leave' takes no value"),
        (SOMAXCONN, "between: [1]", "takes a list of two"),
        (SOMAXCONN, "between: [1, 2, 3]", "takes a list of two"),
        (SOMAXCONN, "between: [1, many]", "'many' is none"),
        (SOMAXCONN, "one_of: []", "takes a list of values"),
        (SOMAXCONN, "one_of: 1", "takes a list of values"),
        (SOMAXCONN, "one_of: [1, 0]", "0 is outside"),
        (SYNCOOKIES, "exactly: 3", "outside 0..2"),
        (PORTS, "exactly: 60999 32768", "wants low <= high"),
        (RMEM, "at_least: 4096", "takes three numbers, this has 1"),
        (SOMAXCONN, "elements: [leave]", "is no vector"),
        (PORTS, "elements: [leave]", "a list of 2 operators"),
        (PORTS, "elements: {at_least: 1}", "a list of 2 operators"),
        (PORTS, "elements: [leave, 5]", "an element is one operator"),
        (PORTS, "elements: [leave, {at_least: 1, at_most: 2}]", "an element is one operator"),
        (PORTS, "elements: [leave, {at_lest: 1}]", "unknown operator 'at_lest'"),
        (PORTS, "elements: [leave, {elements: [leave, leave]}]", "unknown operator 'elements'"),
        (PORTS, "elements: [leave, {at_least: 1 2}]", "'1 2' is none"),
        (PORTS, "elements: [leave, {at_least: 070}]", "leading zero"),
        (PORTS, "elements: [leave, {exactly: 70000}]", "outside 1..65535"),
    ],
)
def test_a_demand_that_makes_no_sense_is_named(tmp_path: Path, key: str, demand: str, said: str) -> None:
    assert said in mistakes(tmp_path, with_settings(entry(key, demand)))


@pytest.mark.parametrize(
    ("key", "demand"),
    [
        (FIN_TIMEOUT, "between: [60, 15]"),
        (PORTS, "between: [1024 65535, 32768 60999]"),
        (PORTS, "elements: [{between: [9, 1]}, leave]"),
        (PORTS, "elements: [{at_least: 60000}, {at_most: 50000}]"),
    ],
)
def test_bounds_that_no_value_can_meet_are_refused(tmp_path: Path, key: str, demand: str) -> None:
    assert "web.yml:3:" in mistakes(tmp_path, with_settings(entry(key, demand)))


@pytest.mark.parametrize(
    ("key", "demand"),
    [
        (FIN_TIMEOUT, "between: [60, 60]"),
        (PORTS, "elements: [{at_least: 50000}, {at_most: 50000}]"),
        (PORTS, "elements: [{exactly: 50000}, {exactly: 50000}]"),
        (PORTS, "elements: [{between: [1, 50000]}, {between: [1, 50000]}]"),
        (PORTS, "elements: [{at_most: 60000}, {at_least: 50000}]"),
        (PORTS, "elements: [{one_of: [60000]}, {at_most: 65535}]"),
    ],
)
def test_bounds_that_a_single_value_meets_are_accepted(tmp_path: Path, key: str, demand: str) -> None:
    assert [e.key for e in load(tmp_path, with_settings(entry(key, demand))).entries] == [key]


@pytest.mark.parametrize("key", [key for key, known in catalogue().items() if not known.read_only])
def test_whoever_forgot_the_operator_is_shown_one_with_a_value_that_may_be_used(tmp_path: Path, key: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(tmp_path, with_settings(f"  {key}: 60\n"))
    start, shown, _ = re.split(r"\{exactly: |, why", caught.value.hint or "")

    assert not start
    assert catalogue()[key].mistake(shown) is None


def test_a_setting_that_can_only_be_read_is_no_entry(tmp_path: Path) -> None:
    text = with_settings(entry("net.netfilter.nf_conntrack_count", "at_least: 1"))

    assert "can only be read" in mistakes(tmp_path, text)


def test_one_setting_in_two_spellings_is_a_setting_that_stands_twice(tmp_path: Path) -> None:
    text = with_settings(entry(SOMAXCONN, "exactly: 1"), entry("net/core/somaxconn", "exactly: 2"))

    assert ":4:3: " in mistakes(tmp_path, text)


def test_a_key_that_stands_twice_does_not_hide_other_mistakes(tmp_path: Path) -> None:
    text = with_settings(entry(SOMAXCONN, "exactly: 1"), entry(SOMAXCONN, "exactly: 0"))
    said = mistakes(tmp_path, text)

    assert "stands twice, first in line 3" in said
    assert "0 is outside" in said


@pytest.mark.parametrize(
    "reason", ["why: w", "source: s", "why: '', source: s", "why: , source: s", "why: yes, source: s"]
)
def test_an_entry_without_a_reason_or_a_source_is_refused(tmp_path: Path, reason: str) -> None:
    assert "is missing" in mistakes(tmp_path, with_settings(f"  {SOMAXCONN}: {{exactly: 1, {reason}}}\n"))


@pytest.mark.parametrize("text", ["", "[]", "just words", "- a\n- b\n"])
def test_what_is_no_mapping_is_no_profile(tmp_path: Path, text: str) -> None:
    assert "a profile is a mapping" in mistakes(tmp_path, text)


@pytest.mark.parametrize("settings", ["", "settings:\n", "settings: {}\n", "settings: []\n", "settings: 5\n"])
def test_a_profile_without_settings_is_refused(tmp_path: Path, settings: str) -> None:
    assert "'settings' maps each sysctl key" in mistakes(tmp_path, f"profile: web\n{settings}")


@pytest.mark.parametrize("extends", ["baseline", "[[baseline]]", "{a: b}", "[true]"])
def test_extends_is_a_list_of_names(tmp_path: Path, extends: str) -> None:
    text = with_settings(entry(SOMAXCONN, "exactly: 1"), head=f"extends: {extends}\n")

    assert "'extends' is a list" in mistakes(tmp_path, text)


def test_what_is_no_yaml_is_one_mistake_with_its_place(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "profile: web\n\tsettings: 1\n").startswith(f"{tmp_path}/web.yml:2:1: this is no YAML")


def test_an_anchor_that_holds_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError):
        load(tmp_path, "profile: web\nsettings: &s\n  net.core.somaxconn: *s\n")
