"""What a judgement of a chain of timeouts is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from tcptune.domain.chain import CHAIN_FORMAT_VERSION, Hop
from tcptune.domain.concerns import Severity
from tcptune.domain.values import Frozen


class Rule(StrEnum):
    """What is judged of two hops that talk to each other."""

    IDLE = "idle"
    """The side that sends requests closes an idle connection first."""
    FLOW = "layer-4"
    """Nothing between them forgets the connection before they do, or before a keepalive probe."""
    ANSWER = "answer"
    """Who waits for an answer waits longer than who is asked."""
    REQUESTS = "requests"
    """The side that sends requests ends a connection before the other side counts it out."""
    AGE = "age"
    """HTTP/2: requests that are open when a connection has reached its age may run to their end."""
    PINGS = "pings"
    """HTTP/2: PINGs do not come more often than the other side permits."""
    REUSE = "reuse"
    """Connections are reused where the configuration means them to be."""


class KnobChange(Frozen):
    """One change that cures a finding."""

    hop: str
    knob: str
    before: str
    after: str
    note: str = ""
    """What else it changes."""


class Fine(Frozen):
    """A rule that holds."""

    verdict: Literal["fine"] = "fine"
    rule: Rule
    what: str


class NotJudged(Frozen):
    """A rule that could not be judged. It is not fine."""

    verdict: Literal["not judged"] = "not judged"
    rule: Rule
    why: str


class Broken(Frozen):
    """A rule that does not hold."""

    verdict: Literal["broken"] = "broken"
    rule: Rule
    severity: Severity
    what: str
    effect: str
    """What is seen of it."""
    evidence: tuple[str, ...]
    """The values that were compared, each with where it is from."""
    causes: tuple[str, ...]
    """Ids of the causes that this makes; none where it is one of its own."""
    remedies: tuple[KnobChange, ...]
    """The first is the best; one of them is enough."""
    otherwise: str = ""
    """What to do where neither side can be changed."""


Judged = Annotated[Fine | NotJudged | Broken, Field(discriminator="verdict")]


class Link(Frozen):
    """Two hops that talk to each other, and what passes their packets on."""

    requester: str
    receiver: str
    through: tuple[str, ...] = ()
    judged: tuple[Judged, ...]

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Return the rules that do not hold."""
        return tuple(one for one in self.judged if isinstance(one, Broken))

    @property
    def undecided(self) -> tuple[NotJudged, ...]:
        """Return the rules that could not be judged."""
        return tuple(one for one in self.judged if isinstance(one, NotJudged))


class Way(Frozen):
    """One way through the chain: where a proxy's configuration has several, each is judged."""

    route: str | None
    hops: tuple[Hop, ...]
    links: tuple[Link, ...]


class ChainReport(Frozen):
    """What a chain's timeouts make."""

    tcptune: Literal["timeouts"] = "timeouts"
    format_version: Literal[1] = CHAIN_FORMAT_VERSION
    chain: str
    origin: str
    ways: tuple[Way, ...]
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Return every rule that does not hold, on any way."""
        return tuple(one for way in self.ways for link in way.links for one in link.broken)

    @property
    def undecided(self) -> tuple[NotJudged, ...]:
        """Return every rule that could not be judged, on any way."""
        return tuple(one for way in self.ways for link in way.links for one in link.undecided)
