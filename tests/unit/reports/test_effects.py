"""What became of the rates of a run's hosts: what could not be judged is folded, and stays visible."""

from __future__ import annotations

import json

import pytest

from tcptune.domain.effects import HostEffect, Outcome
from tcptune.domain.gates import CounterReading, CountersUnread, Window
from tcptune.domain.runs import HostState
from tcptune.domain.verdicts import HostVerdict, RunVerdict
from tcptune.planning.effect import effect
from tcptune.reports import FORMATS, effects
from tests.unit.builders import NOW
from tests.unit.conftest import Golden
from tests.unit.planning.test_effect import OVERFLOWS, window

SUFFIX = {"terminal": "txt", "markdown": "md", "json": "json"}
_AWAY = CountersUnread(host="away", at=NOW, why="no SSH session: timed out after 30 s")


def lacking(name: str, found: Window) -> Window:
    """Return a window of a kernel that has no such counter."""
    ends = [
        one.model_copy(update={"counters": {key: value for key, value in one.counters.items() if key != name}})
        for one in (found.first, found.last)
        if isinstance(one, CounterReading)
    ]
    return Window(first=ends[0], last=ends[1])


EFFECTS = (
    effect("idle", window(times=0.0002), window(times=0.0001)),
    effect("night", window({OVERFLOWS: 900}), window(times=0.0002)),
    effect("fixed", window({OVERFLOWS: 900}), lacking("TcpExt.TCPBacklogDrop", window())),
    effect("away", window(), Window(first=_AWAY, last=_AWAY)),
    effect("unknown", None, window()),
)
VERDICT = RunVerdict(
    run_id="20260314-150926-a1b2c3",
    hosts=tuple(HostVerdict(host=one.host, state=HostState.CONFIRMED, checks=()) for one in EFFECTS),
    effects=EFFECTS,
)


def not_judged(host: HostEffect) -> set[str]:
    return {one.rule for one in host.rates if one.outcome is Outcome.NOT_JUDGED}


@pytest.mark.parametrize("format_", SUFFIX)
def test_rates_read_like_this(format_: str, golden: Golden) -> None:
    golden(f"reports/verify_rates.{SUFFIX[format_]}", FORMATS[format_](VERDICT))


def test_an_idle_host_takes_a_few_lines_and_is_called_not_judged() -> None:
    lines = effects.terminal(EFFECTS[:1])

    assert lines[0] == "? idle  rates: not judged"
    assert len(lines) < 7
    assert max(map(len, lines)) <= 120
    assert sum(" not judged, idle before: " in line for line in lines) == 1


@pytest.mark.parametrize("host", EFFECTS[:4], ids=lambda one: one.host)
def test_no_rule_that_was_not_judged_is_lost_or_cut_or_told_twice(host: HostEffect) -> None:
    lines = effects.terminal((host,))
    cells = [row for row in effects.rows((host,)) if row[4] == Outcome.NOT_JUDGED]

    told = [word for line in lines[1:] for word in line.replace(",", " ").split() if word in not_judged(host)]
    table = [word for row in cells for word in row[1].rpartition(": ")[2].split(", ")]

    assert sorted(told) == sorted(table) == sorted(not_judged(host))


def test_a_number_that_was_bad_and_could_not_be_judged_keeps_its_line() -> None:
    lines = effects.terminal(EFFECTS[1:2])

    [line] = [line for line in lines if "listen-overflows" in line]
    assert line.split()[:3] == ["listen-overflows", "30", "0"]
    assert "too little traffic to tell" in line


def test_reasons_that_differ_are_not_told_as_one() -> None:
    night = lacking("TcpExt.TCPBacklogDrop", window(times=0.0002))

    lines = effects.terminal((effect("web1", window(), night),))

    [line] = [line for line in lines if "backlog-drops" in line]
    assert "TcpExt.TCPBacklogDrop is not among its counters" in line
    assert any("not judged, too little traffic to tell: " in line for line in lines)


@pytest.mark.parametrize("host", EFFECTS, ids=lambda one: one.host)
def test_a_table_says_of_each_host_first_what_became_of_it(host: HostEffect) -> None:
    first = effects.rows((host,))[0]

    assert (first[0], first[4]) == (host.host, f"**{host.outcome}**")


def test_json_keeps_every_rate_with_its_traffic() -> None:
    told = json.loads(FORMATS["json"](VERDICT))["effects"]

    assert [len(one["rates"]) for one in told] == [len(one.rates) for one in EFFECTS]
    idle = [one for one in told[0]["rates"] if one["why"].startswith("idle before")]
    assert all(f"{one['quiet']['before_per_s']:.3g}" in one["why"] for one in idle)
    assert len(idle) > 5
