"""The table of gates: before, after, threshold and verdict."""

from __future__ import annotations

import json

import pytest

from tcptune.domain.gates import Answer, CommandGate, Counted, GateTable, HttpGate, SshGate, Watched
from tcptune.planning.counter_gate import judge_counters
from tcptune.planning.gates import counted, judge_answers
from tcptune.reports import FORMATS
from tests.unit.builders import NOW
from tests.unit.conftest import Golden
from tests.unit.planning.watched import BUSY, IN, OTHER_BOOT, OUT, OVERFLOWS, RATE, RETRANS, SHARE, busy, gate, watched

SUFFIX = {"terminal": "txt", "markdown": "md", "json": "json"}
_GATE = gate(SHARE, RATE)


def fleet() -> list[Watched]:
    """Return hosts on which one is worse, one rebooted, one is idle, one lacks a counter, and many are well."""

    def all_of(host: str, before: int, after: int, **fields: str) -> Watched:
        return watched(
            host, {**BUSY, RETRANS: before, OVERFLOWS: 0}, {**BUSY, RETRANS: after, OVERFLOWS: before // 100}, **fields
        )

    return [
        *(all_of(f"fine{n}", 300, 290 + 5 * n) for n in range(8)),
        all_of("worse", 300, 2400),
        all_of("booted", 300, 0, boot=OTHER_BOOT),
        watched("idle", {IN: 5, OUT: 5, RETRANS: 0, OVERFLOWS: 0}, {IN: 5, OUT: 5, RETRANS: 1, OVERFLOWS: 0}),
        watched("silent", {**BUSY, RETRANS: 30, OVERFLOWS: 0}, {IN: 0, OUT: 0, RETRANS: 0, OVERFLOWS: 0}),
        busy("oldkernel", 300, 310),
    ]


def answers() -> list[Counted]:
    web, ssh = HttpGate(path="/health", latency_at_most_ms=250), SshGate()
    well = CommandGate(name="well", command=("check-well", "{host}"))
    hosts = ["fine0", "fine1", "worse"]

    def said(of: SshGate | HttpGate | CommandGate, host: str, value: float | None, text: str = "") -> Answer:
        unit = "exit status" if isinstance(of, CommandGate) else "ms"
        return Answer.model_validate(
            {
                "host": host,
                "gate": of.gate,
                "check": of.checks[0],
                "at": NOW,
                "works": not text,
                "value": value,
                "unit": unit,
                "said": text,
            }
        )

    found = judge_answers(ssh, hosts, [], [said(ssh, host, 81.25) for host in hosts], at=NOW)
    rows = list(counted(ssh, found))
    before = [said(web, host, 31.5) for host in hosts]
    after = [said(web, "fine0", 33.0), said(web, "fine1", 1234.5), said(web, "worse", None, "status 503, not 200")]
    rows += counted(web, judge_answers(web, hosts, before, after, at=NOW))
    tried = [said(well, "worse", 2, "exit status 2; it said: queue | full <b>")]
    return rows + list(counted(well, judge_answers(well, hosts[-1:], [], tried, at=NOW)))


CONTROL = [busy(f"other{n}", 300, 300) for n in range(4)]
COUNTERS = list(counted(_GATE, judge_counters(_GATE, fleet(), CONTROL)))
HARMED = GateTable(title="wave 2 of 4", rows=(*answers(), *COUNTERS))
HELD = GateTable(title="wave 1 of 4", rows=tuple(row for row in COUNTERS if row.sample.host in {"silent", "fine1"}))
GREEN = GateTable(title="wave 3 of 4", rows=tuple(row for row in COUNTERS if row.sample.host.startswith("fine")))
MANY = [busy(f"web{n:02}", 300, 3000 + n) for n in range(30)]
FLOOD = GateTable(title="wave 4 of 4", rows=counted(gate(SHARE), judge_counters(gate(SHARE), MANY, ())))
NOTHING = GateTable(title="wave 1 of 1", rows=())
TABLES = {"harmed": HARMED, "held": HELD, "green": GREEN, "flood": FLOOD, "nothing": NOTHING}


@pytest.mark.parametrize("format_", SUFFIX)
@pytest.mark.parametrize("name", ["harmed", "held", "green"])
def test_a_table_of_gates_reads_like_this(name: str, format_: str, golden: Golden) -> None:
    golden(f"reports/gates_{name}.{SUFFIX[format_]}", FORMATS[format_](TABLES[name]))


@pytest.mark.parametrize("name", TABLES)
def test_the_json_holds_every_sample_and_is_read_again(name: str) -> None:
    said = FORMATS["json"](TABLES[name])

    assert GateTable.model_validate_json(said) == TABLES[name]
    assert (json.loads(said)["tcptune"], json.loads(said)["format_version"]) == ("gates", 1)


def test_the_markdown_table_has_a_row_for_each_sample() -> None:
    said = FORMATS["markdown"](FLOOD)

    assert [line.split("|")[1].strip() for line in said.splitlines() if line.startswith("| web")] == [
        one.host for one in MANY
    ]


def test_a_terminal_shows_the_first_of_many_and_counts_the_rest() -> None:
    said = FORMATS["terminal"](FLOOD)

    assert sum(line.startswith("!  web") for line in said.splitlines()) == 20
    assert "and 10 rows more, on web20, web21, web22, web23, web24, web25 and 4 more: --format markdown" in said


@pytest.mark.parametrize("format_", ["terminal", "markdown"])
def test_where_nothing_was_asked_that_is_said(format_: str) -> None:
    said = FORMATS[format_](NOTHING)

    assert said.endswith("Gates: nothing was asked, so nothing is known. A person has to decide.\n")
