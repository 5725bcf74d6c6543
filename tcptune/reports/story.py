"""The story of a rollout on one screen: its waves, what stopped it, the hosts that need a look, and what comes next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime

from tcptune.domain.gates import Treat
from tcptune.domain.journal import SampleRecord, WaveRecord, WaveState
from tcptune.domain.runs import FAILED_STATES, HostResult, HostState, Run
from tcptune.domain.story import RolloutStory
from tcptune.reports import beyond_settings, gates, run_notes
from tcptune.reports.layout import aligned, count, names

_COLUMNS = 100
_MOST_WAVES = 10
_MOST_ROWS = 4
_MOST_HOSTS = 5
_SIGNS = {WaveState.FAILED: "!", WaveState.HELD: "?", WaveState.CONFIRMED: "+", WaveState.PASSED: "+"}


def terminal(result: RolloutStory) -> str:
    """Return some twenty lines; the other formats have every host and every sample."""
    run = result.run
    ended = f"ended {run.ended_at:%H:%M:%S}" if run.ended_at else "not ended"
    lines = [
        f"Rollout {run.run_id}  profile {run.profile}  plan {run.plan_id[:12]}  policy {result.policy}",
        f"  by {run.operator}, tcptune {run.tool_version}, started {run.started_at:%Y-%m-%d %H:%M:%S} UTC, {ended}",
    ]
    lines += [f"  {at_work}"] if (at_work := run_notes.work(run)) else []
    lines += ["", *_waves(result), *_stopped(result), *_hosts(run)]
    lines += beyond_settings.at_boot(run.results)
    states = ", ".join(f"{run.count(state)} {state}" for state in HostState if run.count(state))
    total = f"{count(len(run.results), 'host')} in {count(len(result.waves), 'wave')}: {states}."
    lines += ["", f"{total}{_left_out(result.waves)}"]
    lines += _next(result)
    return "\n".join([*lines, ""])


def markdown_rows(result: RolloutStory) -> list[tuple[str, ...]]:
    """Return a row for each wave."""
    return [
        (str(w.number), w.state.value, str(len(w.hosts)), _times(w), _asked(result, w), w.why) for w in result.waves
    ]


def _waves(result: RolloutStory) -> list[str]:
    shown = list(result.waves)
    left: list[WaveRecord] = []
    if len(shown) > _MOST_WAVES:
        # What was begun last matters most.
        begun = max((wave.number for wave in shown if wave.began), default=1)
        first = max(0, min(begun - _MOST_WAVES + 2, len(shown) - _MOST_WAVES))
        left = [*shown[:first], *shown[first + _MOST_WAVES :]]
        shown = shown[first : first + _MOST_WAVES]
    rows = [
        (
            _SIGNS.get(wave.state, " "),
            "canary" if wave.number == 1 else f"wave {wave.number}",
            wave.state.value,
            count(len(wave.hosts), "host"),
            _times(wave),
            _asked(result, wave) or names(wave.hosts, most=3),
        )
        for wave in shown
    ]
    return [*aligned(rows, indent=""), *([f"  and {count(len(left), 'wave')} more: --format json"] if left else [])]


def _times(wave: WaveRecord) -> str:
    if wave.began is None:
        return "-"
    return f"{wave.began:%H:%M:%S} to {_clock(wave.ended)}"


def _clock(moment: datetime | None) -> str:
    return f"{moment:%H:%M:%S}" if moment else "now"


def _asked(result: RolloutStory, wave: WaveRecord) -> str:
    """Return what the last look at each check of a wave gave."""
    last: dict[tuple[str, str, str], SampleRecord] = {
        (one.host, one.gate, one.check): one for one in result.samples if one.wave == wave.number
    }
    said = [one.verdict for one in last.values()]
    parts = [f"{said.count(v)} {v}" for v in ("failed", "undecided", "passed") if v in said]
    return f"checks: {', '.join(parts)}" if parts else ""


def _stopped(result: RolloutStory) -> Iterator[str]:
    for wave in result.waves:
        if wave.why and wave.state is not WaveState.LEFT_OUT:
            text = f"wave {wave.number} {wave.state}: {wave.why}"
            yield from textwrap.wrap(text, _COLUMNS, initial_indent="  ", subsequent_indent="    ")[:3]
    if result.table is None:
        return
    rows = [row for row in result.table.rows if row.treat is not Treat.CONTINUE]
    rows.sort(key=lambda row: row.treat is not Treat.FAIL)
    yield ""
    yield f"Gates of {result.table.title}"
    yield from gates.cells(rows[:_MOST_ROWS])
    if rows[_MOST_ROWS:]:
        yield f"  and {count(len(rows) - _MOST_ROWS, 'row')} more: --format markdown"


def _hosts(run: Run) -> list[str]:
    odd = [r for r in run.results if r.state in _ODD or r.error or r.doing]
    lines = [_host(run, result) for result in odd[:_MOST_HOSTS]]
    if odd[_MOST_HOSTS:]:
        lines.append(f"  and {names([r.host for r in odd[_MOST_HOSTS:]])}: --format json")
    return ["", *lines] if lines else []


_ODD = FAILED_STATES | {HostState.REVERTED, HostState.LOST, HostState.STALE}


def _host(run: Run, result: HostResult) -> str:
    text = f"{result.host}: {result.state}"
    said = run_notes.said(run, result)
    return "  " + textwrap.shorten(f"{text}, {said}" if said else text, _COLUMNS - 2, placeholder=" ...")


def _left_out(waves: Sequence[WaveRecord]) -> str:
    """Return what becomes of hosts that no wave of this rollout will ever change."""
    hosts = sum(len(wave.hosts) for wave in waves if wave.state is WaveState.LEFT_OUT)
    return f" Plan anew for the {hosts} left out." if hosts else ""


def _next(result: RolloutStory) -> list[str]:
    run = result.run
    if run.at_work and run.at_work.alive:
        return []
    if _over(result.waves):
        held = run.count(HostState.HELD)
        if not held:
            return []
        return [f"Keep it: tcptune confirm {run.run_id}   Undo it: tcptune rollback {run.run_id}"]
    return [f"Finish it: tcptune runs resume {run.run_id}   Undo it: tcptune rollback {run.run_id}"]


def _over(waves: Sequence[WaveRecord]) -> bool:
    ends = {WaveState.PASSED, WaveState.CONFIRMED, WaveState.ROLLED_BACK, WaveState.LEFT_OUT}
    return all(wave.state in ends for wave in waves)
