"""A real HAProxy on a lab host, with the servers behind it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.haproxy_scenes import FOLDER, ONCE, SERVERS, WELL
from tests.acceptance.machine import Machine

# Reads name -> [port, what to look at], and prints name -> what was seen: seconds from a request until its connection
# is closed, or until an answer comes; or the answers to two requests over one connection. None: it did not come.
MEASURING = """
import json, socket, sys, threading, time
told, patience_s, seen = json.load(sys.stdin), float(sys.argv[2]), {}
GET = b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
def ask(one):
    one.sendall(GET)
    said = b""
    while b"\\r\\n\\r\\n" not in said or not said.partition(b"\\r\\n\\r\\n")[2]:
        more = one.recv(4096)
        if not more:
            return None
        said += more
    return said.decode()
def until(one, sees):
    one.settimeout(patience_s)
    begun = time.monotonic()
    try:
        answer = ask(one)
        if sees == "closed":
            while one.recv(4096):
                pass
    except TimeoutError:
        return None
    return time.monotonic() - begun
def look(name, port, sees):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        seen[name] = [ask(one), ask(one)] if sees == "twice" else until(one, sees)
threads = [threading.Thread(target=look, args=(name, *does)) for name, does in told.items()]
[one.start() for one in threads]
[one.join() for one in threads]
print(json.dumps(seen))
"""
_WAIT = """
import socket, sys, time
until = time.monotonic() + 20
for port in map(int, sys.argv[1:]):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            break
        except OSError:
            if time.monotonic() > until:
                sys.exit(f"nobody listens on {port}")
            time.sleep(0.05)
"""


def haproxy() -> str:
    """Give the path of HAProxy. Without it a test is skipped; in CI it fails: there nobody would see the skip."""
    found = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    if found is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("haproxy is missing (Debian package haproxy)")
    return str(found)


def accepted(path: Path) -> bool:
    """Say whether HAProxy would start with a configuration."""
    environment = {"PATH": "/usr/bin:/bin", "SHORT": "700ms", "NUMBER": "700"}
    done = subprocess.run([haproxy(), "-c", "-f", path], capture_output=True, env=environment, timeout=60, check=False)
    return done.returncode == 0


@contextmanager
def running(machine: Machine, configuration: str, ports: Sequence[int]) -> Iterator[None]:
    """Let HAProxy and its servers run on a machine; its log is in `log`, below the folder. They are dead afterwards."""
    haproxy()
    machine.run("mkdir", "-p", FOLDER)
    machine.write(f"{FOLDER}/haproxy.cfg", configuration)
    machine.write(f"{FOLDER}/servers.py", SERVERS)
    try:
        _start(machine, "servers", f"python3 {FOLDER}/servers.py")
        machine.run("python3", "-c", _WAIT, str(WELL), str(ONCE))
        _start(machine, "proxy", f"env SHORT=700ms NUMBER=700 haproxy -db -f {FOLDER}/haproxy.cfg")
        machine.run("python3", "-c", _WAIT, *map(str, ports))
        yield
    finally:
        kill = f'for f in {FOLDER}/*.pid; do kill "$(cat "$f")" || :; rm "$f"; done; sleep 0.2'
        machine.run("sh", "-c", kill)


def _start(machine: Machine, name: str, command: str) -> None:
    # A file of its own for each stream: what is inherited would keep the caller waiting.
    line = f"{command} >{FOLDER}/{name}.log 2>{FOLDER}/{name}.err </dev/null & echo $! >{FOLDER}/{name}.pid"
    machine.run("sh", "-c", line)


def log(machine: Machine) -> list[str]:
    """Give the lines that HAProxy wrote."""
    return machine.read(f"{FOLDER}/proxy.log").splitlines()


def let(machine: Machine, clients: str, told: object, *arguments: str) -> str:
    """Let clients do what they are told, and give what they said."""
    machine.write(f"{FOLDER}/clients.py", clients)
    return machine.run("python3", f"{FOLDER}/clients.py", FOLDER, *arguments, text=json.dumps(told))
