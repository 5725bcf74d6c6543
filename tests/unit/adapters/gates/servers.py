"""Real servers on loopback: one that answers HTTP, and ones that only do what they are told to a connection."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Connection = socket.socket


class Web(ThreadingHTTPServer):
    """Answers /ok, /slow, /moved and /large; anything else is not found. `asked` are request lines and Host headers."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.slow_s = 0.1
        super().__init__(("127.0.0.1", 0), _Pages)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what some tests are about."""


class _Pages(BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.requestline, self.headers.get("Host")))
        if self.path == "/slow":
            time.sleep(self.server.slow_s)
        status = {"/ok": 200, "/slow": 200, "/moved": 302, "/large": 200}.get(self.path, 404)
        body = b"x" * (8 << 20) if self.path == "/large" else b"well\n"
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # the base class's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        pass


@contextmanager
def web(context: ssl.SSLContext | None = None) -> Iterator[tuple[Web, int]]:
    """Run one, and give its port."""
    server = Web(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(behave: Callable[[Connection], None]) -> Iterator[int]:
    """Give the port of a server that does `behave` to each connection, and then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        def one(connection: Connection) -> None:
            with connection, suppress(OSError):
                behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def silent(connection: Connection) -> None:
    """Read whatever comes, and say nothing."""
    while connection.recv(4096):
        pass


def dripping(connection: Connection) -> None:
    """Send a header that never ends, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def dripping_body(connection: Connection) -> None:
    """Send a body that never ends, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def hanging_up(connection: Connection) -> None:
    """Read the request, and close."""
    connection.recv(4096)


def babbling(connection: Connection) -> None:
    """Answer in another language, with what would steer a terminal."""
    connection.recv(4096)
    connection.sendall(b"220 mail.example \x1b[2J ESMTP\r\n\r\n")


@contextmanager
def full() -> Iterator[int]:
    """Give a port that drops what wants to connect: its queue is full, and nobody accepts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()


@contextmanager
def closed() -> Iterator[int]:
    """Give a port at which nobody listens, and which nobody else is given meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
