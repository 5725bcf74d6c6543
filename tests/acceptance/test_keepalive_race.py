"""The race for an idle connection, made for real: nginx in front of a server that closes first, cured as is proposed.

The server has one thread, and looks at its clock before it reads, as event loops do. Clients come in bursts that are as
far apart as its idle timeout.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import Machine

pytestmark = pytest.mark.lab

FOLDER = "/run/race"
IDLE_S = 2.0
SERVER = """
import select, socket, sys, time
idle_s = float(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 9000), backlog=256)
until = {}
while True:
    for one in [one for one, end in until.items() if end <= time.monotonic()]:
        del until[one]
        one.close()
    ready, _, _ = select.select([listener, *until], [], [], 0.05)
    for one in ready[:1]:
        if one is listener:
            one = listener.accept()[0]
        elif not one.recv(65536):
            del until[one]
            one.close()
            continue
        else:
            time.sleep(0.005)
            one.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n")
        until[one] = time.monotonic() + idle_s
"""
# Bursts of posts, which nobody may repeat on his own; prints how many had which status.
CLIENT = """
import collections, http.client, json, sys, threading, time
clients, rounds, gap_s = 40, 4, float(sys.argv[1])
seen = collections.Counter()
def post():
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
    connection.request("POST", "/", b"x=1")
    seen[connection.getresponse().status] += 1
    connection.close()
for _ in range(rounds):
    begun = time.monotonic()
    threads = [threading.Thread(target=post) for _ in range(clients)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    time.sleep(max(0, begun + gap_s - time.monotonic()))
print(json.dumps(seen))
"""
NGINX = """\
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  upstream app {{ server 127.0.0.1:9000; keepalive 64; keepalive_timeout {idle}s; }}
  server {{ listen 127.0.0.1:8080; location / {{
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://app;
  }} }}
}}
"""
CHAIN = """\
chain: race
hops:
  - {{name: proxy, product: nginx, upstream: app}}
  - {{name: app, receives: {{idle_timeout: {idle}s}}}}
"""


@pytest.fixture
def machine(machines: Machines) -> Iterator[Machine]:
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("nginx is missing (Debian package nginx-light)")
    [one] = machines(1)
    one.run("mkdir", "-p", FOLDER)
    one.write(f"{FOLDER}/server.py", SERVER)
    one.write(f"{FOLDER}/client.py", CLIENT)
    yield one
    _stop(one)


def _stop(machine: Machine) -> None:
    kill = f'for f in {FOLDER}/pid {FOLDER}/app.pid; do [ ! -e "$f" ] || kill "$(cat "$f")" || :; done; sleep 0.3'
    machine.run("sh", "-c", kill)


def statuses(machine: Machine, proxy_s: float, app_s: float) -> dict[int, int]:
    """Give how many requests had which status, with these idle timeouts."""
    machine.write(f"{FOLDER}/nginx.conf", NGINX.format(folder=FOLDER, idle=f"{proxy_s:g}"))
    start = f"python3 {FOLDER}/server.py {app_s} >{FOLDER}/app.log 2>&1 & echo $! >{FOLDER}/app.pid"
    machine.run("sh", "-c", start)
    machine.run("nginx", "-c", f"{FOLDER}/nginx.conf", "-e", f"{FOLDER}/error.log")
    try:
        said = machine.run("python3", f"{FOLDER}/client.py", str(IDLE_S + 0.1))
    finally:
        _stop(machine)
    return {int(status): count for status, count in json.loads(said).items()}


def checked(tcptune: Tcptune, proxy_s: float, app_s: float, expect: int) -> list[dict[str, Any]]:
    chain = tcptune.file("race.yml", CHAIN.format(idle=f"{app_s:g}"))
    nginx = tcptune.file("nginx.conf", NGINX.format(folder=FOLDER, idle=f"{proxy_s:g}"))
    said = tcptune("timeouts", "check", chain, "--nginx", nginx, "--format", "json", expect=expect)
    [way] = json.loads(said.stdout)["ways"]
    return [one for link in way["links"] for one in link["judged"] if one["verdict"] == "broken"]


def test_the_race_is_found_real_and_cured_by_either_proposed_value(machine: Machine, tcptune: Tcptune) -> None:
    [found] = checked(tcptune, 60, IDLE_S, expect=10)
    assert found["causes"][0] == "reset.keepalive_race"
    before = statuses(machine, 60, IDLE_S)
    assert before.get(502, 0) > 0, before

    for remedy in found["remedies"]:
        value = float(remedy["after"].removesuffix(" s"))
        proxy_s, app_s = (value, IDLE_S) if remedy["hop"] == "proxy" else (60, value)
        after = statuses(machine, proxy_s, app_s)
        print(f"proxy {proxy_s:g} s, app {app_s:g} s: {after}; before: {before}")

        assert checked(tcptune, proxy_s, app_s, expect=0) == []
        assert after == {200: 160}
    assert {one["hop"] for one in found["remedies"]} == {"proxy", "app"}
