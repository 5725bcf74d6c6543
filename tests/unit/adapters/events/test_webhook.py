"""Notifications to real HTTP servers on loopback: tried again, in time, and nothing said of the address."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from tcptune.adapters.events.http_post import address
from tcptune.adapters.events.webhook import Patience, Webhook, addresses
from tcptune.domain.events import EVENT, Event
from tcptune.domain.notifications import Receiver
from tcptune.errors import InputError, TcptuneError, UsageError
from tests.unit.adapters.gates.certificates import Authority
from tests.unit.adapters.gates.servers import babbling, closed, dripping, full, hanging_up, serving, silent
from tests.unit.reports.rollouts import green, troubled

SECRET = "T0K3N/s3cr3t"
HASTY = Patience(try_s=0.5, event_s=3, first_pause_s=0.02, longest_pause_s=0.1, drain_s=1.5)

Answer = tuple[int, dict[str, str]]


class Receiving(ThreadingHTTPServer):
    """Answers a POST with the next of `answers`, and then with 200. Keeps what it was sent, and when."""

    daemon_threads = True

    def __init__(self, answers: list[Answer], context: ssl.SSLContext | None) -> None:
        self.answers = answers
        self.got: list[tuple[float, str, dict[str, str], bytes]] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Post)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, _, body in self.got]

    @property
    def keys(self) -> list[str]:
        return [headers["Idempotency-Key"] for _, _, headers, _ in self.got]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that refuse a certificate are what some tests are about."""


class _Post(BaseHTTPRequestHandler):
    server: Receiving

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.got.append((time.monotonic(), self.path, dict(self.headers), body))
            status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        pass


@contextmanager
def receiving(*answers: Answer, context: ssl.SSLContext | None = None) -> Iterator[tuple[Receiving, int]]:
    server = Receiving(list(answers), context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(
    port: int,
    told: list[Event],
    /,
    *,
    patience: Patience = HASTY,
    url: str = "http://127.0.0.1:{port}/services/" + SECRET,
    ca_file: Path | None = None,
    **fields: object,
) -> list[str]:
    """Send the events of a rollout, and return what was warned of."""
    warned: list[str] = []
    receiver = Receiver.model_validate({"url_env": "HOOK", **fields})
    webhook = Webhook(receiver, address(url.format(port=port), ca_file), warned.append, patience)
    for event in told:
        webhook.tell(event)
    webhook.close()
    assert not [line for line in warned if "T0K3N" in line or "127.0.0.1" in line or str(port) in line]
    return warned


END = green(3, [1])[-1:]


def test_the_events_that_were_asked_for_arrive_in_order_and_no_other() -> None:
    with receiving() as (server, port):
        assert send(port, troubled()) == []

    told = [EVENT.validate_json(body) for body in server.bodies]
    wanted = Receiver(url_env="X").events
    assert told == [event for event in troubled() if event.event in wanted]
    _, path, headers, _ = server.got[0]
    assert path == f"/services/{SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert len(set(server.keys)) == len(server.keys)


def test_a_chat_tool_is_sent_a_text() -> None:
    with receiving() as (server, port):
        assert send(port, troubled(), format="chat", events=["rollout_ended", "wave_ended"]) == []

    [first, *_, last] = [json.loads(body)["text"] for body in server.bodies]
    assert first == "tcptune 20260302-093000-1a2b3c\n+ wave 1 of 4 (canary) passed (1 held)"
    assert last.splitlines()[-1] == "? next: tcptune rollback 20260302-093000-1a2b3c"


def test_what_goes_wrong_for_a_while_is_tried_again_with_the_same_key() -> None:
    with receiving((500, {}), (503, {}), (429, {})) as (server, port):
        assert send(port, END) == []

    assert len(server.got) == 4
    assert len(set(server.keys)) == 1


def test_pauses_grow() -> None:
    patience = Patience(try_s=1, event_s=10, first_pause_s=0.1, longest_pause_s=0.3, drain_s=10)
    with receiving(*[(500, {})] * 4) as (server, port):
        assert send(port, END, patience=patience) == []

    times = [at for at, *_ in server.got]
    pauses = [after - before for before, after in pairwise(times)]
    for pause, wanted in zip(pauses, (0.1, 0.2, 0.3, 0.3), strict=True):
        assert 0.75 * wanted <= pause < 1.25 * wanted + 1


@pytest.mark.parametrize("written", ["1", "date"])
def test_a_receiver_that_asks_to_come_back_later_is_given_the_time(written: str) -> None:
    asked = formatdate(time.time() + 2, usegmt=True) if written == "date" else written
    patience = Patience(try_s=1, event_s=10, first_pause_s=0.01, longest_pause_s=0.01, drain_s=10)
    with receiving((429, {"Retry-After": asked})) as (server, port):
        assert send(port, END, patience=patience) == []

    first, second = (at for at, *_ in server.got)
    assert second - first >= 0.9


def test_who_asks_for_more_time_than_there_is_is_not_asked_again() -> None:
    with receiving((503, {"Retry-After": "3600"})) as (server, port):
        start = time.monotonic()
        warned = send(port, troubled(), events=["wave_ended"])

    assert time.monotonic() - start < 5
    assert len(server.got) == 1
    assert warned == [
        "HOOK: 4 of 4 notifications not delivered: it answers with status 503, and asks to come back in 3600 s"
    ]


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_final_for_that_event(status: int) -> None:
    with receiving((status, {})) as (server, port):
        warned = send(port, troubled(), events=["rollout_began", "rollout_ended"])

    assert len(server.got) == 2
    assert warned == [f"HOOK: 1 of 2 notifications not delivered: it answers with status {status}"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_not_followed(status: int) -> None:
    with (
        receiving() as (elsewhere, other),
        receiving((status, {"Location": f"http://127.0.0.1:{other}/"})) as (_, port),
    ):
        warned = send(port, END)

    assert elsewhere.got == []
    assert f"a redirection (status {status}), which is not followed" in warned[0]


def test_nobody_who_listens_is_told_at_the_end_in_time() -> None:
    with closed() as port:
        start = time.monotonic()
        warned = send(port, troubled())

    assert time.monotonic() - start < 5
    assert warned == ["HOOK: 8 of 8 notifications not delivered: Connection refused"]


@pytest.mark.parametrize("behave", [silent, dripping, hanging_up, babbling], ids=lambda one: one.__name__)
def test_a_receiver_that_makes_no_sense_holds_nothing_up(behave: object) -> None:
    with serving(behave) as port:  # type: ignore[arg-type]
        start = time.monotonic()
        warned = send(port, green(400, [1, 100]))

    assert time.monotonic() - start < 8
    assert "not delivered: " in warned[0]
    assert warned[0].isprintable()


def test_a_receiver_that_drops_packets_holds_nothing_up() -> None:
    with full() as port:
        start = time.monotonic()
        warned = send(port, END)

    assert time.monotonic() - start < 5
    assert "no whole answer within" in warned[0]


def test_telling_waits_for_nobody_and_the_latest_news_are_kept() -> None:
    patience = Patience(try_s=0.3, event_s=0.3, first_pause_s=0.01, longest_pause_s=0.01, drain_s=1, most=3)
    warned: list[str] = []
    with serving(silent) as port:
        to = address(f"http://127.0.0.1:{port}/")
        webhook = Webhook(Receiver(url_env="HOOK", events=("host_moved",)), to, warned.append, patience)
        start = time.monotonic()
        for event in green(2000, [1, 500]):
            webhook.tell(event)
        assert time.monotonic() - start < 2
        webhook.close()
    assert warned[0].startswith("HOOK: 6000 of 6000 notifications not delivered")


def test_a_certificate_of_a_named_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with receiving(context=authority.server("127.0.0.1")) as (server, port):
        assert send(port, END, url="https://127.0.0.1:{port}/x", ca_file=authority.file) == []
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("name", "expired", "trusted", "why"),
    [
        ("127.0.0.1", False, False, "unable to get local issuer certificate"),
        ("127.0.0.1", True, True, "certificate has expired"),
        ("127.0.0.2", False, True, "it is for another name"),
    ],
)
def test_a_certificate_that_is_wrong_is_refused_before_anything_is_sent(
    tmp_path: Path, name: str, expired: bool, trusted: bool, why: str
) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "another authority")
    with receiving(context=authority.server(name, expired=expired)) as (server, port):
        ca_file = authority.file if trusted else other.file
        warned = send(port, END, url="https://127.0.0.1:{port}/x", ca_file=ca_file)

    assert server.got == []
    assert warned == [f"HOOK: 1 of 1 notification not delivered: its certificate is refused: {why}"]


