"""Events in words: what lines, the live view and chat messages say of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tcptune.domain.events import (
    Answered,
    Asked,
    DeadlineExtended,
    Event,
    GateMeasured,
    HostMoved,
    HostsClaimed,
    Interrupted,
    RolloutBegan,
    RolloutEnded,
    SoakBegan,
    Waiting,
    WaveBegan,
    WaveEnded,
    WaveHeld,
)
from tcptune.domain.journal import SampleRecord, WaveState
from tcptune.domain.quantities import spelled
from tcptune.domain.rollout import FAILURES
from tcptune.domain.runs import HostState
from tcptune.reports.layout import count, names, visible

_LONGEST = 400
_MOST_SIZES = 8
_ENDS = {
    WaveState.PASSED: "passed",
    WaveState.FAILED: "failed",
    WaveState.CONFIRMED: "is confirmed",
    WaveState.ROLLED_BACK: "is rolled back",
    WaveState.LEFT_OUT: "is left out",
}
WAITS = {
    "window": "its window",
    "baseline": "the counters from before the change",
    "database": "the journal's database",
    "lease": "its claim on the hosts",
}
ORDINARY = frozenset({"baseline"})
"""Waits that are a part of every wave, and trouble nobody."""


@dataclass(frozen=True)
class Message:
    """One line about one thing."""

    sign: str
    """'!' trouble, '?' a person is needed or nobody knows, '+' an end as it should be, ' ' news."""
    text: str


def messages(event: Event, *, waves: int) -> list[Message]:
    """Return an event in words, whatever it is; `waves` is how many the rollout has."""
    match event:
        case RolloutBegan():
            told = [_began(event)]
        case HostsClaimed():
            told = [Message(" ", f"{count(len(event.hosts), 'host')} claimed: no other run may change them")]
        case WaveBegan():
            told = [Message(" ", f"{wave_title(event.wave, waves)} begins: {names(event.hosts)}")]
        case HostMoved():
            told = [_moved(event)]
        case SoakBegan():
            told = [Message(" ", f"{wave_title(event.wave, waves)} soaks until {moment(event.until, event.at)}")]
        case GateMeasured():
            told = [_measured(event.sample)]
        case Waiting():
            until = f" until {moment(event.until, event.at)}" if event.until else ""
            sign = " " if event.waits_for in ORDINARY else "?"
            told = [Message(sign, f"waits for {WAITS[event.waits_for]}{until}: {event.why}")]
        case WaveHeld() | WaveEnded():
            told = [_wave(event, waves)]
        case DeadlineExtended():
            has = "has" if len(event.hosts) == 1 else "have"
            until = moment(event.deadline, event.at)
            text = f"{count(len(event.hosts), 'host')} {has} until {until} before the change is taken back by itself"
            told = [Message(" ", text)]
        case Asked() | Answered() | Interrupted():
            told = [_person(event)]
        case RolloutEnded():
            told = _ended(event)
    return [Message(one.sign, _one_line(one.text)) for one in told]


def wave_title(number: int, waves: int) -> str:
    """Return how a wave is called: 'wave 2 of 4'."""
    of = f" of {waves}" if waves >= number else ""
    return f"wave {number}{of}" + (" (canary)" if number == 1 else "")


def moment(at: datetime, near: datetime) -> str:
    """Return a time in UTC, with its date where that is another than that of `near`.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 3, 2, 9, 5, tzinfo=UTC), datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    '09:05:00Z'
    """
    return at.strftime("%H:%M:%SZ" if at.date() == near.date() else "%Y-%m-%d %H:%M:%SZ")


def by_state(counts: Mapping[HostState, int]) -> str:
    """Return how many hosts stand in each state: '9 held, 1 failed'."""
    return ", ".join(f"{counts[state]} {state}" for state in HostState if counts.get(state))


def numbers(sample: SampleRecord) -> str:
    """Return what a check measured: '1.2 before, 40 after, at most 4 per second'."""
    parts = [f"{spelled(sample.before)} before"] if sample.before is not None else []
    parts += [f"{spelled(sample.after)} after"] if sample.after is not None else []
    parts += [f"at most {spelled(sample.threshold)}"] if sample.threshold is not None else []
    return f"{', '.join(parts)} {sample.unit}" if parts else ""


def _began(event: RolloutBegan) -> Message:
    sizes = [str(len(wave.hosts)) for wave in event.waves]
    cut = ", ".join(sizes[:_MOST_SIZES]) + (", ..." if len(sizes) > _MOST_SIZES else "")
    how = "taken up again by" if event.resumed else "begun by"
    hosts, waves = count(len(event.hosts), "host"), count(len(sizes), "wave")
    stand = f"; {by_state(states)}" if event.resumed and (states := _standing(event)) else ""
    return Message(
        " ",
        f"run {event.run}: profile {event.profile}, policy {event.policy}, {hosts} in {waves} ({cut}), "
        f"{how} {event.operator}, tcptune {event.tool_version}{stand}",
    )


def _standing(event: RolloutBegan) -> dict[HostState, int]:
    states = list(event.states.values())
    return {state: states.count(state) for state in states}


def _moved(event: HostMoved) -> Message:
    bad = event.error is not None or event.after in FAILURES
    why = f": {event.error}" if event.error else ""
    hint = f" (try: {event.hint})" if event.hint else ""
    return Message("!" if bad else " ", f"{event.host}: {event.after}{why}{hint}")


def _measured(sample: SampleRecord) -> Message:
    sign = {"fail": "!", "hold": "?", "continue": "+" if sample.verdict == "passed" else " "}[sample.treat]
    verdict = f"{sample.verdict} ({sample.cause})" if sample.cause else sample.verdict
    figures = f": {said}" if (said := numbers(sample)) else ""
    return Message(sign, f"gate {sample.gate} {sample.check} on {sample.host} {verdict}{figures}: {sample.why}")


def _wave(event: WaveHeld | WaveEnded, waves: int) -> Message:
    hosts = f" ({said})" if (said := by_state(event.counts)) else ""
    why = f": {event.why}" if event.why else ""
    if isinstance(event, WaveEnded):
        sign = "!" if event.state is WaveState.FAILED else " " if event.state is WaveState.LEFT_OUT else "+"
        return Message(sign, f"{wave_title(event.wave, waves)} {_ENDS[event.state]}{hosts}{why}")
    back = f"; its hosts take the change back from {moment(event.deadline, event.at)} on" if event.deadline else ""
    return Message("?", f"{wave_title(event.wave, waves)} is held, and a person decides{hosts}{why}{back}")


def _person(event: Asked | Answered | Interrupted) -> Message:
    match event:
        case Asked():
            return Message("?", f"{event.question} ({', '.join(event.choices)})")
        case Answered():
            return Message(" ", f"{event.by} answers: {event.answer}")
        case Interrupted():
            return Message("!", f"interrupted by {event.why}: {event.then}")


def _ended(event: RolloutEnded) -> list[Message]:
    sign = "+" if event.exit_code == 0 else "!"
    told = [Message(sign, f"ended with exit code {event.exit_code}: {event.why} ({by_state(event.counts)})")]
    return [*told, Message("?" if event.exit_code else " ", f"next: {event.next}")] if event.next else told


def _one_line(text: str) -> str:
    line = visible(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
