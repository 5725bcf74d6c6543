"""The page on rollout policies says what the code does: keys, defaults, sizes, built-in policies."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from tcptune.adapters.model_mistakes import keys
from tcptune.adapters.policies import load_policy, load_policy_file
from tcptune.domain.gates import Cause, Gate, Treat
from tcptune.domain.notifications import DEFAULT_EVENTS
from tcptune.domain.rollout import CohortRule, Confirmation, OnFailure, Order, OrderBy, PolicyFile
from tcptune.domain.time_windows import DAYS, TimeWindow
from tcptune.knowledge.catalogue import built_in_policies
from tcptune.planning.waves import cut_waves
from tests.docs.pages import ROOT
from tests.docs.test_reference import REFERENCE, rows, sections
from tests.unit.builders import cohort, plan, policy

PAGE = REFERENCE / "policies.md"
SECTIONS = sections(PAGE)
GATES = {model.model_fields["gate"].default: model for model in get_args(get_args(Gate)[0])}


def test_every_key_of_a_policy_is_in_the_manual_with_its_default() -> None:
    table = rows(SECTIONS["A policy file"])

    assert set(table) == set(PolicyFile.model_fields)
    for name in ("format_version", "cohorts", "soak", "on_failure", "confirm"):
        assert table[name][0] == f"`{PolicyFile.model_fields[name].default}`"
    assert table["order"][0] == f"`{Order().by}`"
    required = {name for name, cells in table.items() if cells[0] == "has to be given"}
    assert required == {name for name, field in PolicyFile.model_fields.items() if field.is_required()}


@pytest.mark.parametrize(
    ("title", "prefix"),
    [
        ("Order", "order."),
        ("Failures", "failures."),
        ("Windows", "window."),
        ("Notifications", "notify."),
    ],
)
def test_every_key_of_a_part_is_in_the_manual(title: str, prefix: str) -> None:
    found = {key.removeprefix(prefix) for key in keys(PolicyFile) if key.startswith(prefix)}

    assert set(rows(SECTIONS[title])) == {key for key in found if "." not in key}


def test_every_key_of_a_gate_is_in_the_manual() -> None:
    table = rows(SECTIONS["Gates"])

    assert set(table) == set(GATES)
    for kind, model in GATES.items():
        assert set(re.findall(r"`(\w+)`", table[kind][0])) == set(model.model_fields) - {"gate", "undecided"}
    assert all(f"`{cause.name.lower()}`" in SECTIONS["Gates"] for cause in Cause)
    assert all(f"`{treat}`" in SECTIONS["Gates"] for treat in Treat)


def test_every_word_that_a_key_takes_is_in_the_manual() -> None:
    assert set(rows(SECTIONS["Cohorts"])) == {rule.value for rule in CohortRule}
    assert all(one in rows(SECTIONS["Failure domains"]) for one in ("rack", "{label: rack}", '{groups: "rack_*"}'))
    assert all(f"`{by}`" in SECTIONS["Order"] for by in OrderBy)
    assert all(f"`{word}`" in SECTIONS["A policy file"] for word in (*OnFailure, *Confirmation))
    assert all(f"`{day}`" in SECTIONS["Windows"] for day in DAYS)
    assert all(f"`{name}`" in SECTIONS["Windows"] for name in TimeWindow.model_fields)
    table = rows(SECTIONS["Notifications"])
    assert re.findall(r"`(\w+)`", table["events"][0]) == list(DEFAULT_EVENTS)
    assert all(f"`{word}`" in table["format"][1] for word in ("json", "chat"))


def test_the_sizes_in_the_manual_are_those_that_hosts_get() -> None:
    table = rows(SECTIONS["Waves"])

    assert len(table) == 3
    for waves, cells in table.items():
        rule = policy(waves=waves.strip("[]").split(", "))
        for number, said in zip((40, 7), cells, strict=True):
            cut = cut_waves(plan(cohort(*(f"web{at}" for at in range(number)))), rule, {})
            assert ", ".join(str(len(wave.hosts)) for wave in cut.waves) == said


def test_every_built_in_policy_has_a_section_with_its_summary() -> None:
    shown = sections(PAGE, level="###")

    assert set(shown) == set(built_in_policies())
    for name, text in shown.items():
        assert text.strip().startswith(load_policy(name).summary)


def test_the_example_is_a_policy_that_says_something_of_every_key() -> None:
    [text] = re.findall(r'```yaml title="careful.yml"\n(.*?)```', PAGE.read_text(), re.DOTALL)

    assert {line.partition(":")[0] for line in text.splitlines() if line[0].isalpha()} == set(PolicyFile.model_fields)


def test_the_schema_stands_where_the_manual_has_its_schemas() -> None:
    assert (ROOT / "docs/schemas/policy.schema.json").is_file()
    assert load_policy_file(ROOT / "tcptune/knowledge/data/policies/standard.yml").policy == "standard"
