"""A rollout drawn on a terminal, four times a second, by a thread: a terminal that stands still holds nothing up."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live

from tcptune.domain.events import Asked, Event, RolloutEnded
from tcptune.reports.live import Said, frame
from tcptune.reports.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

_EVERY_S = 0.25
_KEPT = 100
_PATIENCE_S = 2.0


class LiveView:
    """Draws what happens, pauses while a person is asked, and leaves the last picture where it is."""

    def __init__(self, console: Console, clock: Callable[[], datetime], warn: Callable[[str], None]) -> None:
        self._console = console
        self._clock = clock
        self._warn = warn
        self._progress = Progress()
        self._said: deque[Said] = deque(maxlen=_KEPT)
        self._last: list[str] = []
        self._known = threading.Lock()
        """Held while the view is read or told, and never while something is drawn."""
        self._drawing = threading.Lock()
        self._live: Live | None = None
        self._broken = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="live view", daemon=True)
        self._begin()
        self._thread.start()

    def tell(self, event: Event) -> None:
        """Take note of an event. Waits for the terminal only where a person is asked there."""
        with self._known:
            told = self._progress.messages(event)
            self._said += [(event.at, message) for message in told]
            if isinstance(event, RolloutEnded):
                self._last = [f"{message.sign} {message.text}" for message in told]
        if isinstance(event, Asked):
            with self._drawing:
                self._end()
        elif self._live is None and not self._broken:
            with self._drawing:
                self._begin()

    def close(self) -> None:
        """Draw the last picture, and below it in full how it ended and what comes next."""
        self._over.set()
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            # It stands still in the middle of a line; what is drawn there now would wait as long.
            return
        self._end()
        if not self._broken:
            for said in self._last:
                self._console.print(said, markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        while not self._over.wait(_EVERY_S):
            with self._drawing:
                self._refresh()

    def _begin(self) -> None:
        # Results that go to standard output are not ours to hold.
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, vertical_overflow="crop")
        self._try(self._live.start)
        # Whatever ends this process, its user gets a terminal with a cursor back.
        self._try(lambda: self._console.show_cursor(True))

    def _end(self) -> None:
        self._refresh()
        if self._live is not None:
            self._try(self._live.stop)
            self._live = None

    def _refresh(self) -> None:
        live = self._live
        if live is not None and not self._broken:
            self._try(lambda: live.update(self._picture(), refresh=True))

    def _picture(self) -> Group:
        size = self._console.size
        with self._known:
            return Group(
                *frame(self._progress.view, self._said, self._clock(), width=size.width, height=size.height - 1)
            )

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as problem:
            if not self._broken:
                self._broken = True
                self._warn(f"the terminal: {problem.strerror}; nothing more is drawn, and the rollout goes on")
