"""Family: who is told what happens in a rollout. A file, lines, a live view, receivers elsewhere: one file each."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, MutableMapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from tcptune.adapters.events.file import STDOUT, EventsFile
from tcptune.adapters.events.plain import PlainLines
from tcptune.domain.events import Event
from tcptune.domain.notifications import Receiver

if TYPE_CHECKING:
    from rich.console import Console


class Told(Protocol):
    """One who is told."""

    def tell(self, event: Event) -> None:
        """Take note of an event."""

    def close(self) -> None:
        """Bring to its end, in time, what is under way."""


class Observers:
    """Tells all of them, from any thread, one event after the other. Closes them at the end of a `with`.

    An observer that breaks is told of once and left out from then on: the rollout goes on without it.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._told: list[Told] = []
        self._lock = threading.Lock()

    def add(self, one: Told) -> None:
        """Tell this one, too, from now on."""
        self._told.append(one)

    def tell(self, event: Event) -> None:
        """Tell everybody. Raises nothing."""
        with self._lock:
            for one in list(self._told):
                self._guarded(one, lambda one=one: one.tell(event))  # type: ignore[misc]

    def close(self) -> None:
        """Give each a bounded time to come to its end; the last picture before what was not delivered."""
        with self._lock:
            for one in list(self._told):
                self._guarded(one, one.close)
            self._told.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _guarded(self, one: Told, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as problem:  # whatever it is, no host may pay for it
            self._told.remove(one)
            self._warn(f"{type(one).__name__} does not work any more ({type(problem).__name__}); the rollout goes on")


def observers(
    *,
    events: str | None,
    notify: Sequence[Receiver],
    environment: MutableMapping[str, str],
    clock: Callable[[], datetime],
    warn: Callable[[str], None],
    console: Console | None = None,
) -> Observers:
    """Return who is told of a rollout: make them before its first host is touched, and close them at its end.

    `events` is the file for JSON lines, `-` for standard output, None for none. `notify` is the policy's; the variables
    of `environment` that hold its addresses are taken out of it, so that nothing this process starts inherits them.
    `warn` is told what a person has to know, one line each, from any thread. `console` is for tests.

    A live view is drawn where standard error is a terminal that can move its cursor; else there are plain lines.
    Raises UsageError, InputError or TcptuneError for what cannot be opened; then nothing is open.
    """
    from tcptune.adapters.events.webhook import Webhook, addresses

    found = Observers(warn)
    places = addresses(tuple(notify), environment)
    if events is not None:
        found.add(EventsFile(events, warn))
    # Two who draw on one terminal would spoil each other's work.
    shared = events == STDOUT and sys.stdout.isatty()
    found.add(_shown(None if shared else console or _console(), clock, warn))
    for receiver, place in zip(notify, places, strict=True):
        found.add(Webhook(receiver, place, warn))
    return found


def _shown(console: Console | None, clock: Callable[[], datetime], warn: Callable[[str], None]) -> Told:
    if console is None or not console.is_terminal or console.is_dumb_terminal:
        return PlainLines(sys.stderr.fileno(), warn)
    from tcptune.adapters.events.live import LiveView

    return LiveView(console, clock, warn)


def _console() -> Console | None:
    if not sys.stderr.isatty():
        return None
    from rich.console import Console

    return Console(stderr=True)
