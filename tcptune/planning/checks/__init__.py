"""Family: one host as a whole -> what its settings make wrong together, or with what runs there.

A check is a function of a scene and of the values at one time. It yields what it sees there, and raises NotKnown where
it lacks a fact: then it is listed as not judged. Each is run on the values now and on those that are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tcptune.domain.concerns import Concern, Holds, Judged, NotJudged, Observation
from tcptune.planning.checks import (
    accept_queue,
    conntrack,
    couplings,
    keepalive,
    memory,
    port_range,
    reload,
    rivals,
)
from tcptune.planning.checks.scene import NotKnown, Scene, Values

Check = Callable[[Scene, Values], Iterable[Observation]]

CHECKS: dict[str, Check] = {
    "accept-queue": accept_queue.judge,
    "port-listeners": port_range.listeners,
    "port-nodeports": port_range.node_ports,
    "port-range": port_range.alone,
    "refused": couplings.refused,
    "nonsense": couplings.nonsense,
    "time-wait-reuse": couplings.reuse,
    "no-effect": couplings.without_effect,
    "syn-queue": couplings.syn_queue,
    "keepalive": keepalive.path,
    "keepalive-conntrack": keepalive.own_conntrack,
    "memory": memory.ceiling,
    "buffers": memory.buffers,
    "connections": memory.connections,
    "conntrack-full": conntrack.full,
    "conntrack-chains": conntrack.chains,
    "global-reload": reload.judge,
    "rivals": rivals.judge,
}
"""Name of a check -> the check."""


def judge(scene: Scene) -> Judged:
    """Run every check. What holds now alone is left out: the wanted values cure it."""
    concerns: list[Concern] = []
    not_judged: list[NotJudged] = []
    for name, check in CHECKS.items():
        then, gap = _run(check, scene, scene.then)
        if gap is not None:
            not_judged.append(NotJudged(check=name, why=gap))
        known = {_identity(one) for one in (_run(check, scene, scene.now)[0] if scene.changes else then)}
        for one in then:
            holds = Holds.NOW if _identity(one) in known else Holds.WANTED
            concerns.append(Concern(**one.model_dump(), check=name, holds=holds))
    return Judged(concerns=tuple(concerns), not_judged=tuple(not_judged))


def _run(check: Check, scene: Scene, values: Values) -> tuple[list[Observation], str | None]:
    found: list[Observation] = []
    try:
        # One by one: what was seen before a fact was missed is kept.
        for one in check(scene, values):
            found.append(one)  # noqa: PERF402
    except NotKnown as gap:
        return found, str(gap)
    return found, None


def _identity(one: Observation) -> tuple[object, ...]:
    return one.keys, one.severity, one.what
