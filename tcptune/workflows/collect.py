"""Read hosts. A host that cannot be read is a result, too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.hosts import Host
from tcptune.errors import HostError, ProbeFailed
from tcptune.ports import Transport, Workers
from tcptune.probes import PROBES, script

COMMAND = ("sh", "-c", script.BOOTSTRAP)


@dataclass(frozen=True)
class Collector:
    """Reads the same keys on many hosts."""

    transport: Transport
    workers: Workers
    clock: Callable[[], datetime]
    timeout_s: float = 30.0

    def stream(
        self, hosts: Iterable[Host], keys: Sequence[str], sections: Collection[str] = PROBES.keys()
    ) -> Iterator[Collected]:
        """Yield each host's facts, or why it could not be read, in the order in which they arrive.

        Whoever needs values and files alone asks for the REQUIRED sections: the others cost the host ten times as much.
        """
        stdin = script.assemble(keys, sections)

        def work(host: Host) -> Collected:
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
