"""Work that may take long or never end, done beside the rollout: a thread behind a queue that has a bound."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Does `work` for each item, one after the other. Where it cannot keep up, the oldest items are dropped.

    `work` returns whether it was done, and raises nothing.
    """

    def __init__(self, name: str, work: Callable[[T], bool], *, most: int) -> None:
        self._work = work
        self._most = most
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._under_way = False
        self.undone = 0
        """Items that were dropped, given up, or left when time was up."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether the thread has come to its end."""
        return not self._thread.is_alive()

    def put(self, item: T) -> None:
        """Leave an item to the thread. Waits for nothing."""
        with self._changed:
            # The last news matter most: how it ended.
            if len(self._items) >= self._most:
                self._items.popleft()
                self.undone += 1
            self._items.append(item)
            self._changed.notify_all()

    def close(self, within_s: float) -> None:
        """Wait until all is done, or so long. What is under way then counts as undone."""
        until = time.monotonic() + within_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            while (self._items or self._under_way) and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            self.undone += len(self._items) + self._under_way
            self._items.clear()
            left_behind, self._under_way = self._under_way, False
        if not left_behind:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._items:
                    if self._closing:
                        return
                    self._changed.wait()
                item = self._items.popleft()
                self._under_way = True
            done = self._work(item)
            with self._changed:
                # Where nobody waits any more, it has been counted.
                if self._under_way:
                    self._under_way = False
                    self.undone += not done
                self._changed.notify_all()
