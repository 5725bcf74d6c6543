"""What a diagnosis proposes for the kernel, as a profile that `plan` takes. Nothing else is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from tcptune.domain.diagnosis import CauseFound, FleetDiagnosis, NofileProposal, Operator, Proposal
from tcptune.domain.ports import folded, ports
from tcptune.domain.profile import PROFILE_FORMAT_VERSION
from tcptune.domain.values import numbers

_NAME = re.compile(r"[A-Za-z0-9_.@:+-]+")
"""A process whose name is none of this is not put into a pattern."""
_SOURCE = "tcptune diagnose"


def overlay(result: FleetDiagnosis, name: str = "fix") -> str | None:
    """Return the profile, or None where no setting and no limit of the kernel helps any host.

    One profile serves all hosts: of several values for a setting the farthest goes in.
    """
    proposals: dict[str, list[tuple[CauseFound, Proposal]]] = {}
    limits: dict[str, list[tuple[CauseFound, NofileProposal]]] = {}
    concerned: list[str] = []
    for host in result.hosts:
        for one in host.causes:
            for setting in one.settings:
                proposals.setdefault(setting.key, []).append((one, setting))
            if one.nofile is not None and _NAME.fullmatch(one.nofile.process):
                limits.setdefault(one.nofile.process, []).append((one, one.nofile))
        if any(one.settings or one.nofile for one in host.causes):
            concerned.append(host.host)
    if not proposals and not limits:
        return None
    document: dict[str, Any] = {
        "profile": name,
        "format_version": PROFILE_FORMAT_VERSION,
        "summary": "What a diagnosis proposes for the kernel; the causes behind it are in each entry.",
    }
    if proposals:
        document["settings"] = {key: _entry(found) for key, found in sorted(proposals.items())}
    if limits:
        document["limits"] = {"nofile": [_limit(process, found) for process, found in sorted(limits.items())]}
    head = f"# Made by tcptune diagnose for: {', '.join(_plain(host) for host in concerned)}\n"
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _plain(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)


def _entry(found: list[tuple[CauseFound, Proposal]]) -> dict[str, Any]:
    operator = found[0][1].operator
    values = [one.value for _, one in found if one.operator is operator]
    return {**_demand(operator, values), "why": _why(found), "source": _source(one for one, _ in found)}


def _demand(operator: Operator, values: list[str]) -> dict[str, Any]:
    if operator is Operator.EXACTLY:
        return {"exactly": values[0]}
    if operator is Operator.INCLUDES:
        return {"includes": folded(frozenset().union(*(ports(value) for value in values)))}
    columns = list(zip(*(numbers(value) or () for value in values), strict=True))
    if operator is Operator.WIDEN:
        return {"elements": [{"at_most": min(columns[0])}, {"at_least": max(columns[1])}]}
    if operator is Operator.AT_MOST:
        return {"at_most": min(columns[0])}
    if len(columns) == 1:
        return {"at_least": max(columns[0])}
    return {"elements": [{"at_least": max(column)} for column in columns]}


def _limit(process: str, found: list[tuple[CauseFound, NofileProposal]]) -> dict[str, Any]:
    return {
        "at_least": max(one.at_least for _, one in found),
        "processes": [process],
        "why": "; ".join(dict.fromkeys(one.why for _, one in found)),
        "source": _source(one for one, _ in found),
    }


def _why(found: list[tuple[CauseFound, Proposal]]) -> str:
    return "; ".join(dict.fromkeys(one.why for _, one in found))


def _source(found: Iterable[CauseFound]) -> str:
    return f"{_SOURCE}: {', '.join(dict.fromkeys(one.cause for one in found))}"
