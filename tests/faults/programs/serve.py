"""A small HTTP server with the faults that servers have. Run on a host: python3 -c TEXT OPTIONS.

OPTIONS is a JSON object, see DEFAULTS. It ends when its standard input does. Needs Python 3.8 and its standard library.
"""

import json
import os
import socket
import struct
import sys
import threading
import time

DEFAULTS = {
    "port": 8080,
    "six": False,  # listen on IPv6 as well, by a socket for both
    "backlog": 128,
    "accept_every_s": 0.0,  # wait so long after each accept
    "idle_timeout_s": 30.0,  # close a connection that asks nothing for so long
    "answer_bytes": 2,
    "manner": "plain",
    # plain:  read a request, answer it, keep the connection unless told otherwise
    # leak:   answer, and never close, whatever the client does
    # unread: close at once, with the request still unread
    # linger: answer, then close with SO_LINGER 0
}


def read_request(connection, read_first=65536):
    """Read one request with its body. Give its head, or None where the client has closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(read_first)
        if not more:
            return None
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    have = len(rest)
    while have < length:
        more = connection.recv(65536)
        if not more:
            return None
        have += len(more)
    return head.lower()


LEAKED = []


def serve(connection, options):
    """Serve one connection in the manner that was asked for."""
    manner = options["manner"]
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % options["answer_bytes"] + b"x" * options["answer_bytes"]
    connection.settimeout(options["idle_timeout_s"])
    try:
        if manner == "unread":
            # The request has to be there, or this would be a plain close.
            connection.recv(1, socket.MSG_PEEK)
            return
        while True:
            head = read_request(connection)
            if head is None:
                break
            connection.sendall(answer)
            if manner == "leak":
                LEAKED.append(connection)
                return
            if manner == "linger":
                # What was sent has to arrive first: the abort would discard it.
                time.sleep(0.02)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if b"connection: close" in head:
                break
    except OSError:
        # The client gave up, or was idle for too long; the next one is not its concern.
        pass
    finally:
        if connection not in LEAKED:
            connection.close()


def accept(listener, options):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            # No descriptor left. What waits stays in the queue.
            time.sleep(0.1)
            continue
        threading.Thread(target=serve, args=(connection, options), daemon=True).start()
        if options["accept_every_s"]:
            time.sleep(options["accept_every_s"])


def main():
    options = dict(DEFAULTS)
    options.update(json.loads(sys.argv[1]))
    threading.stack_size(256 * 1024)
    family = socket.AF_INET6 if options["six"] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", options["port"]))
    listener.listen(options["backlog"])
    threading.Thread(target=accept, args=(listener, options), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


main()
