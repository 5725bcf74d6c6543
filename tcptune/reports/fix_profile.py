"""What a diagnosis proposes for the kernel, as a profile that `plan` takes. Nothing else is in it.

What one host needs is no reason to change another: each value stands with the names of the hosts that need it, and
above it, as comments, with the numbers that were read on each of them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from tcptune.domain.diagnosis import CauseFound, FleetDiagnosis, HostDiagnosis, Operator, Proposal
from tcptune.domain.profile import PROFILE_FORMAT_VERSION
from tcptune.domain.values import numbers
from tcptune.reports.diagnosis import said
from tcptune.reports.layout import count, visible

_NAME = re.compile(r"[A-Za-z0-9_.@:+-]+")
"""A process whose name is none of this is not put into a pattern."""
_SOURCE = "tcptune diagnose"
_WIDTH = 110
_REASONS = 3
"""Of one value. Each host's own is in the comments."""


class _Asked(NamedTuple):
    """What one host needs of one setting, or of one process."""

    host: str
    demand: dict[str, Any]
    why: str
    causes: tuple[CauseFound, ...]


def concerned(result: FleetDiagnosis) -> list[str]:
    """Return the hosts for which the profile holds anything."""
    return [host.host for host in result.hosts if any(_settings(host)) or any(_limits(host))]


def overlay(result: FleetDiagnosis, name: str = "fix") -> str | None:
    """Return the profile, or None where no setting and no limit of the kernel helps any host."""
    settings = _by_key(one for host in result.hosts for one in _settings(host))
    limits = _by_key(one for host in result.hosts for one in _limits(host))
    if not settings and not limits:
        return None
    head = {
        "profile": name,
        "format_version": PROFILE_FORMAT_VERSION,
        "summary": "What a diagnosis proposes for the kernel, for the hosts that showed the causes and no others.",
    }
    lines = [*_opening(result), *_yaml(head)]
    if settings:
        lines.append("settings:")
        for key, asked in sorted(settings.items()):
            lines += [f"  {key}:", *_entries(asked)]
    if limits:
        lines += ["limits:", "  nofile:"]
        for _, asked in sorted(limits.items()):
            lines += _entries(asked)
    return "\n".join(lines) + "\n"


def _opening(result: FleetDiagnosis) -> Iterator[str]:
    hosts = concerned(result)
    yield from _comment(f"Made by tcptune diagnose for {len(hosts)} of {count(_all(result), 'host')}: ", hosts)
    yield from _comment("Each value holds for the hosts in its 'when' alone.")
    if result.unread:
        yield from _comment("Could not be read, so not in here whatever they need: ", [o.host for o in result.unread])
    in_part = [one.host for one in result.hosts if one.not_judged]
    if in_part:
        yield from _comment("Not judged in full, so more may be needed there: ", in_part)
    for host in result.hosts:
        for one in host.causes:
            if one.nofile is not None and not _NAME.fullmatch(one.nofile.process):
                name = repr(one.nofile.process)
                yield from _comment(f"Left out, for its name could be taken for a wildcard: {name} on {host.host}")


def _all(result: FleetDiagnosis) -> int:
    return len(result.hosts) + len(result.unread)


def _settings(host: HostDiagnosis) -> Iterator[tuple[str, _Asked]]:
    for one in {setting.key: setting for cause in host.causes for setting in cause.settings}.values():
        causes = tuple(cause for cause in host.causes if one.key in {setting.key for setting in cause.settings})
        yield one.key, _Asked(host.host, _demand(one), one.why, causes)


def _limits(host: HostDiagnosis) -> Iterator[tuple[str, _Asked]]:
    for process, one in {cause.nofile.process: cause.nofile for cause in host.causes if cause.nofile}.items():
        if _NAME.fullmatch(process):
            causes = tuple(cause for cause in host.causes if cause.nofile and cause.nofile.process == process)
            demand = {"at_least": one.at_least, "processes": [process]}
            yield process, _Asked(host.host, demand, one.why, causes)


def _by_key(found: Iterable[tuple[str, _Asked]]) -> dict[str, list[_Asked]]:
    result: dict[str, list[_Asked]] = {}
    for key, asked in found:
        result.setdefault(key, []).append(asked)
    return result


def _entries(asked: Sequence[_Asked]) -> Iterator[str]:
    """Yield the alternatives of a setting: one for each value, with the hosts that need it."""
    groups: dict[str, list[_Asked]] = {}
    for one in asked:
        groups.setdefault(repr(one.demand), []).append(one)
    for group in groups.values():
        for one in group:
            for cause in one.causes:
                numbers_read = "; ".join(f"{read.name} {said(read)}" for read in cause.evidence)
                said_so = f"{one.host}: {cause.cause} ({cause.confidence}): {numbers_read}"
                yield from _comment(said_so, indent="    ")
        entry = {
            **group[0].demand,
            "when": {"hosts": [_exactly(one.host) for one in group]},
            "why": _why([one.why for one in group]),
            "source": f"{_SOURCE}: {', '.join(dict.fromkeys(c.cause for one in group for c in one.causes))}",
        }
        yield from (f"    {line}" for line in _yaml([entry]))


def _demand(one: Proposal) -> dict[str, Any]:
    if one.operator in {Operator.EXACTLY, Operator.INCLUDES}:
        return {one.operator.value: one.value}
    each = numbers(one.value) or ()
    if one.operator is Operator.WIDEN:
        return {"elements": [{"at_most": each[0]}, {"at_least": each[1]}]}
    if len(each) == 1:
        return {one.operator.value: each[0]}
    return {"elements": [{one.operator.value: number} for number in each]}


def _exactly(host: str) -> str:
    """Return a pattern that this name alone fits."""
    return re.sub(r"([*?\[])", r"[\1]", host)


def _why(reasons: Sequence[str]) -> str:
    several = list(dict.fromkeys(reasons))
    more = [f"and {len(several) - _REASONS} more, see above"] if len(several) > _REASONS else []
    return "; ".join([*several[:_REASONS], *more])


def _yaml(data: object) -> list[str]:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=_WIDTH).rstrip("\n").split("\n")


def _comment(text: str, hosts: Sequence[str] = (), *, indent: str = "") -> list[str]:
    """Return lines that no name of a host or a process can end early."""
    plain = " ".join(visible(text + ", ".join(hosts)).split())
    return textwrap.wrap(
        plain,
        _WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
