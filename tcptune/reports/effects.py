"""What became of the counters of a run's hosts, as text and as markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.effects import HostEffect, Outcome, RateEffect, too_quiet
from tcptune.domain.quantities import spelled
from tcptune.reports.layout import aligned, count, listed, wrapped

_MARKS = {Outcome.WORSE: "!", Outcome.NOT_JUDGED: "?", Outcome.FIXED: "+", Outcome.BETTER: "+", Outcome.UNCHANGED: " "}
_ORDER = (Outcome.WORSE, Outcome.FIXED, Outcome.BETTER, Outcome.UNCHANGED, Outcome.NOT_JUDGED)
"""What moved comes first, and last what is or was bad and could not be judged."""
HEAD = ("host", "rate", "before", "after", "outcome", "why")


def terminal(found: Sequence[HostEffect]) -> list[str]:
    """Return a line per host, with the rates that moved or are bad below it, and why others were not judged."""
    lines: list[str] = []
    for host in found:
        lines.append(f"{_MARKS[host.outcome]} {host.host}  rates: {host.why or host.outcome}")
        single, folded = _parted(host)
        told = sorted(filter(_worth, single), key=lambda one: _ORDER.index(one.outcome))
        lines += aligned([(one.rule, *_numbers(one), one.outcome, one.why) for one in told], indent="    ")
        for why, some in folded:
            lines += wrapped(f"{len(some)} {Outcome.NOT_JUDGED}, {why}:", indent="    ")
            lines += listed(_rules(some), indent="      ")
        alike = len(single) - len(told)
        lines += (
            [f"    {alike} more {'is as it was' if alike == 1 else 'are as they were'}, and small"] if alike else []
        )
    return lines


def summary(found: Sequence[HostEffect]) -> str:
    """Return what ends the report's last sentence: on how many hosts the rates are worse, or not judged."""
    said = ""
    for outcome in (Outcome.WORSE, Outcome.NOT_JUDGED):
        number = sum(host.outcome is outcome for host in found)
        said += f"; rates of {count(number, 'host')} {outcome}" if number else ""
    return said


def rows(found: Sequence[HostEffect]) -> list[tuple[str, ...]]:
    """Return the rows of the table: what became of each host, then of its rates, those that lack the same in one."""
    table: list[tuple[str, ...]] = []
    for host in found:
        table.append((host.host, "", "", "", f"**{host.outcome}**", host.why))
        single, folded = _parted(host)
        table += [(host.host, one.rule, *_numbers(one), one.outcome.value, one.why) for one in single]
        table += [
            (host.host, f"{len(some)}: {', '.join(_rules(some))}", "", "", Outcome.NOT_JUDGED.value, why)
            for why, some in folded
        ]
    return table


def _worth(one: RateEffect) -> bool:
    return one.there or one.outcome is not Outcome.UNCHANGED


def _parted(host: HostEffect) -> tuple[list[RateEffect], list[tuple[str, list[RateEffect]]]]:
    """Return the rates of a host that have a line each, and the others by why they were not judged, most of them first.

    What is idle is so for one reason, though each rule counts other traffic. What is or was bad keeps its line.
    """
    groups: dict[str | bool, list[RateEffect]] = {}
    for one in host.rates:
        if one.outcome is Outcome.NOT_JUDGED and not one.open:
            # Before the run, and now, are two reasons.
            groups.setdefault(one.why if one.quiet is None else one.quiet.now_per_s is None, []).append(one)
    several = sorted((some for some in groups.values() if len(some) > 1), key=len, reverse=True)
    away = {one.rule for some in several for one in some}
    return [one for one in host.rates if one.rule not in away], [(_reason(some), some) for some in several]


def _reason(some: Sequence[RateEffect]) -> str:
    quiet = [one.quiet for one in some if one.quiet is not None]
    return too_quiet(quiet) if quiet else some[0].why


def _rules(some: Sequence[RateEffect]) -> list[str]:
    return [one.rule for one in some]


def _numbers(one: RateEffect) -> tuple[str, str]:
    before = "not known" if one.before is None else spelled(one.before)
    after = "not known" if one.after is None else f"{spelled(one.after)} {one.unit}"
    return before, after
