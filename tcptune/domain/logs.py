"""What programs' logs say of their connections: kinds of error, when, with whom, in which words."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import model_validator

from tcptune.domain.parameters import Verified
from tcptune.domain.values import Frozen

LOGS_FORMAT_VERSION: Literal[1] = 1


class ErrorKind(Frozen):
    """What happened to a connection, whoever tells it."""

    name: str
    """That of the errno where there is one: ECONNRESET."""
    errno: int | None = None
    """Linux's number; None where the kernel reported no error."""
    means: str
    source: str


class Phrase(Frozen):
    """Words of a program for an error."""

    id: str
    product: str
    error: str
    """Name of an ErrorKind."""
    texts: tuple[str, ...] = ()
    """Any of these in a line, compared as they stand."""
    http_states: tuple[str, ...] = ()
    """Or any of these termination states of HAProxy's HTTP log, whatever it says of cookies behind them."""
    tcp_states: tuple[str, ...] = ()
    """Or any of these of its TCP log."""
    beside: str = ""
    """What the line has to hold as well."""
    causes: tuple[str, ...] = ()
    """Ids of causes, the likeliest first. A line of a log proves none of them."""
    peer: Literal["any", "upstream", "client"] = "any"
    """Whose address is meant, where a line has both."""
    source: str
    verified: Verified

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if not (self.texts or self.http_states or self.tcp_states):
            raise ValueError(f"{self.id} has nothing to look for")
        return self


class Wording(Frozen):
    """All that is known of wording."""

    anchors: tuple[str, ...]
    """Short texts to search a log for: each text of a phrase holds one."""
    errors: tuple[ErrorKind, ...]
    phrases: tuple[Phrase, ...]
    """In the order they are tried: the first that a line holds is what the line says."""


class PhraseCount(Frozen):
    """A phrase that was found."""

    id: str
    product: str
    error: str
    lines: int
    first: datetime | None
    """In UTC. None where no line of it has a time."""
    last: datetime | None
    causes: tuple[str, ...]
    source: str
    examples: tuple[str, ...]
    """The first lines, cut, and without what looks like a secret."""


class ErrorCount(Frozen):
    """An error, in whatever words."""

    name: str
    errno: int | None
    means: str
    lines: int
    untimed: int
    """Lines without a time: they are in no bucket."""
    first: datetime | None
    last: datetime | None
    phrases: tuple[PhraseCount, ...]
    """The most frequent first."""


class PeerCount(Frozen):
    """Errors with one peer."""

    peer: str
    """address:port or name as the line has it; `address:*` for ports that clients get."""
    lines: int
    """At least so many: the table of peers has a limit, see `LogReport.other_peers`."""
    errors: dict[str, int]
    first: datetime | None
    last: datetime | None


class Bucket(Frozen):
    """Errors of one stretch of time."""

    start: datetime
    errors: dict[str, int]


class LogSource(Frozen):
    """One file that was read."""

    path: str
    """`-` for standard input."""
    form: Literal["plain", "gzip", "bzip2", "xz"]
    bytes: int
    """After unpacking."""
    lines: int
    """Lines with an error."""
    cut: int = 0
    """Times a line was so long that it was cut, each piece judged as a line."""
    begins: datetime | None = None
    """The first time that the file names, whether of an error or not."""
    ends: datetime | None = None
    unread: str | None = None
    """Why it could not be read, or not to its end; what was read until then counts."""


class LogReport(Frozen):
    """What logs say."""

    tcptune: Literal["logs"] = "logs"
    format_version: Literal[1] = LOGS_FORMAT_VERSION
    sources: tuple[LogSource, ...]
    errors: tuple[ErrorCount, ...]
    """The most frequent first."""
    bucket_s: int
    buckets: tuple[Bucket, ...]
    """In order; stretches without an error are left out."""
    peers: tuple[PeerCount, ...]
    """The most frequent first."""
    other_peers: int
    """Lines of peers for which the table had no place."""
    no_peer: int
    """Lines that name no peer."""
    zoneless: int
    """Lines whose time has no zone: it was taken for UTC."""
    traced: int = 0
    """Further lines that said the same deeper in a stack trace: they are not counted again."""
    causes: dict[str, int]
    """Lines by the id of their likeliest cause, the most first: where to begin, no verdict."""

    @property
    def lines(self) -> int:
        """Lines with an error."""
        return sum(error.lines for error in self.errors)

    @property
    def unread(self) -> tuple[LogSource, ...]:
        """Files that could not be read to their end."""
        return tuple(source for source in self.sources if source.unread is not None)
