"""Keep a claim while its controller works, and know when it is not sure any more."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from tcptune.domain.journal import Lease
from tcptune.errors import LeaseLost, TcptuneError
from tcptune.ports import HostLocks

_BEATS = 3
"""Renewals in the time of a lease: two may fail."""


class Heartbeat:
    """Renews a claim from a thread of its own, for as long as the block lasts."""

    def __init__(self, locks: HostLocks, lease: Lease) -> None:
        self._locks, self._lease = locks, lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="tcptune heartbeat", daemon=True)
        self._renewing = threading.Lock()
        self._sure_until_s = 0.0
        self._lost: TcptuneError | None = None
        self._trouble: TcptuneError | None = None

    def __enter__(self) -> Self:
        """Renew once, so that it is known how long the claim lasts. Raises LeaseLost where it is lost already."""
        self._renew()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing. The claim is not released: what becomes of the hosts is for the caller to say."""
        self._stop.set()
        if kind is None or issubclass(kind, Exception):
            self._thread.join()
        # Else somebody ended the process, and need not wait for a server that does not answer.

    def check(self) -> None:
        """Raise LeaseLost unless nobody else can have the hosts now: to be asked before each change."""
        if self._lost is None and _since_boot_s() >= self._sure_until_s:
            # A server that has just come back answers us before the next beat. What nobody took over is ours again.
            self._try()
        if self._lost is not None:
            raise self._lost
        if _since_boot_s() >= self._sure_until_s:
            why = f": {self._trouble}" if self._trouble else ""
            raise LeaseLost(
                f"run {self._lease.run_id}: its claim was not renewed in time, somebody else may have the hosts{why}",
                hint=f"change nothing more; once the journal answers, tcptune runs {self._lease.run_id}",
            )

    def _beat(self) -> None:
        pause_s = self._lease.lease_s / _BEATS
        while self._lost is None and not self._stop.wait(pause_s):
            self._try()
            pause_s = self._lease.lease_s / _BEATS
            if self._trouble is not None:
                pause_s = min(1.0, pause_s / 4)

    def _try(self) -> None:
        try:
            self._renew()
            self._trouble = None
        except LeaseLost as lost:
            self._lost = lost
        except TcptuneError as trouble:
            # `check` tells of it once it matters.
            self._trouble = trouble

    def _renew(self) -> None:
        with self._renewing:
            # From before the call: by the database's clock the lease lasts at least as long from then.
            asked_s = _since_boot_s()
            self._lease = self._locks.renew(self._lease, patience_s=0)
            self._sure_until_s = asked_s + self._lease.lease_s


def _since_boot_s() -> float:
    # Unlike the monotonic clock this one goes on while the machine is suspended.
    return time.clock_gettime(time.CLOCK_BOOTTIME)
