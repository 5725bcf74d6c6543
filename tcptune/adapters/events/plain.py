"""A rollout in plain lines on standard error, where there is no terminal to draw on."""

from __future__ import annotations

from collections.abc import Callable

from tcptune.adapters.events.stream import Lines
from tcptune.domain.events import Event
from tcptune.reports.progress import Progress


class PlainLines:
    """Writes what matters of each event to an open file descriptor."""

    def __init__(self, descriptor: int, warn: Callable[[str], None]) -> None:
        self._lines = Lines(descriptor, "standard error", warn)
        self._progress = Progress()

    def tell(self, event: Event) -> None:
        """Write what is said of an event. Raises nothing."""
        for said in self._progress.lines(event):
            self._lines.write(f"{said}\n")

    def close(self) -> None:
        """Write what is left."""
        self._lines.close()
