"""Who has to start or to listen again for a change to matter. It is said and never done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from tcptune.domain.changes import Change, LimitChange, Plan
from tcptune.domain.facts import HostFacts
from tcptune.domain.followups import FollowUp
from tcptune.domain.limits import LIMIT_KEY
from tcptune.domain.parameters import Effect
from tcptune.domain.runs import HostState, Run
from tcptune.domain.state import Listener, Process
from tcptune.domain.values import numbers
from tcptune.knowledge.surroundings import program

SOMAXCONN = "net.core.somaxconn"

_INHERITED = {"net.ipv4.tcp_rmem": 1, "net.ipv4.tcp_wmem": 1}
"""Settings of which an accepted connection gets one number from its listener, not from the kernel: the initial buffer.
Measured; the catalogue says so under `effect_note`."""

_Key = tuple[str, str | None, str | None]
_Asked = dict[_Key, dict[str, Literal["applied", "confirmed"]]]
"""(what to do, process, unit) -> why, and what has to come first."""


def afterwards(facts: HostFacts, changes: Iterable[Change], limits: Iterable[LimitChange]) -> tuple[FollowUp, ...]:
    """Return what is left to a person on one host once its changes are made."""
    asked: _Asked = {}
    for change in changes:
        for key in _listening_again(change, facts):
            asked.setdefault(key, {})[change.key] = "applied"
    for limit in limits:
        if limit.layers.soft < limit.layers.wanted:
            key = (_again(limit.process, limit.unit, login=limit.unit is None), limit.process, limit.unit)
            asked.setdefault(key, {})[LIMIT_KEY] = "confirmed"
    return tuple(
        FollowUp(
            do=do,
            process=process,
            unit=unit,
            because=tuple(sorted(reasons)),
            # One start is enough for all of them, so it waits for the last.
            once="confirmed" if "confirmed" in reasons.values() else "applied",
            hosts=(facts.host,),
        )
        for (do, process, unit), reasons in asked.items()
    )


def together(found: Iterable[FollowUp]) -> tuple[FollowUp, ...]:
    """Return the same with each service once for all hosts on which it is the same, those of most hosts first."""
    hosts: dict[FollowUp, list[str]] = {}
    for one in found:
        hosts.setdefault(one.model_copy(update={"hosts": ()}), []).extend(one.hosts)
    merged = [one.model_copy(update={"hosts": tuple(sorted(names))}) for one, names in hosts.items()]
    return tuple(sorted(merged, key=lambda one: (-len(one.hosts), one.do, one.because)))


def with_afterwards(run: Run, plan: Plan) -> Run:
    """Return the run with what is left to a person on the hosts that hold or keep its change."""
    reached = {r.host: r.state for r in run.results if r.state in {HostState.HELD, HostState.CONFIRMED}}
    left = []
    for one in plan.afterwards:
        now = [
            h for h in one.hosts if reached.get(h) is HostState.CONFIRMED or (h in reached and one.once == "applied")
        ]
        left += [one.model_copy(update={"hosts": tuple(now)})] if now else []
    return run.model_copy(update={"afterwards": tuple(left)})


def _listening_again(change: Change, facts: HostFacts) -> Iterator[_Key]:
    """Yield the programs whose listeners keep what the setting was when they began to listen."""
    if not change.at_runtime:
        return
    if change.key in _INHERITED:
        before, after = numbers(change.before) or (), numbers(change.after) or ()
        at = _INHERITED[change.key]
        if before[at : at + 1] == after[at : at + 1]:
            return
    elif change.effect is not Effect.NEW_LISTENERS:
        return
    kept: Callable[[Listener], bool] = (lambda one: _capped(one, change)) if change.key == SOMAXCONN else lambda _: True
    found = facts.listeners
    if found is None or found.source == "proc":
        yield "restart what listens: which programs that are is not known", None, None
        return
    processes = {process.pid: process for process in found.processes}
    unseen = bool(found.left_out)
    for listener in found.listeners:
        if not kept(listener):
            continue
        owners = [processes[pid] for pid in listener.pids if pid in processes]
        unseen = unseen or not owners
        for process in owners:
            if change.key != SOMAXCONN or not _few(process):
                yield _of_process(process)
    if unseen:
        yield "restart what else listens: not every program could be seen", None, None


def _capped(listener: Listener, change: Change) -> bool:
    """Say whether a queue is as long as the old value let it be, or longer than the new one does."""
    before, after = (numbers(text) or (0,) for text in (change.before, change.after))
    return listener.backlog is None or listener.backlog == before[0] or listener.backlog > after[0]


def _few(process: Process) -> bool:
    """Say whether so few connections come that the length of the queue is no matter: a login is no web page."""
    known = program(process.name)
    return known is not None and bool(known.few)


def _of_process(process: Process) -> _Key:
    if process.unit == "init.scope" or (process.pid, process.name) == (1, "systemd"):
        return "systemctl restart the .socket units that systemd listens for", "systemd", None
    unit = process.unit if (process.unit or "").endswith(".service") else None
    return _again(process.name, unit), process.name, unit


def _again(process: str, unit: str | None, *, login: bool = False) -> str:
    if unit is not None:
        return f"systemctl restart {unit}"
    return f"log in again, and start {process} again from there" if login else f"start {process} again"
