"""Checks between waves: what a policy may ask of a host that was changed, and what came of it.

A gate has three answers, never two. What could not be judged is undecided with its reason, and the policy says what
then: it is never counted as passed.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tcptune.domain.gate_rules import NAME, CounterRule
from tcptune.domain.values import Frozen

GATES_FORMAT_VERSION: Literal[1] = 1

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_LONGEST_S = 600.0
DEFAULT_PORTS = {"http": 80, "https": 443}


class Verdict(StrEnum):
    """What a gate says of one host."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"


class Cause(StrEnum):
    """Why a gate is undecided."""

    IDLE = "idle"
    """Less traffic than the gate asks for, before the change or since: any number would be noise."""
    FELL_SILENT = "fell silent"
    """There was traffic before the change, and there is too little of it now."""
    LACKING = "lacking"
    """This kernel has no such counter. That is not a zero."""
    REBOOTED = "rebooted"
    """The host was booted, or its network namespace made anew: its counters began again."""
    NO_BASELINE = "no baseline"
    """Nothing is known of the host from before the change, or of too short a time."""
    UNREAD = "unread"
    """The host, or what the gate needs, could not be read; or the check itself could not be started."""


class Treat(StrEnum):
    """What a rollout does about one undecided sample."""

    CONTINUE = "continue"
    HOLD = "hold"
    """Stop before the next wave, keep what was changed, and ask a person."""
    FAIL = "fail"


class UndecidedAs(Frozen):
    """What each cause of an undecided sample counts as. The sample stays undecided in every report."""

    idle: Treat = Treat.CONTINUE
    fell_silent: Treat = Treat.HOLD
    lacking: Treat = Treat.CONTINUE
    rebooted: Treat = Treat.FAIL
    no_baseline: Treat = Treat.HOLD
    unread: Treat = Treat.FAIL

    def of(self, cause: Cause) -> Treat:
        """Return what a cause counts as."""
        treat: Treat = getattr(self, cause.name.lower())
        return treat


def _ports(ports: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(ports)) != len(ports):
        raise ValueError("a port is named twice")
    return ports


def _address(text: str) -> str:
    if not text or text.startswith("-") or any(not c.isprintable() or c.isspace() or c in "/@?#" for c in text):
        raise ValueError(f"{text!r} is no host name and no address")
    return _with_placeholders(text)


def _with_placeholders(text: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in {"host", "address"}:
            raise ValueError(f"{{{name}}} stands for nothing here; {{host}} and {{address}} do")
    return text


def _url_path(text: str) -> str:
    if not text.startswith("/") or not text.isascii() or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError(f"{text!r} is no path of a URL; it starts with a slash and has no spaces")
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=_LONGEST_S)]
Address = Annotated[str, AfterValidator(_address)]
"""`{host}` stands for the host's name in the inventory, `{address}` for where SSH reaches it."""


class _Gate(Frozen):
    undecided: UndecidedAs = UndecidedAs()


class SshGate(_Gate):
    """A fresh SSH connection works: one that uses nothing of those that are open."""

    gate: Literal["ssh"] = "ssh"
    within_s: Seconds = 10.0
    """From the first packet to the end of a command that does nothing."""

    @property
    def checks(self) -> tuple[str, ...]:
        """Name of each answer it gives of a host."""
        return ("connection",)


class TcpGate(_Gate):
    """Named ports of the host accept a connection from the controller."""

    gate: Literal["tcp"] = "tcp"
    ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=32), AfterValidator(_ports)]
    within_s: Seconds = 5.0
    """For each port."""
    address: Address | None = None
    """None: where SSH reaches the host."""

    @property
    def checks(self) -> tuple[str, ...]:
        """Name of each answer it gives of a host."""
        return tuple(f"port {port}" for port in self.ports)


class HttpGate(_Gate):
    """A request to the host is answered as it should be, in time."""

    gate: Literal["http"] = "http"
    scheme: Literal["http", "https"] = "https"
    port: Port | None = None
    """None: the scheme's own."""
    path: Annotated[str, AfterValidator(_url_path)] = "/"
    method: Literal["GET", "HEAD"] = "GET"
    address: Address | None = None
    """None: where SSH reaches the host."""
    server_name: Address | None = None
    """Name the certificate is checked against and the request is for. None: the address."""
    status: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(min_length=1)] = (200,)
    """Any of them. A redirection is an answer of its own: it is not followed."""
    requests: Annotated[int, Field(ge=1, le=100)] = 3
    """One after another, each over a connection of its own. Every one has to be answered as it should."""
    latency_at_most_ms: Annotated[float, Field(gt=0)] | None = None
    """Of the median request: connection, TLS and whole answer."""
    latency_times_before: Annotated[float, Field(gt=1)] | None = None
    """The median may grow by this factor over what it was before the change."""
    latency_tolerated_ms: Annotated[float, Field(gt=0)] = 20.0
    """What it was before counts as at least this much, so that a doubled millisecond is no news."""
    within_s: Seconds = 10.0
    """For each request; what hangs ends here."""
    ca_file: PurePosixPath | None = None
    """Certificates to trust, on the controller. None: those of its system."""

    @model_validator(mode="after")
    def _certificates_need_tls(self) -> Self:
        if self.ca_file is not None and self.scheme == "http":
            raise ValueError("ca_file needs scheme https")
        return self

    @property
    def settled_port(self) -> int:
        """The port, or the scheme's own."""
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def checks(self) -> tuple[str, ...]:
        """Name of each answer it gives of a host."""
        return (f"{self.method} {self.scheme}:{self.settled_port}{self.path}",)


