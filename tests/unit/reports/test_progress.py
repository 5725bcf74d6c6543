"""A rollout in plain lines: what matters, and no line for each host."""

from __future__ import annotations

import pytest

from tcptune.domain.events import Event, Waiting
from tcptune.domain.runs import HostState
from tcptune.reports.progress import Progress
from tests.unit.conftest import Golden
from tests.unit.reports.rollouts import RUN, at, began, cut, failing, green, measured, moved, troubled

LARGE = [1, 100, 500]


def told(events: list[Event]) -> list[str]:
    progress = Progress()
    return [line for event in events for line in progress.lines(event)]


@pytest.mark.parametrize(
    ("name", "events"), [("green", green()), ("troubled", troubled()), ("large", green(2000, LARGE))]
)
def test_a_rollout_reads_like_this(name: str, events: list[Event], golden: Golden) -> None:
    golden(f"rollouts/{name}.txt", "".join(f"{line}\n" for line in told(events)))


def test_a_large_rollout_takes_few_lines() -> None:
    assert len(told(green(40, [1, 2, 10]))) <= 24
    assert len(told(green(2000, LARGE))) <= 24


def test_a_long_wave_says_at_every_tenth_how_far_it_is_but_not_all_the_time() -> None:
    hosts = [f"web{number}" for number in range(100)]

    def lines(seconds_each: float) -> list[str]:
        return told(
            [
                began([hosts]),
                *(
                    moved(host, 1, HostState.APPLYING, HostState.HELD, seconds=20 + order * seconds_each)
                    for order, host in enumerate(hosts)
                ),
            ]
        )[1:]

    assert len(lines(3)) == 9
    assert lines(3)[0] == "09:30:47Z   wave 1 of 1 (canary): 90 planned, 10 held"
    assert len(lines(0.5)) == 5
    assert len(lines(0.01)) == 1


def test_failures_are_told_one_by_one_and_then_counted() -> None:
    said = "\n".join(told(troubled()))

    assert [f"web{n}: failed" in said for n in (4, 8, 9, 12)] == [True, True, False, False]
    assert "! 4 more hosts failed: web9, web10, web11, web12" in said


def test_what_a_host_says_is_one_line_without_control_characters() -> None:
    lines = told(troubled())

    assert not [line for line in lines if not line.isprintable()]
    assert any("\ufffd[2Jno space" in line for line in lines)


def test_a_check_is_told_again_only_with_another_answer() -> None:
    events = [began([["web1"]]), failing("web1", 1, 10), failing("web1", 1, 20), measured(30, host="web1")]

    assert sum("sent-resets on web1" in line for line in told([*events, failing("web1", 1, 40)])) == 2


def test_a_wait_is_told_once_until_something_else_happens() -> None:
    wait = Waiting(at=at(5), run=RUN, waits_for="database", why="connection refused")
    move = moved("web1", 1, HostState.PLANNED, HostState.APPLYING)

    lines = told([began([["web1"]]), wait, wait, move, wait])

    assert sum("waits for the journal's database: connection refused" in line for line in lines) == 2


def test_a_line_has_the_date_where_the_day_is_another() -> None:
    lines = told([began(cut(2, [1])), failing("web1", 1, 10), failing("web2", 1, 16 * 3600)])

    assert [line.split()[0] for line in lines] == ["2026-03-02", "09:30:10Z", "2026-03-03"]
