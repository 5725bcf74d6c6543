"""Where a host is reached from this machine, and a connection to it that ends in time whatever the other side does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tcptune.adapters.ssh_config import target
from tcptune.domain.hosts import Host

_SAID_MOST = 300


@dataclass(frozen=True)
class Endpoint:
    """A host as a gate sees it."""

    host: str
    address: str
    note: str = ""
    """What to know where it cannot be reached."""

    def filled(self, text: str) -> str:
        """Return a text with the host's name and address in it."""
        return text.replace("{host}", self.host).replace("{address}", self.address)


def endpoint(host: Host, named: str | None = None) -> Endpoint:
    """Return where SSH reaches a host, or what a gate names instead.

    Raises HostUnreachable where ssh_config cannot be understood.
    """
    if host.connection.kind == "local":
        found = Endpoint(host.name, "127.0.0.1")
    else:
        settled = target(host)
        by_way = settled.jumps or settled.proxy_command
        note = "; SSH reaches it by way of another host, a gate does not: name an `address`" if by_way else ""
        found = Endpoint(host.name, settled.hostname, note)
    return found if named is None else Endpoint(host.name, found.filled(named))


def connect(address: str, port: int, deadline: float) -> socket.socket:
    """Return a connection, made before `deadline` (of time.monotonic).

    Raises TimeoutError, or another OSError whose text says why.
    """
    problem: OSError = OSError(f"{address} has no address")
    for family, kind, protocol, place in _addresses(address, port, deadline):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left(deadline))
            connection.connect(place)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as refused:
            connection.close()
            problem = refused
        else:
            return connection
    raise problem


def _addresses(address: str, port: int, deadline: float) -> list[Any]:
    # The resolver takes no timeout and waits half a minute for a name server that does not answer.
    found: list[Any] = []
    problems: list[OSError] = []

    def resolve() -> None:
        try:
            found.extend(one[:3] + one[4:] for one in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM))
        except UnicodeError:
            problems.append(OSError(f"{address!r} is no host name"))
        except OSError as problem:
            problems.append(problem)

    worker = threading.Thread(target=resolve, name="resolver", daemon=True)
    worker.start()
    worker.join(left(deadline))
    if worker.is_alive():
        raise TimeoutError
    if problems:
        raise problems[0]
    return found


def left(deadline: float) -> float:
    """Return the seconds until `deadline` (of time.monotonic). Raises TimeoutError where there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


@contextlib.contextmanager
def cut_at(connection: socket.socket, deadline: float) -> Iterator[None]:
    """Shut the connection down at `deadline`, whatever is being read from it then.

    http.client bounds each read, and not the whole.
    """
    seconds = left(deadline)
    # TLS takes the socket over, so the timer needs a handle of its own.
    handle = connection.dup()

    def cut() -> None:
        # Nothing to do where the other side was first.
        with contextlib.suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def milliseconds_since(start: float) -> float:
    """Return the time since `start` (of time.monotonic) in ms, to a hundredth."""
    return round((time.monotonic() - start) * 1000, 2)


def reason(problem: OSError, within_s: float) -> str:
    """Return in few words why a connection failed."""
    if isinstance(problem, TimeoutError):
        return f"no answer within {within_s:g} s"
    return one_line(problem.strerror or str(problem) or type(problem).__name__)


def one_line(text: str) -> str:
    """Return what another machine or a program said as one short line without control characters."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else "\ufffd" for c in words)[:_SAID_MOST]
