"""The page of gates says what the code does: kinds, built-in rules, causes."""

from __future__ import annotations

from typing import get_args

from tcptune.domain.gate_rules import CounterRule, ShareRule
from tcptune.domain.gates import (
    Cause,
    CommandGate,
    CountersGate,
    HttpGate,
    SshGate,
    TcpGate,
    UndecidedAs,
)
from tcptune.domain.quantities import spelled
from tcptune.knowledge.gates import built_in_rules
from tests.docs.test_reference import REFERENCE

PAGE = (REFERENCE / "gates.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Give the rows of the last table below a heading."""
    _, _, text = PAGE.partition(f"\n## {heading}\n")
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(counters: tuple[str, ...]) -> str:
    return " + ".join(f"`{name}`" for name in counters)


def row(rule: CounterRule) -> list[str]:
    counts = names(rule.counters) + (f" of {names(rule.of)}" if isinstance(rule, ShareRule) else "")
    tolerated = f"{spelled(rule.tolerated)} {rule.unit}"
    needs = f"{spelled(rule.min_traffic_per_s)} {names(rule.traffic)}"
    return [f"`{rule.name}`", counts, tolerated, spelled(rule.times_before), needs]


def test_every_built_in_rule_is_in_the_table_as_it_is() -> None:
    told = [cells for cells in table("Counters") if len(cells) == 5][1:]

    assert told == [row(rule) for rule in built_in_rules()]


def test_the_defaults_that_the_text_names_are_those_of_the_rules() -> None:
    assert {rule.times_others for rule in built_in_rules()} == {1.5}
    assert {rule.at_most for rule in built_in_rules()} == {None}


def test_every_kind_of_gate_is_in_the_table_with_its_defaults() -> None:
    told = {cells[0]: " ".join(cells) for cells in table("Kinds")[1:]}
    tcp, http = TcpGate(ports=(80,)), HttpGate()
    command = CommandGate(name="well", command=("true",))

    assert set(told) == {f"`{gate.gate}`" for gate in (SshGate(), tcp, http, CountersGate(), command)}
    for gate in (SshGate(), tcp, http, command):
        assert f"`within_s` ({spelled(gate.within_s)})" in told[f"`{gate.gate}`"]
    assert f"`requests` ({http.requests})" in told["`http`"]
    assert f"`status` ({http.status[0]})" in told["`http`"]
    assert f"`window_s` ({spelled(CountersGate().window_s)})" in told["`counters`"]
    assert f"`exit_status` ({command.exit_status[0]})" in told["`command`"]
    assert f"`min_others` ({CountersGate().min_others})" in PAGE


def test_every_cause_is_in_the_table_with_what_it_counts_as() -> None:
    told = {cells[0]: cells[2] for cells in table("Undecided")[1:]}

    assert told == {cause.value: f"`{UndecidedAs().of(cause)}`" for cause in Cause}


def test_every_kind_of_rule_is_explained() -> None:
    kinds = get_args(get_args(CounterRule)[0])

    assert len(kinds) == 3
    assert "events per second, events per hundred others, or a level" in PAGE
