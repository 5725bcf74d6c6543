"""A rollout in plain lines, for where there is no terminal: a line for what matters, not for every host.

Of each wave the first few failures are told one by one, and the others in one line when the wave ends. A long wave
says at every tenth how far it is, where nothing was said for a while.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from tcptune.domain.events import (
    Event,
    GateMeasured,
    HostMoved,
    RolloutBegan,
    RolloutEnded,
    SoakBegan,
    Waiting,
    WaveBegan,
    WaveEnded,
    WaveHeld,
)
from tcptune.domain.journal import SampleRecord
from tcptune.domain.rollout import FAILURES
from tcptune.domain.runs import HostState
from tcptune.reports.layout import count, names
from tcptune.reports.rollout_sentences import Message, by_state, messages, wave_title
from tcptune.reports.rollout_view import RolloutView, WaveView

_MOST_IN_FULL = 5
_LONG_WAVE = 20
"""Hosts; a wave of more says how far it is."""
_QUIET = timedelta(seconds=10)
_COUNTED = frozenset({HostState.HELD, HostState.CONFIRMED, HostState.ROLLED_BACK})


class Progress:
    """Tells a rollout. Its view knows all, what it says is brief."""

    def __init__(self) -> None:
        self.view = RolloutView()
        self._day: date | None = None
        self._spoke: datetime | None = None
        self._waited: tuple[str, str] | None = None
        self._judged: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._hosts: list[str] = []
        self._samples: list[SampleRecord] = []

    def lines(self, event: Event) -> list[str]:
        """Return what is said of an event: nothing, or lines that begin with the time in UTC and a sign."""
        told = self.messages(event)
        if not told:
            return []
        day = "" if event.at.date() == self._day else event.at.strftime("%Y-%m-%d ")
        self._day = event.at.date()
        at = event.at.strftime("%H:%M:%SZ")
        return [f"{'' if number else day}{at} {one.sign} {one.text}" for number, one in enumerate(told)]

    def messages(self, event: Event) -> list[Message]:
        """Return the same without times."""
        told = self._told(event)
        if told:
            self._spoke = event.at
        return told

    def _told(self, event: Event) -> list[Message]:
        self.view.take(event)
        waited, self._waited = self._waited, None
        match event:
            case HostMoved():
                return self._moved(event)
            case GateMeasured():
                return self._measured(event)
            case Waiting():
                self._waited = (event.waits_for, event.why)
                return self._in_words(event) if waited != self._waited else []
            case RolloutBegan() | WaveBegan():
                self._judged, self._hosts, self._samples = {}, [], []
            case SoakBegan():
                [said] = self._in_words(event)
                stand = by_state(self.view.waves[event.wave].counts)
                return [Message(said.sign, f"{said.text}: {stand}" if stand else said.text)]
            case WaveHeld() | WaveEnded() | RolloutEnded():
                return [*self._left_out(), *self._in_words(event)]
        return self._in_words(event)

    def _in_words(self, event: Event) -> list[Message]:
        return messages(event, waves=len(self.view.waves))

    def _moved(self, event: HostMoved) -> list[Message]:
        if event.error is not None or event.after in FAILURES:
            self._hosts.append(event.host)
            return self._in_words(event) if len(self._hosts) <= _MOST_IN_FULL else []
        return self._how_far(self.view.waves[event.wave], event)

    def _how_far(self, wave: WaveView, event: HostMoved) -> list[Message]:
        total, now = len(wave.hosts), wave.counts[event.after]
        moved = event.after in _COUNTED and event.before is not event.after
        recent = self._spoke is not None and event.at - self._spoke < _QUIET
        if recent or not moved or total <= _LONG_WAVE or now >= total or now * 10 // total == (now - 1) * 10 // total:
            return []
        return [Message(" ", f"{wave_title(wave.number, len(self.view.waves))}: {by_state(wave.counts)}")]

    def _measured(self, event: GateMeasured) -> list[Message]:
        one = event.sample
        key, said = (one.host, one.gate, one.check), (one.verdict, one.treat)
        before = self._judged.get(key)
        self._judged[key] = said
        # A check is asked again and again while a wave soaks: only another answer is news.
        if one.treat == "continue" or said == before:
            return []
        self._samples.append(one)
        return self._in_words(event) if len(self._samples) <= _MOST_IN_FULL else []

    def _left_out(self) -> list[Message]:
        """Return in a line each what was too much to be told one by one."""
        hosts = tuple(dict.fromkeys(self._hosts[_MOST_IN_FULL:]))
        samples = self._samples[_MOST_IN_FULL:]
        self._hosts, self._samples = self._hosts[:_MOST_IN_FULL], self._samples[:_MOST_IN_FULL]
        told = [Message("!", f"{count(len(hosts), 'more host')} failed: {names(hosts)}")] if hosts else []
        if samples:
            checks = tuple(dict.fromkeys(f"{one.gate} {one.check}" for one in samples))
            where = names(tuple(dict.fromkeys(one.host for one in samples)))
            sign = "!" if any(one.treat == "fail" for one in samples) else "?"
            text = f"{count(len(samples), 'more check')} did not pass: {names(checks)} on {where}"
            told.append(Message(sign, text))
        return told
