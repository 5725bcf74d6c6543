"""What became of the counters of a run's hosts, as text and as markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.effects import HostEffect, Outcome, RateEffect
from tcptune.domain.quantities import spelled
from tcptune.reports.layout import aligned, count

_MARKS = {Outcome.WORSE: "!", Outcome.NOT_JUDGED: "?", Outcome.FIXED: "+", Outcome.BETTER: "+", Outcome.UNCHANGED: " "}
_ORDER = (Outcome.WORSE, Outcome.FIXED, Outcome.BETTER, Outcome.UNCHANGED, Outcome.NOT_JUDGED)
"""What moved comes first: an idle host has many lines of what was not judged."""
HEAD = ("host", "rate", "before", "after", "outcome", "why")


def terminal(found: Sequence[HostEffect]) -> list[str]:
    """Return a line per host, with the rates that moved or are bad below it."""
    lines: list[str] = []
    for host in found:
        lines.append(f"{_MARKS[host.outcome]} {host.host}  rates: {host.why or host.outcome}")
        told = sorted(filter(_worth, host.rates), key=lambda one: _ORDER.index(one.outcome))
        lines += aligned([(one.rule, *_numbers(one), one.outcome, one.why) for one in told], indent="    ")
        alike = sum(one.outcome is Outcome.UNCHANGED for one in host.rates) - sum(
            one.outcome is Outcome.UNCHANGED for one in told
        )
        lines += [f"    {alike} more are as they were, and small"] if alike else []
    return lines


def summary(found: Sequence[HostEffect]) -> str:
    """Return what ends the report's last sentence: on how many hosts the rates are worse, or not judged."""
    said = ""
    for outcome in (Outcome.WORSE, Outcome.NOT_JUDGED):
        number = sum(host.outcome is outcome for host in found)
        said += f"; rates of {count(number, 'host')} {outcome}" if number else ""
    return said


def rows(found: Sequence[HostEffect]) -> list[tuple[str, ...]]:
    """Return the rows of the table: every rate of every host."""
    return [
        row
        for host in found
        for row in (
            [(host.host, "", "", "", host.outcome.value, host.why)]
            if host.why
            else [(host.host, one.rule, *_numbers(one), one.outcome.value, one.why) for one in host.rates]
        )
    ]


def _worth(one: RateEffect) -> bool:
    return one.there or one.outcome is not Outcome.UNCHANGED


def _numbers(one: RateEffect) -> tuple[str, str]:
    before = "not known" if one.before is None else spelled(one.before)
    after = "not known" if one.after is None else spelled(one.after)
    return before, f"{after} {one.unit}"
