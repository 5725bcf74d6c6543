"""The story of a rollout: one screen, whatever happened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tcptune.domain.journal import SampleRecord, WaveRecord, WaveState
from tcptune.domain.runs import HostState
from tcptune.domain.story import RolloutStory
from tcptune.planning.rollout import story_of
from tcptune.reports import FORMATS
from tests.unit.builders import NOW, policy, result, run

SIZES = (1, 2, 10, 27)
HOSTS = [f"web{number}" for number in range(1, 41)]


def sample(wave: int, host: str, check: str = "retransmissions", *, failed: bool = False) -> SampleRecord:
    return SampleRecord(
        wave=wave,
        host=host,
        gate="counters",
        check=check,
        at=NOW,
        before=0.1,
        after=9.5 if failed else 0.1,
        unit="percent",
        threshold=0.15,
        verdict="failed" if failed else "passed",
        treat="fail" if failed else "continue",
        why="95 times what it was; 1 times on the 27 hosts not yet changed: packets are lost on the way",
    )


def told(states: tuple[WaveState, ...], hosts: dict[WaveState, HostState], failing: int = 0) -> RolloutStory:
    waves, results, samples, at = [], [], [], 0
    for number, (size, state) in enumerate(zip(SIZES, states, strict=True), start=1):
        names = tuple(HOSTS[at : at + size])
        at += size
        begun = state is not WaveState.LEFT_OUT
        waves.append(
            WaveRecord(
                number=number,
                hosts=names,
                state=state,
                began=NOW if begun else None,
                ended=NOW + timedelta(minutes=2) if begun else None,
                why="gate counters, retransmissions failed on web4: 95 times what it was" if not begun else "",
            )
        )
        results += [result(name, hosts[state], error="connection lost" if failing else None) for name in names]
        samples += [sample(number, name) for name in names if begun]
        if number == 3 and failing:
            samples += [sample(3, name, failed=True) for name in names]
    return story_of(run(*results, ended_at=NOW), policy(), waves, samples)


GREEN = told((WaveState.CONFIRMED,) * 4, {WaveState.CONFIRMED: HostState.CONFIRMED})
HARMED = told(
    (WaveState.CONFIRMED, WaveState.CONFIRMED, WaveState.ROLLED_BACK, WaveState.LEFT_OUT),
    {
        WaveState.CONFIRMED: HostState.CONFIRMED,
        WaveState.ROLLED_BACK: HostState.ROLLED_BACK,
        WaveState.LEFT_OUT: HostState.PLANNED,
    },
    failing=10,
)


@pytest.mark.parametrize("found", [GREEN, HARMED], ids=["green", "harmed"])
def test_the_story_of_forty_hosts_fits_a_screen(found: RolloutStory) -> None:
    lines = FORMATS["terminal"](found).splitlines()

    assert len(lines) <= 24, "\n".join(lines)
    assert max(map(len, lines)) <= 100, "\n".join(lines)


def test_it_names_the_waves_and_what_stopped_them() -> None:
    shown = FORMATS["terminal"](HARMED)

    assert "canary" in shown
    assert "checks: 10 failed" in shown
    assert "retransmissions" in shown
    assert "13 confirmed" not in shown
    assert "3 confirmed, 10 rolled back" in shown
    assert "27 planned" in shown
    assert "Plan anew for the 27 left out." in shown
    assert "left out." not in FORMATS["terminal"](GREEN)


def test_where_a_wave_is_held_the_next_command_is_said() -> None:
    held = told(
        (WaveState.CONFIRMED, WaveState.HELD, WaveState.LEFT_OUT, WaveState.LEFT_OUT),
        {
            WaveState.CONFIRMED: HostState.CONFIRMED,
            WaveState.HELD: HostState.HELD,
            WaveState.LEFT_OUT: HostState.PLANNED,
        },
    )

    assert f"tcptune runs resume {held.run.run_id}" in FORMATS["terminal"](held)


@pytest.mark.parametrize("format_", ["json", "markdown"])
def test_the_other_formats_have_every_host(format_: str) -> None:
    shown = FORMATS[format_](HARMED)

    assert all(name in shown for name in HOSTS)
