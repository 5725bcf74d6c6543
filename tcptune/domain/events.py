"""What a rollout tells while it runs, event by event: the lines of an events file, and what views are made of.

An event says what has happened, after it was recorded in the journal. It holds no secret and no address of a receiver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer, TypeAdapter

from tcptune.domain.journal import SampleRecord, WaveState
from tcptune.domain.runs import HostState
from tcptune.domain.values import Frozen

EVENTS_FORMAT_VERSION: Literal[1] = 1


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _by_state(counts: dict[HostState, int]) -> dict[HostState, int]:
    if any(number < 1 for number in counts.values()):
        raise ValueError("only states in which a host stands are counted")
    # In the order of the states, whatever the order in which hosts came.
    return {state: counts[state] for state in HostState if state in counts}


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A time with its zone; kept and written in UTC."""
Counts = Annotated[
    dict[HostState, int],
    AfterValidator(_by_state),
    PlainSerializer(lambda counts: {state.value: number for state, number in counts.items()}),
]
"""State -> hosts that stand in it. States without a host are left out."""


def counted(states: Iterable[HostState]) -> dict[HostState, int]:
    """Return how many hosts stand in each state."""
    return dict(Counter(states))


class _Event(Frozen):
    at: Moment
    """By the clock of the controller."""
    run: str


class EventWave(Frozen):
    """A wave as it stands when the rollout begins or is taken up again."""

    number: int
    """Counted from 1; the first is the canary."""
    hosts: tuple[str, ...]
    state: WaveState = WaveState.PLANNED


class RolloutBegan(_Event):
    """First event of a rollout, and of one that is taken up again."""

    event: Literal["rollout_began"] = "rollout_began"
    tcptune: Literal["events"] = "events"
    format_version: Literal[1] = EVENTS_FORMAT_VERSION
    plan_id: str
    """SHA-256 of the plan's content."""
    profile: str
    policy: str
    policy_digest: str
    """SHA-256 of the policy's text."""
    waves: tuple[EventWave, ...]
    """All of them, with every host of the rollout."""
    states: dict[str, HostState] = {}
    """Host -> where it stands, for hosts that are not planned any more: those of a rollout that is taken up again."""
    operator: str
    """Login name and machine."""
    tool_version: str
    resumed: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host, in the order of the rollout."""
        return tuple(host for wave in self.waves for host in wave.hosts)


class HostsClaimed(_Event):
    """No other run may change these hosts any more."""

    event: Literal["hosts_claimed"] = "hosts_claimed"
    hosts: tuple[str, ...]
    until: Moment
    """By the clock of the journal's database; the claim is renewed while the rollout goes on."""


class WaveBegan(_Event):
    """The hosts of a wave are about to be changed."""

    event: Literal["wave_began"] = "wave_began"
    wave: int
    hosts: tuple[str, ...]


class HostMoved(_Event):
    """A host reached another state, or an attempt to bring it there failed and it stays."""

    event: Literal["host_moved"] = "host_moved"
    host: str
    wave: int
    before: HostState
    after: HostState
    error: str | None = None
    hint: str | None = None
    deadline: Moment | None = None
    """When the host takes the change back by itself; None where it does not."""


class SoakBegan(_Event):
    """A wave is changed; its gates are asked until the soak time is over."""

    event: Literal["soak_began"] = "soak_began"
    wave: int
    until: Moment


class GateMeasured(_Event):
    """A check of a gate was made of a host."""

    event: Literal["gate_measured"] = "gate_measured"
    sample: SampleRecord


class Waiting(_Event):
    """The rollout stands still by itself, until the next event that is none of these."""

    event: Literal["waiting"] = "waiting"
    waits_for: Literal["window", "baseline", "database", "lease"]
    why: str
    """One sentence."""
    until: Moment | None = None
    """When the wait is over at the latest; None where nobody knows."""


class WaveHeld(_Event):
    """A wave keeps its change, no further one begins, and a person decides."""

    event: Literal["wave_held"] = "wave_held"
    wave: int
    why: str
    deadline: Moment | None = None
    """When the first of its hosts takes the change back by itself; None where none does."""
    counts: Counts
    """Of the hosts of the wave."""


class WaveEnded(_Event):
    """A wave came to an end, or from one end to another: passed and then confirmed, failed and then rolled back."""

    event: Literal["wave_ended"] = "wave_ended"
    wave: int
    state: Literal[WaveState.PASSED, WaveState.FAILED, WaveState.CONFIRMED, WaveState.ROLLED_BACK, WaveState.LEFT_OUT]
    why: str = ""
    counts: Counts
    """Of the hosts of the wave."""


class DeadlineExtended(_Event):
    """Hosts that hold the change were given more time before they take it back by themselves."""

    event: Literal["deadline_extended"] = "deadline_extended"
    hosts: tuple[str, ...]
    deadline: Moment


class Asked(_Event):
    """A person at the terminal is asked."""

    event: Literal["asked"] = "asked"
    question: str
    choices: tuple[str, ...]
    wave: int | None = None


class Answered(_Event):
    """A person has answered."""

    event: Literal["answered"] = "answered"
    answer: str
    """One of the choices."""
    by: str
    """Login name and machine."""


class Interrupted(_Event):
    """Somebody or something stops the rollout from outside."""

    event: Literal["interrupted"] = "interrupted"
    why: str
    """'Ctrl-C', or the name of a signal."""
    then: str
    """What is done about it: one sentence."""


class RolloutEnded(_Event):
    """Last event of a rollout. A stream without it ended by accident: the journal knows more."""

    event: Literal["rollout_ended"] = "rollout_ended"
    exit_code: int
    why: str
    """What came of it: one sentence."""
    counts: Counts
    """Of all hosts of the rollout."""
    next: str | None = None
    """The one command that comes next; None where nothing is left to do."""


Event = Annotated[
    RolloutBegan
    | HostsClaimed
    | WaveBegan
    | HostMoved
    | SoakBegan
    | GateMeasured
    | Waiting
    | WaveHeld
    | WaveEnded
    | DeadlineExtended
    | Asked
    | Answered
    | Interrupted
    | RolloutEnded,
    Field(discriminator="event"),
]
"""One event, told from the others by its `event`."""

EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Reads a line of an events file."""

EVENT_MODELS: tuple[type[_Event], ...] = get_args(get_args(Event)[0])
EVENT_NAMES: tuple[str, ...] = tuple(model.model_fields["event"].default for model in EVENT_MODELS)
"""Every word that `event` can be."""
