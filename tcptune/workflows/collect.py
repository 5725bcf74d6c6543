"""Read hosts. A host that cannot be read is a result, too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tcptune.domain.changes import Plan
from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.hosts import Host
from tcptune.errors import HostError, ProbeFailed
from tcptune.ports import Transport, Workers
from tcptune.probes import LISTENING, LISTS, PROBES, REQUIRED, WHEN_LOADED, script

COMMAND = ("sh", "-c", script.BOOTSTRAP)


def keys_of(plan: Plan) -> list[str]:
    """Return the settings that a plan changes, and what bounds its limits."""
    limits = {"fs.nr_open" for cohort in plan.cohorts if cohort.limits}
    return sorted({change.key for cohort in plan.cohorts for change in cohort.changes} | limits)


def sections_of(plan: Plan, *, boot: bool) -> list[str]:
    """Return the sections that tell the files a plan writes; with `boot`, what the next boot and start give, too."""
    paths = [file.path for cohort in plan.cohorts for file in cohort.files]
    paths += [limit.path for cohort in plan.cohorts for limit in cohort.limits]
    found = [*REQUIRED]
    if boot:
        found += WHEN_LOADED
    if any(path.startswith(("/etc/modules-load.d/", "/etc/security/")) for path in paths):
        found += LISTS
    if any(path.startswith("/etc/systemd/") for path in paths) or (boot and _has_limits(plan)):
        found += [*LISTENING, *LISTS]
    return list(dict.fromkeys(found))


def _has_limits(plan: Plan) -> bool:
    return any(cohort.limits for cohort in plan.cohorts)


@dataclass(frozen=True)
class Collector:
    """Reads the same keys on many hosts."""

    transport: Transport
    workers: Workers
    clock: Callable[[], datetime]
    timeout_s: float = 30.0

    def stream(
        self,
        hosts: Iterable[Host],
        keys: Sequence[str],
        sections: Collection[str] = PROBES.keys(),
        ready: Callable[[Host], None] | None = None,
    ) -> Iterator[Collected]:
        """Yield each host's facts, or why it could not be read, in the order in which they arrive.

        Whoever needs values and files alone asks for the REQUIRED sections: the others cost the host ten times as much.
        `ready` is called before a host is asked, and may wait until its time has come.
        """
        stdin = script.assemble(keys, sections)

        def work(host: Host) -> Collected:
            if ready is not None:
                ready(host)
            try:
                return self._one(host, stdin, sections)
            except HostError as problem:
                # The table of hosts names the host already.
                return Unread(host=host.name, error=str(problem).removeprefix(f"{host.name}: "), hint=problem.hint)

        return self.workers.stream(work, hosts)

    def _one(self, host: Host, stdin: str, sections: Collection[str]) -> HostFacts:
        said = self.transport.run(host, COMMAND, stdin, timeout_s=self.timeout_s)
        if not said.stdout:
            reason = " ".join(said.stderr.split())[:300] or f"it exited with {said.status}"
            raise ProbeFailed(f"{host.name}: the probe said nothing: {reason}", hint="is there a POSIX sh?")
        return script.parse(host.name, said.stdout, self.clock(), sections)
