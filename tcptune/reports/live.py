"""A rollout as a picture that fits the terminal: waves, hosts by state, what comes near its threshold, time left.

Pure: the moment and the size are given. Colour only repeats what signs say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rich.text import Text

from tcptune.domain.journal import WaveState
from tcptune.domain.quantities import spelled
from tcptune.domain.rollout import FAILURES
from tcptune.domain.runs import HostState
from tcptune.reports.layout import count, visible
from tcptune.reports.rollout_sentences import ORDINARY, WAITS, Message, moment
from tcptune.reports.rollout_view import Nearest, RolloutView, WaveView

Said = tuple[datetime, Message]

SIGNS = {
    HostState.CONFIRMED: "#",
    HostState.HELD: "=",
    HostState.APPLYING: ">",
    HostState.ROLLED_BACK: "<",
    **dict.fromkeys(FAILURES, "!"),
    HostState.STALE: "-",
    HostState.PLANNED: ".",
}
"""State -> its sign in a bar."""
_COLOURS = {
    "#": "green",
    "=": "yellow",
    ">": "blue",
    "<": "magenta",
    "!": "red",
    "-": "cyan",
    ".": "dim",
    "?": "yellow",
}
_AHEAD = frozenset({HostState.PLANNED, HostState.APPLYING})
_AIRY = 16
"""Lines, from which on there is room for gates and for empty lines."""
_MOST_WAVES = 6
_MOST_GATES = 4
_BAR = 30
_TITLE = 17


def frame(view: RolloutView, said: Sequence[Said], now: datetime, *, width: int, height: int) -> list[Text]:
    """Return at most `height` lines of at most `width` cells. `said`: what happened lately, oldest first."""
    airy = height >= _AIRY
    parts = [
        [_head(view, now, width)],
        list(_waves(view, now, room=max(1, min(_MOST_WAVES, height // 4)))),
        [_hosts(view.counts), *_times(view, now)],
        list(_gates(view.nearest[:_MOST_GATES])) if airy else [],
    ]
    lines: list[Text] = []
    for part in parts:
        lines += [Text(""), *part] if airy and lines and part else part
    if (room := height - len(lines) - airy) > 0 and said:
        lines += [Text("")] if airy else []
        lines += [_said(at, one, now) for at, one in list(said)[-room:]]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:height]


def bar(counts: Mapping[HostState, int], width: int) -> Text:
    """Return hosts by state as a bar; a state that has a host is always seen."""
    by_sign: dict[str, int] = {}
    for state, sign in SIGNS.items():
        if number := counts.get(state, 0):
            by_sign[sign] = by_sign.get(sign, 0) + number
    cells = _shares(by_sign, width)
    return Text.assemble(*((sign * cells[sign], _COLOURS[sign]) for sign in by_sign))


def _shares(amounts: Mapping[str, int], width: int) -> dict[str, int]:
    """Cut `width` in proportion, with at least one cell each."""
    total = sum(amounts.values())
    cells = {name: max(1, number * width // total) for name, number in amounts.items()}
    while (missing := width - sum(cells.values())) and cells:
        # The one that is farthest from its due, so that a bar is never fuller than what it stands for.
        due = {name: amounts[name] * width / total - cells[name] for name in cells if missing > 0 or cells[name] > 1}
        if not due:
            break
        name = max(due, key=lambda one: due[one]) if missing > 0 else min(due, key=lambda one: due[one])
        cells[name] += 1 if missing > 0 else -1
    return cells


def _head(view: RolloutView, now: datetime, width: int) -> Text:
    clock = now.strftime("%H:%M:%SZ")
    if view.began is None:
        return Text(clock)
    began = view.began
    hosts = count(len(view.states), "host")
    text = visible(f"{began.run}  {began.profile} by policy {began.policy}, {hosts}")
    left = Text(text, style="bold")
    left.truncate(max(0, width - len(clock) - 2), overflow="ellipsis", pad=True)
    return Text.assemble(left, "  ", clock)


def _waves(view: RolloutView, now: datetime, room: int) -> Iterator[Text]:
    waves = sorted(view.waves.values(), key=lambda wave: wave.number)
    shown = waves
    if len(waves) > room:
        at = next((order for order, wave in enumerate(waves) if wave.number == view.current), 0)
        first = max(0, min(at - 1, len(waves) - (room - 1)))
        shown = waves[first : first + room - 1]
    for wave in shown:
        yield _wave(wave, now, current=wave.number == view.current and view.ended is None)
    if others := [wave for wave in waves if wave not in shown]:
        states = [wave.state for wave in others]
        stand = ", ".join(f"{states.count(state)} {state}" for state in WaveState if state in states)
        yield Text(f"  and {count(len(others), 'more wave')}: {stand}", style="dim")


def _wave(wave: WaveView, now: datetime, *, current: bool) -> Text:
    total = sum(wave.counts.values())
    done = total - sum(wave.counts[state] for state in _AHEAD)
    title = f"{'>' if current else ' '} wave {wave.number}" + (" (canary)" if wave.number == 1 else "")
    state = str(wave.state)
    if wave.state is WaveState.SOAKING and wave.soak_until is not None:
        state += f", {_left(wave.soak_until, now)} left"
    return Text.assemble(
        title.ljust(_TITLE),
        "  ",
        bar(wave.counts, _BAR),
        f"  {done}/{total}".ljust(13),
        (state, "bold" if current else ""),
    )


def _hosts(counts: Mapping[HostState, int]) -> Text:
    line = Text("hosts ")
    for state, sign in SIGNS.items():
        if number := counts.get(state, 0):
            line.append(f" {sign} {number} {state} ", style=_COLOURS[sign])
    return line


def _times(view: RolloutView, now: datetime) -> Iterator[Text]:
    if view.ended is not None:
        yield Text(visible(f"ended with exit code {view.ended.exit_code}: {view.ended.why}"), style="bold")
        return
    if view.asked is not None:
        yield Text(visible(f"? {view.asked.question} ({', '.join(view.asked.choices)})"), style="yellow")
    if view.waiting is not None:
        wait = view.waiting
        until = f", {_left(wait.until, now)} left" if wait.until else ""
        sign, style = (" ", "") if wait.waits_for in ORDINARY else ("?", "yellow")
        yield Text(visible(f"{sign} waits for {WAITS[wait.waits_for]}{until}: {wait.why}"), style=style)
    if view.deadline is not None:
        yield Text(f"first host takes its change back by itself in {_left(view.deadline, now)}, unless it is kept")


def _gates(nearest: Sequence[Nearest]) -> Iterator[Text]:
    for one in nearest:
        sample = one.sample
        sign = {"fail": "!", "hold": "?", "continue": "+"}[sample.treat]
        if one.used is None:
            figure = sample.cause or ""
        else:
            figure = "over" if one.used == float("inf") else f"{min(one.used * 100, 9999):.0f} %"
        numbers = [spelled(number) for number in (sample.before, sample.after) if number is not None]
        of = f" of {spelled(sample.threshold)}" if sample.threshold is not None else ""
        values = f": {' -> '.join(numbers)}{of} {sample.unit}" if numbers else ""
        where = f"{sample.host}{values}" + (f"  (worst of {one.hosts})" if one.hosts > 1 else "")
        name = visible(f"{sample.gate} {sample.check}")
        yield Text.assemble(
            (f"{sign} ", _COLOURS.get(sign, "green")), f"{name:<24.24} {figure:>6.11}  ", visible(where)
        )


def _said(at: datetime, message: Message, now: datetime) -> Text:
    style = {"!": "red", "?": "yellow", "+": "green"}.get(message.sign, "")
    return Text.assemble(f"{moment(at, now)} ", (f"{message.sign} {message.text}", style))


def _left(until: datetime, now: datetime) -> str:
    """Return the time left as minutes and seconds, with hours where there are any.

    >>> from datetime import UTC, timedelta
    >>> now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    >>> _left(now + timedelta(seconds=75), now), _left(now + timedelta(hours=30), now), _left(now, now)
    ('1:15', '30:00:00', '0:00')
    """
    seconds = max(0, int((until - now).total_seconds()))
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
