"""The picture of a rollout: it fits, it shows what matters, and no host steers the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.events import Event
from tcptune.domain.runs import HostState
from tcptune.reports.live import Said, bar, frame
from tcptune.reports.progress import Progress
from tests.unit.conftest import Golden
from tests.unit.reports.rollouts import began, green, moved, troubled

SMALL, LARGE = green(40), green(2000, [1] + [100] * 8)
ASKED = [event.event for event in troubled()].index("asked")
MOMENTS = {
    "begun": SMALL[:2],
    "soaking": SMALL[: [event.event for event in SMALL].index("wave_ended") + 30],
    "waiting": troubled()[:5],
    "asked": troubled()[: ASKED + 1],
    "failing": troubled()[:-2],
    "ended": troubled(),
    "large": LARGE[: len(LARGE) // 2],
}


def picture(events: Sequence[Event], width: int = 80, height: int = 24) -> list[str]:
    progress = Progress()
    said: list[Said] = []
    for event in events:
        said += [(event.at, message) for message in progress.messages(event)]
    lines = frame(progress.view, said, events[-1].at, width=width, height=height)
    assert all(line.cell_len <= width for line in lines)
    return [line.plain.rstrip() for line in lines]


@pytest.mark.parametrize("name", MOMENTS)
def test_a_rollout_looks_like_this(name: str, golden: Golden) -> None:
    golden(f"rollouts/live_{name}.txt", "".join(f"{line}\n" for line in picture(MOMENTS[name])))


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (20, 3), (1, 1)], ids=str)
def test_it_fits_any_terminal(name: str, size: tuple[int, int]) -> None:
    lines = picture(MOMENTS[name], *size)

    assert 0 < len(lines) <= size[1]
    assert all(line.isprintable() for line in lines)


def test_the_beginning_of_a_large_rollout_is_drawn_in_time() -> None:
    start = time.process_time()
    picture(LARGE)

    assert time.process_time() - start < 10


def test_a_host_name_that_is_wide_takes_the_cells_that_it_takes() -> None:
    wide = "\u8f93" * 60

    picture([began([[wide]]), moved(wide, 1, HostState.PLANNED, HostState.FAILED, error="\x1b]0;x\x07\x9b2J")])


def test_what_waits_for_a_person_is_seen() -> None:
    assert "? What becomes of wave 2? (go on, roll back)" in picture(MOMENTS["asked"])
    assert "? waits for its window, 0:35 left: no wave may begin by day" in picture(MOMENTS["waiting"])


@given(st.dictionaries(st.sampled_from(HostState), st.integers(1, 5000)), st.integers(12, 60))
def test_a_bar_is_full_and_shows_every_state_that_has_a_host(counts: dict[HostState, int], width: int) -> None:
    drawn = bar(counts, width).plain
    signs = {HostState.CONFIRMED: "#", HostState.HELD: "=", HostState.PLANNED: ".", HostState.FAILED: "!"}

    assert len(drawn) == (width if counts else 0)
    assert all(sign in drawn for state, sign in signs.items() if state in counts)


def test_one_failed_host_of_thousands_is_seen() -> None:
    counts = {HostState.CONFIRMED: 1999, HostState.FAILED: 1}

    assert bar(counts, 30).plain == "#" * 29 + "!"
