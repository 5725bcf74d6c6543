"""A changer with fakes in the place of hosts, journal and Ansible."""

from __future__ import annotations

from typing import Any

from tcptune.domain.runs import HostResult, HostState, Run
from tcptune.errors import HostUnreachable
from tcptune.knowledge.catalogue import catalogue
from tcptune.ports import HostOutcome
from tcptune.workflows.change import Changer, new_run
from tests.unit.builders import NOW, SOMAXCONN, SYNCOOKIES, answer, change, cohort, host, plan
from tests.unit.fakes import FakeApplier, MemoryJournal, Said, clock, collector

PLAN = plan(
    cohort("web1", "web2", changes=(change(SOMAXCONN, "128", "4096"),)),
    cohort("db1", changes=(change(SYNCOOKIES, "0", "1"),), name="cohort2"),
)
NAMES = ("web1", "web2", "db1")
UNMOVED: Said = {name: answer({SOMAXCONN: "128", SYNCOOKIES: "0"}) for name in NAMES}
MOVED = answer({SOMAXCONN: "512", SYNCOOKIES: "1"})
LOST = HostUnreachable("web1: no SSH session", hint="ssh web1 true")


class Story:
    """A changer with fakes, and what it did."""

    def __init__(self, found: Run | None = None, **outcomes: list[HostOutcome]) -> None:
        self.run = found or new_run(PLAN, run_id="r1", operator="ada@c", tool_version="0.1.0", started_at=NOW)
        self.journal = MemoryJournal(*([(found, PLAN)] if found else []))
        self.applier = FakeApplier(**outcomes)
        self.told: list[HostResult] = []
        self.pauses: list[float] = []
        self.changer = Changer(
            self.applier, self.journal, clock, self.told.append, catalogue(), "ada@c", self.pauses.append
        )

    def apply(self, says: Said = UNMOVED, **options: Any) -> dict[str, HostState]:
        given = {"skip_stale": False, "confirm": False}
        hosts = [host(name) for name in NAMES]
        return states(self.changer.apply(collector(says), PLAN, hosts, self.run, **{**given, **options}))

    def confirm(self, says: Said = UNMOVED) -> dict[str, HostState]:
        return states(self.changer.confirm(collector(says), self.run, PLAN, [host(r.host) for r in self.run.results]))

    def roll_back(self, *force_keys: str, says: Said = UNMOVED) -> dict[str, HostState]:
        hosts = [host(r.host) for r in self.run.results]
        return states(self.changer.roll_back(collector(says), self.run, PLAN, hosts, force_keys))

    def recorded(self, name: str) -> HostResult:
        return self.journal.find("last")[0].result(name)

    def acts(self) -> list[tuple[str, list[str]]]:
        return [(act, hosts) for act, hosts, _ in self.applier.calls]


def states(found: Run) -> dict[str, HostState]:
    return {r.host: r.state for r in found.results}


def everybody(state: HostState) -> dict[str, HostState]:
    return dict.fromkeys(NAMES, state)
