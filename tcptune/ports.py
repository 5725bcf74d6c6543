"""What the workflows need of the outside, as small Protocols. The adapters implement them; tests bring fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from tcptune.domain.hosts import Host

if TYPE_CHECKING:
    from tcptune.domain.changes import Plan
    from tcptune.domain.events import Event
    from tcptune.domain.gates import ActiveGate, Answer, Baseline
    from tcptune.domain.journal import HostLock, Lease, LogEntry, Rollout, SampleRecord, WaveState
    from tcptune.domain.runs import Act, HostResult, HostState, Run

T = TypeVar("T")


@dataclass(frozen=True)
class Output:
    """What one command said."""

    status: int
    stdout: str
    stderr: str


class Transport(Protocol):
    """Runs one command on one host, as the user the inventory names."""

    def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
        """Return what the command said.

        Raises HostUnreachable, HostKeyRefused or BecomeRefused where it could not be run at all.
        """


class Workers(Protocol):
    """Does the same work for many hosts."""

    def stream(self, work: Callable[[Host], T], hosts: Iterable[Host]) -> Iterator[T]:
        """Yield the results in the order in which they are done."""


@dataclass(frozen=True)
class HostOutcome:
    """What the applier learned of one host."""

    host: str
    state: HostState
    replaced: dict[str, str]
    """Key -> value the host really had before."""
    error: str | None = None
    hint: str | None = None
    changed_since: tuple[str, ...] = ()
    """Keys and files that a third party changed, left as they are by a rollback."""
    no_record: bool = False
    """The host knows nothing of the run."""
    deadline: datetime | None = None
    """When the host takes the change back by itself."""
    busy: bool = False
    """Nothing was done: another process changes the host right now."""
    key: str | None = None
    """The setting that the error is about."""
    warnings: tuple[str, ...] = ()
    """What the host said beside the outcome: something that a person should see to."""


class Applier(Protocol):
    """Carries a plan to its hosts. Each call yields one outcome per host, as they come in."""

    def apply(
        self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int | None = None
    ) -> Iterator[HostOutcome]:
        """Change the kernel's values; nothing that a boot reads. The host takes them back after `revert_after_s`."""

    def confirm(self, run_id: str, plan: Plan, hosts: Sequence[Host]) -> Iterator[HostOutcome]:
        """Keep the values: write the files that a boot reads."""

    def extend(self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int) -> Iterator[HostOutcome]:
        """Give held hosts at least so many seconds from now."""

    def roll_back(
        self,
        run_id: str,
        plan: Plan,
        hosts: Sequence[Host],
        force_keys: Sequence[str] = (),
        fence: Sequence[str] = (),
    ) -> Iterator[HostOutcome]:
        """Restore what each host's own manifest says it had.

        The hosts named in `fence` may never have begun: should the run still come to one of them, it is refused.
        """


class Gates(Protocol):
    """Tries what active gates ask for, from this machine."""

    def ask(self, host: Host, gate: ActiveGate) -> tuple[Answer, ...]:
        """Return an answer for each check of the gate, in time. What does not work is an answer, no exception."""


class Journal(Protocol):
    """The record from which any run can be undone."""

    def begin(self, run: Run, plan: Plan, rollout: Rollout | None = None) -> None:
        """Record a run, the whole plan, how it reaches its hosts, and that this process applies it.

        That is before anything is changed.
        """

    def start(self, run_id: str, act: Act, hosts: Sequence[str], *, by: str, at: datetime) -> None:
        """Record that this process begins an act on some hosts. Raises TcptuneError while another one is at work."""

    def move(self, run_id: str, result: HostResult, *, at: datetime, note: str = "") -> None:
        """Record a host's new state, with what was replaced. Raises TcptuneError for a move the table forbids."""

    def end(self, run_id: str, *, at: datetime) -> None:
        """Record that nobody works on the run any more."""

    def find(self, run_id: str) -> tuple[Run, Plan]:
        """Return a run by its id, by a unique start of it, or 'last'. Raises UsageError where there is none."""

    def runs(self, *, limit: int = 50) -> list[Run]:
        """Return the newest runs, newest first."""

    def unsettled(self) -> list[Run]:
        """Return the runs with a host that something is being done to, or that nobody has ended; newest first."""


class Rollouts(Protocol):
    """The record of the waves of a run, and of what its gates said."""

    def rollout(self, run_id: str) -> Rollout | None:
        """Return the policy and the waves of a run; None where it was no rollout."""

    def move_wave(self, run_id: str, number: int, state: WaveState, *, at: datetime, why: str = "") -> None:
        """Record a wave's new state. Raises TcptuneError for a move that the table of moves forbids."""

    def keep_baseline(self, run_id: str, number: int, baseline: Baseline) -> None:
        """Record what was known of a wave before its change."""

    def baseline(self, run_id: str, number: int) -> Baseline | None:
        """Return what was known of a wave before its change; None where it was not begun."""

    def record_samples(self, run_id: str, samples: Sequence[SampleRecord], *, at: datetime) -> None:
        """Record what the gates of a wave said."""

    def samples(self, run_id: str, wave: int | None = None) -> list[SampleRecord]:
        """Return what gates said of the hosts of a wave, or of all waves, oldest first."""

    def log(self, run_id: str) -> list[LogEntry]:
        """Return every change of a state of the run, its waves and its hosts, oldest first."""


class Observer(Protocol):
    """Is told what happens in a rollout."""

    def tell(self, event: Event) -> None:
        """Take note of an event. Raises nothing and waits for nobody: a rollout does not depend on who watches it."""


class HostLocks(Protocol):
    """Which run may change which hosts, and until when."""

    def claim(self, hosts: Iterable[str], run_id: str, *, by: str, lease_s: int) -> Lease:
        """Return the right to change all of the hosts. Raises HostsClaimed where another claim of one of them lasts."""

    def renew(self, lease: Lease, *, patience_s: float | None = None) -> Lease:
        """Return the lease, lasting its full time again. Raises LeaseLost where somebody has taken a host over."""

    def release(self, lease: Lease) -> None:
        """Give the hosts back. Raises LeaseLost where somebody has taken one over."""

    def locks(self, hosts: Iterable[str] | None = None) -> list[HostLock]:
        """Return who holds these hosts, or any."""


class Heart(Protocol):
    """Knows whether a claim still lasts."""

    def check(self) -> None:
        """Raise LeaseLost unless nobody else can have the hosts now: to be asked before each change."""


class Packet(NamedTuple):
    """One packet as it was captured."""

    data: bytes
    link: int
    """Link type: tcpdump.org/linktypes.html."""
    wire_bytes: int
    """How long it was before it was cut to what was captured."""
    time_ns: int
    """Since 1970, by the clock of who captured it."""


class Packets(Protocol):
    """A file of packets, read once from its beginning to its end."""

    name: str
    packets: int
    """How many were read so far."""
    damage: str
    """After the last one: how it broke off; empty where it was read whole."""

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets, in the order of the file. Raises CaptureError where the file is no capture."""
