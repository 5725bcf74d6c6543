"""A receiver that a policy names is told of a rollout, and its address, a secret, is to be found nowhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED
from tests.acceptance.test_rollout import SSH, planned, policy
from tests.acceptance.watch import Watch

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

TOKEN = "T0ken-of-a-chat-room-8f31"
"""The part of the address that is all the password the receiver asks for."""


class _Receiver(ThreadingHTTPServer):
    got: list[tuple[str, dict[str, Any]]]


class _Post(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # The first is to be sent again.
        busy = not self.server.got
        self.server.got.append((self.path, body))
        self.send_response(503 if busy else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests' own output is enough."""


@contextmanager
def receiver() -> Iterator[_Receiver]:
    server = _Receiver(("127.0.0.1", 0), _Post)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_receiver_is_told_and_its_address_is_nowhere(
    tcptune: Tcptune, machines: Machines, on: On, tmp_path: Path
) -> None:
    fleet = machines(1)
    plan, events, project = planned(tcptune, on, fleet), tcptune.file("events.jsonl"), tcptune.file("project")
    chosen = policy(tcptune, waves="[100%]", gates=f"{SSH}\nnotify:\n  - url_file: {tmp_path}/address")
    tcptune.timeout_s = 400
    watch = Watch(TOKEN, tcptune.folder)

    with receiver() as server:
        address = tmp_path / "address"
        address.write_text(f"http://127.0.0.1:{server.server_port}/hooks/{TOKEN}\n")
        address.chmod(0o600)
        with watch.watching():
            said = [
                tcptune("apply", plan, "--policy", chosen, *ALLOWED, "--events", str(events)),
                tcptune("render", plan, "-d", project),
                tcptune("runs", "export", "last"),
            ]

    assert {path for path, _ in server.got} == {f"/hooks/{TOKEN}"}
    told = [body["event"] for _, body in server.got]
    assert told[:2] == ["rollout_began", "rollout_began"], "what was refused is sent again"
    assert told[2:] == ["wave_ended", "wave_ended", "rollout_ended"], "it passed, and was confirmed"
    assert all(one["event"] for one in map(json.loads, events.read_text().splitlines()))
    assert watch.looks > 20, "it did not look often enough to say anything"
    assert watch.seen == set()
    for one in said:
        assert TOKEN not in one.stdout + one.stderr
    for path in tcptune.folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
