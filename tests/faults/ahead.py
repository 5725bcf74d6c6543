"""Faults that are made and diagnosed ahead of the tests that look at them, two at a time, on labs of their own.

A fault is mostly waiting: for a queue to fill, for the two samples of the command. Two labs wait at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.acceptance.command import Tcptune
from tests.faults import reading
from tests.faults.fault import Fault, Measurement, Scene, measure
from tests.faults.prove import LOAD_S, Verdict, look
from tests.faults.stage import Stage
from tests.faults.traces import traces
from tests.lab import Lab

AT_ONCE = 2
BEFORE_S = 1.0
SHORTEST_S = 5
"""The shortest window that the command takes."""


@dataclass(frozen=True)
class Made:
    """What became of a fault."""

    scene: Scene
    measured: Measurement
    verdict: Verdict
    left: list[str]
    """What it left on its hosts."""
    forgotten: int
    """Sockets in CLOSE_WAIT that stay; 0 for a fault, of which one does not ask."""


class Ahead:
    """Makes faults in their order, and gives what became of each."""

    def __init__(self, folder: Path, faults: Iterable[Fault]) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._free: SimpleQueue[tuple[Lab, Tcptune]] = SimpleQueue()
        self._all = [
            (Lab(folder / f"lab-{number}", tied=True), Tcptune(folder / f"tcptune-{number}"))
            for number in range(AT_ONCE)
        ]
        for one in self._all:
            self._free.put(one)
        self._made: dict[str, Future[Made]] = {fault.name: self._pool.submit(self._make, fault) for fault in faults}

    def made(self, fault: Fault) -> Made:
        """Wait for a fault. Raises what making it has raised."""
        return self._made[fault.name].result()

    def close(self) -> None:
        """Make no more, and end the labs."""
        self._pool.shutdown(cancel_futures=True)
        for lab, tcptune in self._all:
            tcptune.close()
            lab.down()

    def _make(self, fault: Fault) -> Made:
        lab, tcptune = free = self._free.get()
        try:
            lab.up(fault.hosts)
            lab.reset(*lab.hosts)
            with Stage(lab, lab.hosts) as stage:
                at_first = traces(stage)
            with Stage(lab, lab.hosts) as stage, fault.make(stage, True) as scene:
                measured, verdict = _diagnosed(fault, scene, tcptune, lab)
                forgotten = 0 if fault.cause else _forgotten(stage)
            with Stage(lab, lab.hosts) as stage:
                return Made(scene, measured, verdict, sorted(traces(stage) - at_first), forgotten)
        finally:
            self._free.put(free)


def _diagnosed(fault: Fault, scene: Scene, tcptune: Tcptune, lab: Lab) -> tuple[Measurement, Verdict]:
    """Measure a scene while the command looks at it."""
    said: list[Verdict] = []

    def beside() -> None:
        time.sleep(BEFORE_S)
        said.append(look(fault, scene, tcptune, lab, window_s=SHORTEST_S))

    measured = measure(scene, meanwhile=beside, seconds=LOAD_S)
    return measured, said[0]


def _forgotten(stage: Stage, timeout_s: float = 2.0) -> int:
    """Count the sockets in CLOSE_WAIT that do not go away: the load has just closed all of its own."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = sum(reading.states(host.proc).get("state.CLOSE_WAIT", 0) for host in stage.hosts.values())
        if not found or time.monotonic() > deadline_s:
            return found
        time.sleep(0.05)
