"""Many hosts at once, on threads: one core drives a few hundred hosts a second, and more threads do not help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from tcptune.domain.hosts import Host

T = TypeVar("T")


class ThreadWorkers:
    """Works on `count` hosts at a time."""

    def __init__(self, count: int = 16) -> None:
        self._count = count

    def stream(self, work: Callable[[Host], T], hosts: Iterable[Host]) -> Iterator[T]:
        """Yield results as they are done. Holds a few hosts in flight, so memory does not grow with the fleet."""
        waiting = iter(hosts)
        # Not as a context manager: that would wait for a host that does not answer when somebody presses Ctrl-C.
        pool = ThreadPoolExecutor(self._count, thread_name_prefix="host")
        flying: set[Future[T]] = set()
        try:
            while True:
                flying |= {pool.submit(work, host) for host in islice(waiting, 2 * self._count - len(flying))}
                if not flying:
                    return
                done, flying = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
