"""The pages on profiles and values say what the code does: tables of profiles, of values, of what not to ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptune.adapters.profile_demands import OPERATORS, TRIAL
from tcptune.adapters.profile_syntax import LOAD, WAIVER, WHEN
from tcptune.adapters.profiles import load_profile
from tcptune.domain import formulas
from tcptune.domain.demands import Demand, Unset, meets, operands, replaced
from tcptune.domain.kernel_values import Refused, Stored, stored
from tcptune.knowledge.catalogue import built_in_profiles, catalogue
from tests.docs.pages import ROOT, name
from tests.docs.test_reference import REFERENCE, rows, sections

PROFILES = REFERENCE / "profiles.md"
EVIDENCE = ROOT / "docs/explanation/evidence.md"
VALUES = ROOT / "docs/explanation/values.md"

# What is written -> the setting it is written to, what that held before, and what it holds then; None for a refusal.
WRITTEN = {
    "4096⇥131072   6291456": ("net.ipv4.tcp_rmem", None, "4096 131072 6291456"),
    "010": ("net.core.somaxconn", None, "8"),
    "0x1000": ("net.core.somaxconn", None, "4096"),
    "10 20": ("net.core.somaxconn", None, "10"),
    "10 # ten": ("net.core.somaxconn", None, "10"),
    "4096 8192": ("net.ipv4.tcp_rmem", "1 2 6291456", "4096 8192 6291456"),
    "9000 8000 7000": ("net.ipv4.tcp_rmem", None, "9000 8000 7000"),
    "1001": ("net.ipv4.tcp_invalid_ratelimit", None, "1004"),
    "5s": ("net.ipv4.tcp_fin_timeout", None, None),
    "5,6": ("net.ipv4.tcp_fin_timeout", None, None),
    "8081,8080,9000-9001,9002": ("net.ipv4.ip_local_reserved_ports", None, "8080-8081,9000-9002"),
    "-1": ("net.ipv4.tcp_fin_timeout", None, "-1"),
}


def table_of(profile_name: str) -> Iterator[str]:
    """Yield the lines that the reference has on a built-in profile: what it says itself, not what it extends."""
    profile = load_profile(profile_name)
    own = [entry for entry in profile.entries if entry.profile == profile_name]
    inherited = {variable for parent in profile.extends for variable in load_profile(parent).load}
    yield from (profile.summary, "")
    yield from ([f"Extends {', '.join(f'`{parent}`' for parent in profile.extends)}.", ""] if profile.extends else [])
    if load := {name: variable for name, variable in profile.load.items() if name not in inherited}:
        yield from ("| Load variable | Default | Means |", "|---|---|---|")
        yield from (f"| `{name}` | {one.default:g} {one.unit} | {one.meaning} |" for name, one in load.items())
        yield ""
    yield from ("| Setting | Wanted | Where | Why | Source |", "|---|---|---|---|---|")
    for entry in own:
        cells = [f"`{entry.key}`", _wanted(entry.demand), str(entry.when), entry.why, entry.source]
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |")
    if limits := [limit for limit in profile.limits if limit.profile == profile_name]:
        yield from ("", "| Limit | Processes | Wanted | Why | Source |", "|---|---|---|---|---|")
        for limit in limits:
            cells = [f"`{limit.limit}`", limit.who, f"`{limit.demand}`", limit.why, limit.source]
            yield f"| {' | '.join(cells)} |".replace(" | round_up", " \\| round_up")


def _wanted(demand: Demand) -> str:
    if not any(formulas.is_formula(value) for value in operands(demand)):
        return str(demand)
    brackets = "({})" if demand.operator == "elements" else "{}"

    def in_words(value: str) -> str:
        # Functions around their arguments: a pipe would end the cell.
        return brackets.format(*formulas.in_words(value, {})) if formulas.is_formula(value) else value

    return f"`{replaced(demand, in_words)}`"


@pytest.mark.parametrize("profile", built_in_profiles())
def test_the_reference_has_what_a_built_in_profile_says(profile: str) -> None:
    shown = sections(PROFILES, level="###")[profile]

    assert shown.partition("\n## ")[0].strip().splitlines() == list(table_of(profile))


def test_the_reference_has_no_profile_that_is_not_built_in() -> None:
    text = sections(PROFILES)["Built-in profiles"]

    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) == set(built_in_profiles())


def test_the_readme_counts_right() -> None:
    text = (ROOT / "README.md").read_text()

    assert f"{len(catalogue())} settings, nine profiles" in text
    assert len(built_in_profiles()) == 9


def test_every_key_of_the_language_is_in_the_reference() -> None:
    text = sections(PROFILES)

    assert set(rows(text["Conditions"])) == set(WHEN)
    assert set(rows(text["Load variables"])) >= set(LOAD)
    assert set(rows(text["Waivers"])) == set(WAIVER)
    assert set(rows(text["Operators"].partition("### ")[0])) == set(OPERATORS)


def test_every_name_and_function_of_formulas_is_in_the_reference() -> None:
    told = rows(sections(PROFILES)["Formulas"])

    assert {word.partition("(")[0].partition("[")[0] for word in told} >= {
        *formulas.FACTS,
        *formulas.FUNCTIONS,
        *formulas.UNITS,
    }
    assert f"{formulas.MOST_CHARACTERS} characters" in sections(PROFILES)["Formulas"]


def test_the_page_on_evidence_calls_each_value_what_it_is() -> None:
    baseline = {entry.key: entry.demand for entry in load_profile("baseline").entries}
    table = {row: cells[-1] for row, cells in rows(sections(EVIDENCE)["What no profile should contain"]).items()}
    verdicts = {}
    for row in [row for row in table if " = " in row]:
        key, value = row.split(" = ")
        demand = replaced(baseline[key], lambda text: formulas.evaluate(text, TRIAL)) if key in baseline else None
        if catalogue()[key].mistake(value) and not isinstance(demand, Unset):
            verdicts[row] = "refused in a profile"
        elif demand is not None and (isinstance(demand, Unset) or not meets(demand, value)):
            verdicts[row] = "found by `baseline`"
        else:
            verdicts[row] = "for the reviewer"

    assert len(verdicts) > 15
    assert {row: table[row] for row in verdicts} == verdicts


@pytest.mark.parametrize("written", WRITTEN)
def test_the_page_on_values_says_what_the_kernel_holds(written: str) -> None:
    key, before, holds = WRITTEN[written]
    found = stored(catalogue()[key], written.replace("⇥", "\t"), kernel="6.12", current=before)
    said = rows(VALUES.read_text())[written][0]

    if holds is None:
        assert isinstance(found, Refused)
        assert "the write fails" in said
    else:
        assert isinstance(found, Stored)
        assert found.text == holds
        assert all(part in said for part in holds.removesuffix(" 6291456").split(","))


def test_the_page_on_values_has_no_row_that_is_not_tested() -> None:
    table = VALUES.read_text().partition("## ")[0]

    assert {*rows(table)} - {"4096 abc 8192"} == set(WRITTEN)


@pytest.mark.parametrize("page", [EVIDENCE, VALUES, *sorted((ROOT / "docs/howto").glob("*.md"))], ids=name)
def test_pages_speak_of_settings_that_exist(page: Path) -> None:
    named = set(re.findall(r"\b(?:net|fs)\.(?:core|ipv4|ipv6|netfilter)\.[a-z0-9_.]+[a-z0-9]", page.read_text()))
    mistaken = {"net.core.somaxcon"}

    assert {key for key in named if "conf." not in key and not key.startswith("net.ipv4.conf")} - mistaken <= set(
        catalogue()
    )
