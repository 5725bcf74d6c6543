"""A program for a lab host: sockets in states that are known. It says `ready` and keeps them until it is killed.

It forks: the server's ends belong to one process and the clients' to another, which says both numbers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

SERVER, FULL = 8080, 8081


def server() -> None:
    """Serve both families on SERVER: take what comes until seven have, and read from none but the first."""
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", SERVER))
    listener.listen(64)
    full = socket.socket()
    full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    full.bind(("127.0.0.1", FULL))
    full.listen(0)
    taken = [listener.accept()[0] for _ in range(7)]
    # Told of the end, and does not close.
    taken[0].recv(1)
    time.sleep(600)


def client() -> None:
    """Open nine connections to SERVER, of which two wait for accept(), and two to FULL, of which one gets no answer."""
    time.sleep(0.5)

    def to_server(address: str = "127.0.0.1") -> socket.socket:
        made = socket.create_connection((address, SERVER))
        time.sleep(0.05)
        return made

    closed, also_closed, half_closed, sends, blocked, probed, mapped = (to_server() for _ in range(7))
    waiting = [to_server(), to_server("::1")]
    closed.close()
    also_closed.close()
    half_closed.shutdown(socket.SHUT_WR)
    sends.sendall(b"x" * 1000)
    blocked.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            blocked.send(b"x" * 65536)
    probed.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probed.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 300)
    one = socket.create_connection(("127.0.0.1", FULL))
    unanswered = socket.socket()
    unanswered.setblocking(False)
    unanswered.connect_ex(("127.0.0.1", FULL))
    time.sleep(1.6)
    print("ready", flush=True)
    time.sleep(600)
    del waiting, one, mapped


if __name__ == "__main__":
    child = os.fork()
    if child:
        print(os.getpid(), child, flush=True)
        client()
    else:
        server()
