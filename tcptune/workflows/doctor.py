"""Doctor: look for runs that nobody ended, on the hosts and in the journal. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tcptune.domain.facts import Unread
from tcptune.domain.host_runs import Doctor, Leftover, Unseen
from tcptune.domain.hosts import Host
from tcptune.domain.runs import Run
from tcptune.planning.doctor import leftovers, settlements
from tcptune.workflows.collect import Collector

_SECTIONS = ("system", "sysctl", "sysctl_files", "runs")


def doctor(collector: Collector, hosts: Iterable[Host], runs: Iterable[Run], now: datetime) -> Doctor:
    """Return what is left over, by host. A host whose records could not be read is never called fine."""
    journal = {run.run_id: run for run in runs}
    fine: list[str] = []
    found: list[Leftover] = []
    unseen: list[Unseen] = []
    for one in collector.stream(hosts, [], _SECTIONS):
        if isinstance(one, Unread):
            unseen.append(Unseen(host=one.host, why=one.error, hint=one.hint))
        elif one.runs is None:
            why = one.gaps.get("runs", "it did not say")
            unseen.append(
                Unseen(
                    host=one.host, why=why, hint="records are for root: -b, or ansible_become: true in the inventory"
                )
            )
        else:
            left = list(leftovers(one, journal, now))
            found += left
            if not left:
                fine.append(one.host)
    return Doctor(
        fine=tuple(sorted(fine)),
        leftovers=tuple(sorted(found, key=lambda one: (one.host, one.run))),
        settlements=settlements(found),
        unseen=tuple(sorted(unseen, key=lambda one: one.host)),
    )