def test_an_address_comes_from_the_environment_and_is_not_left_there() -> None:
    there = {"HOOK": "https://chat.example/x", "HOME": "/root"}

    found = addresses((Receiver(url_env="HOOK"), Receiver(url_env="HOOK", format="chat")), there)

    assert [(one.host, one.port, one.target) for one in found] == [("chat.example", 443, "/x")] * 2
    assert there == {"HOME": "/root"}
    assert "chat.example" not in repr(found)


def test_an_address_comes_from_a_file(tmp_path: Path) -> None:
    place = tmp_path / "hook"
    place.write_text("http://[::1]:8080/x?y=z\n")
    place.chmod(0o600)

    [found] = addresses((Receiver(url_file=place),), {})

    assert (found.host, found.port, found.target) == ("::1", 8080, "/x?y=z")


def test_a_variable_that_is_not_set_is_told_before_anything_begins() -> None:
    with pytest.raises(UsageError, match="the address in HOOK, which is not set"):
        addresses((Receiver(url_env="HOOK"),), {"HOOK": " "})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("chat.example/s3cr3t", "no URL that begins with https://"),
        ("ftp://chat.example/s3cr3t", "no URL that begins with https://"),
        ("https://chat.example:s3cr3t/", "this is no URL"),
        ("https://ops:s3cr3t@chat.example/", "a user or a password in it"),
        ("https://chat.example/s3cr3t\nhttps://other/", "it has spaces"),
        ("https://[s3cr3t", "this is no URL"),
    ],
)
def test_an_address_that_is_none_is_told_without_it(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as told:
        addresses((Receiver(url_env="HOOK"),), {"HOOK": text})
    assert str(told.value).startswith("HOOK: ")
    assert "s3cr3t" not in f"{told.value} {told.value.hint}"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, 0o600, "No such file"),
        (b"", 0o600, "this is empty"),
        (b"\xff\xfe", 0o600, "no UTF-8"),
        (b"https://chat.example/x", 0o644, "everybody may read it"),
        (b"https://chat.example/x", 0o602, "everybody may change it"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, content: bytes | None, mode: int, why: str) -> None:
    place = tmp_path / "hook"
    if content is not None:
        place.write_bytes(content)
        place.chmod(mode)

    with pytest.raises(TcptuneError, match=why):
        addresses((Receiver(url_file=place),), {})


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name, why in (("gone.pem", "No such file"), ("ca.pem", "ca_file")):
        with pytest.raises(InputError, match=why):
            addresses((Receiver(url_env="HOOK", ca_file=tmp_path / name),), {"HOOK": "https://chat.example/"})