class CommandGate(_Gate):
    """A program on the controller says whether the host is well. No shell sees the words."""

    gate: Literal["command"] = "command"
    name: Annotated[str, Field(pattern=NAME)]
    command: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    """Program and arguments. `{host}` and `{address}` in an argument are filled in; the environment has
    TCPTUNE_HOST and TCPTUNE_ADDRESS too."""
    exit_status: Annotated[tuple[Annotated[int, Field(ge=0, le=255)], ...], Field(min_length=1)] = (0,)
    within_s: Seconds = 30.0

    @field_validator("command")
    @classmethod
    def _words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if not words[0] or _PLACEHOLDER.search(words[0]):
            raise ValueError("the program is named, not filled in from the host")
        if any("\0" in word for word in words):
            raise ValueError("a word holds a NUL")
        for word in words[1:]:
            _with_placeholders(word)
        return words

    @property
    def checks(self) -> tuple[str, ...]:
        """Name of each answer it gives of a host."""
        return (self.name,)


class CountersGate(_Gate):
    """The kernel's counters got no worse: than on the host before, and than on the hosts not yet changed."""

    gate: Literal["counters"] = "counters"
    built_in: bool = True
    """Whether the built-in rules are asked, too. A rule of the same name takes the place of one."""
    leave_out: tuple[str, ...] = ()
    """Built-in rules that are not asked."""
    rules: tuple[CounterRule, ...] = ()
    window_s: Annotated[float, Field(ge=5, le=86400)] = 30.0
    """Least time between two readings that are compared."""
    min_others: Annotated[int, Field(ge=1)] = 3
    """With fewer hosts not yet changed at work, a host is compared with itself alone, and that is said."""

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [rule.name for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two rules are called {', '.join(twice)}")
        if not self.built_in and not self.rules:
            raise ValueError("no rule is left: name some in `rules`, or take the built-in ones")
        if self.leave_out and not self.built_in:
            raise ValueError("leave_out is about built-in rules, which built_in: false leaves out already")
        return self


ActiveGate = SshGate | TcpGate | HttpGate | CommandGate
"""Gates that try something, from the controller."""
Gate = Annotated[SshGate | TcpGate | HttpGate | CountersGate | CommandGate, Field(discriminator="gate")]


class Answer(Frozen):
    """What one try of an active gate gave: a measurement. Whether it is good enough is decided elsewhere."""

    host: str
    gate: Literal["ssh", "tcp", "http", "command"]
    check: str
    """One of the gate's `checks`."""
    at: datetime
    works: bool | None
    """None where it could not be tried at all."""
    value: float | None = None
    """In `unit`: how long it took, or a command's exit status. None where there was no answer."""
    unit: Literal["ms", "exit status"] = "ms"
    said: str = ""
    """One line, without control characters: why it does not work, or what a command printed last."""


class CounterReading(Frozen):
    """A host's counters at one moment."""

    host: str
    at: datetime
    boot_id: str
    counters: dict[str, int]
    """Absolute values, named as in facts."""


class CountersUnread(Frozen):
    """A host whose counters could not be read."""

    host: str
    at: datetime
    why: str


class Window(Frozen):
    """Two readings of one host: what happened is their difference."""

    first: CounterReading | CountersUnread
    last: CounterReading | CountersUnread


class Watched(Frozen):
    """A host around a change: before it and since. For a host not yet changed, the same times."""

    host: str
    before: Window | None
    """None where nobody looked before the change."""
    after: Window


class Baseline(Frozen):
    """What was known of a wave before its change: recorded, so that whoever takes the rollout up again can compare."""

    answers: tuple[tuple[Answer, ...], ...] = ()
    """For each gate of the policy, in its order; nothing for a gate of counters."""
    windows: dict[str, Window] = {}
    """Host -> its counters: of the hosts of the wave, and of some that are not changed yet."""


class GateSample(Frozen):
    """One line of the table: what one check said of one host."""

    host: str
    gate: Literal["ssh", "tcp", "http", "counters", "command"]
    check: str
    """The rule of a counters gate, or which try of another."""
    at: datetime
    before: float | None
    after: float | None
    unit: str
    """Of before, after and threshold."""
    threshold: float | None
    """What `after` may at most be; None where it has no bound or was not judged."""
    verdict: Verdict
    cause: Cause | None = None
    """Why it is undecided; None where it is not."""
    why: str
    """One sentence."""

    @model_validator(mode="after")
    def _undecided_has_a_cause(self) -> Self:
        if (self.verdict is Verdict.UNDECIDED) != (self.cause is not None):
            raise ValueError("an undecided sample has a cause, and no other has one")
        return self


class Counted(Frozen):
    """A sample, and what the policy makes of it."""

    sample: GateSample
    treat: Treat
    """What it does to the rollout. CONTINUE for what passed, FAIL for what failed."""


class GateTable(Frozen):
    """Every sample of the gates of a wave."""

    tcptune: Literal["gates"] = "gates"
    format_version: Literal[1] = GATES_FORMAT_VERSION
    title: str
    """'wave 2 of 4'."""
    rows: tuple[Counted, ...]

    @property
    def treat(self) -> Treat:
        """The most severe of the rows; HOLD where nothing was asked, since nothing is known then."""
        said = {row.treat for row in self.rows}
        if Treat.FAIL in said:
            return Treat.FAIL
        return Treat.HOLD if Treat.HOLD in said or not said else Treat.CONTINUE

    @property
    def failing(self) -> tuple[Counted, ...]:
        """Rows because of which the rollout does not go on."""
        return tuple(row for row in self.rows if row.treat is Treat.FAIL)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host, in the order of the rows."""
        return tuple(dict.fromkeys(row.sample.host for row in self.rows))
