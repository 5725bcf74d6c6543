"""Rollout policies and waves for people."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from pydantic import BaseModel

from tcptune.domain.gates import Gate
from tcptune.domain.rollout import CohortRule, Confirmation, OnFailure, Order, Policy, PolicyList, Wave, Waves
from tcptune.reports.layout import aligned, count, names, wrapped

_COHORTS = {
    CohortRule.EACH: "each has a host in the canary",
    CohortRule.SPREAD: "each begins with one host, in the canary where there is room",
    CohortRule.ANY: "make no difference",
}
_ON_FAILURE = {
    OnFailure.HOLD: "stop, and leave every host as it is",
    OnFailure.ROLL_BACK_WAVE: "stop, and roll back the wave",
    OnFailure.ROLL_BACK_ALL: "stop, and roll back all waves",
}
_CONFIRM = {
    Confirmation.AFTER_GATES: "each wave when its gates have passed",
    Confirmation.BY_PERSON: "by a person",
}


def listed(result: PolicyList) -> str:
    """Return the list of policies."""
    rows = [(one.name, ", ".join(one.waves), one.summary) for one in result.policies]
    return "\n".join([*aligned(rows, indent=""), ""])


def listed_markdown(result: PolicyList) -> str:
    """Return the list of policies as a table."""
    rows = [f"| {one.name} | {', '.join(one.waves)} | {one.summary} |" for one in result.policies]
    return "\n".join(["| policy | waves | for |", "| --- | --- | --- |", *rows, ""])


def shown(result: Policy) -> str:
    """Return a whole policy, its defaults among it."""
    origin = result.origin.removeprefix(f"{result.policy} (").removesuffix(")")
    lines = [f"{result.policy}  ({origin})", *wrapped(result.summary, indent="  "), ""]
    return "\n".join([*lines, *aligned(_rows(result)), ""])


def shown_markdown(result: Policy) -> str:
    """Return a whole policy as a table."""
    lines = [f"# Policy {result.policy}", ""]
    lines += [result.summary, ""] if result.summary else []
    rows = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in _rows(result)]
    return "\n".join([*lines, "| key | value |", "| --- | --- |", *rows, ""])


def waves(result: Waves) -> str:
    """Return the waves of a plan, and why they are as they are."""
    lines: list[str] = []
    for wave in result.waves:
        lines.append(f"{_title(wave)}: {names(wave.hosts, most=8)}")
        for reason in wave.reasons:
            lines += wrapped(reason, indent="    ")
    return "\n".join([*lines, _summary(result), ""])


def waves_markdown(result: Waves) -> str:
    """Return the waves of a plan as a table, with every host."""
    rows = [
        f"| {wave.number} | {wave.asked} | {len(wave.hosts)} | {', '.join(wave.hosts)} | {'; '.join(wave.reasons)} |"
        for wave in result.waves
    ]
    head = [f"# Waves by policy {result.policy}", "", "| wave | asked | number | hosts | remarks |"]
    return "\n".join([*head, "| --- | --- | --- | --- | --- |", *rows, "", _summary(result), ""])


def _title(wave: Wave) -> str:
    word = "canary" if wave.number == 1 else f"wave {wave.number}"
    return f"{word} ({wave.asked}), {count(len(wave.hosts), 'host')}"


def _summary(result: Waves) -> str:
    shuffled = f", shuffled with seed {result.seed}" if result.seed is not None else ""
    hosts = count(len(result.hosts), "host")
    return (
        f"{hosts} in {count(len(result.waves), 'wave')} by policy {result.policy}{shuffled}. Nothing has been changed."
    )


def _rows(policy: Policy) -> Iterator[tuple[str, str]]:
    yield "waves", ", ".join(policy.waves)
    yield "failure domain", str(policy.failure_domain) if policy.failure_domain else "none is known"
    yield "cohorts", _COHORTS[policy.cohorts]
    yield "order", _order(policy.order)
    yield "concurrency", str(policy.concurrency) if policy.concurrency else "not limited"
    yield "soak", policy.soak
    for at, gate in enumerate(policy.gates):
        yield "gates" if at == 0 else "", _gate(gate)
    yield "failures", f"at most {policy.failures.per_wave} of a wave, {policy.failures.total} of all"
    yield "on failure", _ON_FAILURE[policy.on_failure]
    yield "confirm", _CONFIRM[policy.confirm]
    for at, window in enumerate(policy.window):
        yield "window" if at == 0 else "", str(window)
    if not policy.window:
        yield "window", "always"
    for at, one in enumerate(policy.notify):
        yield "notify" if at == 0 else "", f"{one.called}  {one.format}  {', '.join(one.events)}"


def _order(order: Order) -> str:
    by = f"{order.by} with seed {order.seed}" if order.seed is not None else str(order.by)
    return ", ".join([*(f"first {selector}" for selector in order.first), f"by {by}" if order.by != "shuffled" else by])


def _gate(gate: Gate) -> str:
    asked = {name: getattr(gate, name) for name in type(gate).model_fields if name != "gate"}
    given = {n: value for n, value in asked.items() if value != type(gate).model_fields[n].get_default()}
    return "  ".join([gate.gate, *(f"{name}={_brief(value)}" for name, value in given.items())])


def _brief(value: object) -> str:
    match value:
        case BaseModel():
            changed = {name: one for name, one in value if one != type(value).model_fields[name].get_default()}
            return ",".join(f"{name}:{_brief(one)}" for name, one in changed.items())
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(one.name if hasattr(one, "name") else str(one) for one in value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)
