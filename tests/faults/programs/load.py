"""Make exchanges with a server, and count what became of them. Run on a host: python3 -c TEXT OPTIONS.

OPTIONS is a JSON object, see DEFAULTS. One line of JSON comes out: how many exchanges were done, and how many ended in
each class of error: a name of errno, `timeout` (our own deadline), `EOF` (closed before the answer was whole), or
`HTTP 5xx`. All of it also for each second. It ends early, with what it has counted, when its standard input does.
Needs Python 3.8 and its standard library.
"""

import errno
import json
import os
import socket
import struct
import sys
import threading
import time

DEFAULTS = {
    "address": "127.0.0.1",
    "port": 8080,
    "seconds": 3.0,
    "shape": "steady",  # steady: spread over each second; burst: together, once a second; pool: connections stay open
    "per_s": 20,  # exchanges started each second; for a pool its size
    "phase_s": 0.1,  # of a burst, after each full second of the monotonic clock
    "gap_s": 0.5,  # of a pool, from an answer to the next request on that connection
    "workers": 150,  # most exchanges at the same time
    "connect_timeout_s": 0.8,
    "answer_timeout_s": 0.8,
    "speak_after_s": 0.0,  # wait so long between connecting and asking
    "request_bytes": 0,  # length of a body; 0 sends a GET
    "until_eof": False,  # the answer has ended when the server closes, and a reset there is an error
    "linger_s": 0.0,  # wait so long before closing
    "abort_every": 0,  # every n-th connection is reset by us when all is well, as browsers do
    "keepalive": False,  # SO_KEEPALIVE, with the kernel's times
    "first": "us",  # who closes: us, or them after `Connection: close`
}


class EarlyEnd(Exception):
    """The server closed before the answer was whole."""


class Tally:
    """Counts by class and second."""

    def __init__(self, start_s):
        self.start_s = start_s
        self.lock = threading.Lock()
        self.seconds = {}
        self.slowest_s = 0.0

    def add(self, outcome, took_s):
        second = int(time.monotonic() - self.start_s)
        with self.lock:
            here = self.seconds.setdefault(second, {})
            here[outcome] = here.get(outcome, 0) + 1
            self.slowest_s = max(self.slowest_s, took_s)

    def report(self, seconds):
        last = max(self.seconds, default=0)
        total = {}
        for here in self.seconds.values():
            for outcome, count in here.items():
                total[outcome] = total.get(outcome, 0) + count
        return {
            "seconds": seconds,
            "done": total.pop("done", 0),
            "errors": total,
            "by_second": [self.seconds.get(second, {}) for second in range(last + 1)],
            "slowest_s": round(self.slowest_s, 3),
        }


def outcome_of(error):
    """Name what went wrong."""
    if isinstance(error, EarlyEnd):
        return "EOF"
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "timeout"


def connect(options):
    family = socket.AF_INET6 if ":" in options["address"] else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        if options["keepalive"]:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.settimeout(options["connect_timeout_s"])
        connection.connect((options["address"], options["port"]))
        connection.settimeout(options["answer_timeout_s"])
    except BaseException:
        connection.close()
        raise
    return connection


def exchange(connection, options, last):
    """Send a request, read the answer, and give its status."""
    body = b"x" * options["request_bytes"]
    lines = [f"{'POST' if body else 'GET'} / HTTP/1.1", "Host: lab"]
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += ["Connection: close"] if last else []
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    received = b""
    while b"\r\n\r\n" not in received:
        received += some(connection)
    head, _, rest = received.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    have = len(rest)
    while have < length:
        have += len(some(connection))
    if options["until_eof"]:
        while connection.recv(65536):
            pass
    return int(head.split(b" ")[1])


def some(connection):
    received = connection.recv(65536)
    if not received:
        raise EarlyEnd
    return received


def once(options, tally, number):
    """One connection, one exchange."""
    began_s = time.monotonic()
    try:
        connection = connect(options)
        try:
            time.sleep(options["speak_after_s"])
            status = exchange(connection, options, last=options["first"] == "them" or options["until_eof"])
            if options["linger_s"]:
                time.sleep(options["linger_s"])
            if options["abort_every"] and number % options["abort_every"] == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            connection.close()
        outcome = "done" if status < 500 else f"HTTP {status}"
    except (OSError, EarlyEnd) as error:
        outcome = outcome_of(error)
    tally.add(outcome, time.monotonic() - began_s)


def singles(options, tally, until_s):
    """Start exchanges by the clock, whatever became of the earlier ones."""
    numbers = iter(range(10**9))
    lock = threading.Lock()
    per_s, burst = options["per_s"], options["shape"] == "burst"
    first_s = int(tally.start_s) + 1 + options["phase_s"] if burst else tally.start_s

    def work():
        while True:
            with lock:
                number = next(numbers)
            due_s = first_s + (number // per_s if burst else number / per_s)
            if due_s >= until_s:
                return
            time.sleep(max(0.0, due_s - time.monotonic()))
            once(options, tally, number)

    run(work, options["workers"])


def pool(options, tally, until_s):
    """Keep connections open, each with an exchange after every gap; make it anew after an error."""

    def work():
        connection = None
        while time.monotonic() < until_s:
            began_s = time.monotonic()
            try:
                connection = connection or connect(options)
                status = exchange(connection, options, last=False)
                outcome = "done" if status < 500 else f"HTTP {status}"
            except (OSError, EarlyEnd) as error:
                outcome = outcome_of(error)
                if connection:
                    connection.close()
                connection = None
            tally.add(outcome, time.monotonic() - began_s)
            rest()
        if connection:
            connection.close()

    def rest():
        # A phase keeps the pool in step with what happens once a second elsewhere.
        if options["shape"] == "pulse":
            now_s = time.monotonic() - options["phase_s"]
            wait_s = int(now_s) + 1 - now_s
        else:
            wait_s = options["gap_s"]
        time.sleep(max(0.0, min(wait_s, until_s - time.monotonic())))

    if options["shape"] == "pulse":
        rest()
    run(work, options["per_s"])


def run(work, count):
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main():
    options = dict(DEFAULTS)
    options.update(json.loads(sys.argv[1]))
    threading.stack_size(256 * 1024)
    tally = Tally(time.monotonic())
    once_only = threading.Lock()

    def end():
        once_only.acquire()
        ran_s = min(options["seconds"], time.monotonic() - tally.start_s)
        with tally.lock:
            print(json.dumps(tally.report(ran_s)), flush=True)
        os._exit(0)

    def asked_to_end():
        sys.stdin.read()
        end()

    threading.Thread(target=asked_to_end, daemon=True).start()
    shape = singles if options["shape"] in ("steady", "burst") else pool
    shape(options, tally, tally.start_s + options["seconds"])
    end()


main()
