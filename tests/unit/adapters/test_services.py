"""Services on loopback that go wrong in every way, tried for real: the class of each, and that a try ends in time."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tcptune.adapters.services import try_from_here
from tcptune.domain.service import Error, Stage, target
from tcptune.errors import UsageError
from tcptune.knowledge.service_errors import service_errors
from tcptune.planning.service import syn_step
from tests.unit.adapters.gates import servers
from tests.unit.adapters.gates.certificates import Authority
from tests.unit.adapters.gates.servers import Connection, closed, full, serving, web
from tests.unit.adapters.tries import last, outcome, probing, tried

LINGER_0 = struct.pack("ii", 1, 0)


def test_a_service_that_works_has_a_time_for_each_stage(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with web(authority.server("127.0.0.1")) as (server, port):
        found = try_from_here([target(f"https://127.0.0.1:{port}/ok")], probing(ca_file=authority.file))

    named, one = found
    assert [(stage.stage, stage.error) for stage in named.stages] == [(Stage.DNS, None)]
    assert outcome(one) == [(Stage.CONNECT, None), (Stage.TLS, None), (Stage.HTTP, None)]
    assert (one.status, one.syn_retransmits, one.address) == (200, 0, "127.0.0.1")
    assert all(0 <= stage.ms < 5000 for stage in one.stages)
    assert server.asked == [("GET /ok HTTP/1.1", f"127.0.0.1:{port}")]


def test_a_service_is_tried_in_rounds_that_begin_an_interval_apart() -> None:
    with web() as (_, port):
        start = time.monotonic()
        found = try_from_here([target(f"http://127.0.0.1:{port}/ok")], probing(count=4, interval_s=0.2))

    assert time.monotonic() - start >= 0.6
    assert [one.round for one in found if one.address] == [0, 1, 2, 3]


def test_many_services_are_tried_at_once() -> None:
    with web() as (server, port):
        server.slow_s = 0.5
        start = time.monotonic()
        found = try_from_here([target(f"http://127.0.0.1:{port}/slow")] * 8, probing())

    assert time.monotonic() - start < 3
    assert sorted(one.target for one in found if one.address) == list(range(8))


def test_every_address_of_a_name_is_tried_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with web() as (_, port), closed() as other:
        rows = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)), (socket.AF_INET, 1, 6, "", ("127.0.0.2", other))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: rows)
        found = try_from_here([target("two.example:80")], probing())

    assert found[0].addresses == 2
    assert {one.address: last(one)[1] for one in found[1:]} == {"127.0.0.1": None, "127.0.0.2": Error.REFUSED}


def test_of_a_name_with_many_addresses_the_first_are_tried_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closed() as port:
        rows = [(socket.AF_INET, 1, 6, "", (f"127.0.0.{at}", port)) for at in range(1, 31)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: rows)
        found = try_from_here([target("many.example:80")], probing())

    assert (found[0].addresses, found[0].left_off, len(found[1:])) == (30, 22, 8)


def test_an_address_of_ipv6_is_tried_as_one_of_ipv4() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with listener:
        found = tried(f"[::1]:{listener.getsockname()[1]}", family="6")

    assert (found.address, outcome(found)) == ("::1", [(Stage.CONNECT, None)])


def resetting(connection: Connection) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)


def cut_short(connection: Connection) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def cut_chunk(connection: Connection) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhalf")


def busy(connection: Connection) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("behave", "error", "said"),
    [
        (resetting, Error.RESET, "Connection reset by peer"),
        (servers.hanging_up, Error.EOF, "closed without an answer"),
        (cut_short, Error.TRUNCATED, "96 bytes early"),
        (cut_chunk, Error.TRUNCATED, "the body ends after"),
        (servers.babbling, Error.PROTOCOL, "BadStatusLine"),
        (busy, Error.STATUS, "502"),
    ],
)
def test_how_http_goes_wrong(behave: Callable[[Connection], None], error: Error, said: str) -> None:
    with serving(behave) as port:
        found = tried(f"http://127.0.0.1:{port}/ok")

    assert last(found)[:2] == (Stage.HTTP, error)
    assert said in last(found)[2]
    assert "\x1b" not in last(found)[2]


@pytest.mark.parametrize("behave", [servers.silent, servers.dripping, servers.dripping_body])
def test_a_service_that_never_ends_is_left_in_time(behave: Callable[[Connection], None]) -> None:
    with serving(behave) as port:
        start = time.monotonic()
        found = tried(f"http://127.0.0.1:{port}/ok", timeout_s=0.5)

    assert last(found)[:2] == (Stage.HTTP, Error.TIMEOUT)
    assert 0.4 < time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (servers.hanging_up, Error.EOF),
        (resetting, Error.RESET),
        (servers.babbling, Error.PROTOCOL),
        (servers.silent, Error.TIMEOUT),
    ],
)
def test_how_tls_goes_wrong(behave: Callable[[Connection], None], error: Error) -> None:
    with serving(behave) as port:
        found = tried(f"127.0.0.1:{port}", tls=True, timeout_s=0.5)

    assert last(found)[:2] == (Stage.TLS, error)


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "error"),
    [
        (["127.0.0.1"], True, True, Error.CERTIFICATE_EXPIRED),
        (["other.example"], False, True, Error.CERTIFICATE_NAME),
        (["127.0.0.1"], False, False, Error.CERTIFICATE_UNTRUSTED),
        (["127.0.0.1"], False, True, None),
    ],
)
def test_certificates_are_verified(
    names: list[str], expired: bool, trusted: bool, error: Error | None, tmp_path: Path
) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    with web(authority.server(*names, expired=expired)) as (_, port):
        found = tried(f"127.0.0.1:{port}", tls=True, ca_file=(authority if trusted else stranger).file)

    assert last(found)[:2] == (Stage.TLS, error)


def test_a_name_can_be_asked_for_that_is_not_the_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with web(authority.server("shop.example")) as (_, port):
        found = tried(f"127.0.0.1:{port}", tls=True, name="shop.example", ca_file=authority.file)

    assert last(found)[1] is None


def test_an_alert_is_told_by_its_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1")
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    with web(context) as (_, port):
        found = tried(f"127.0.0.1:{port}", tls=True, ca_file=authority.file)

    assert last(found) == (Stage.TLS, Error.TLS_ALERT, "unrecognized_name")


def test_a_service_that_wants_a_certificate_of_its_client_says_so_after_the_handshake(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with web(context) as (_, port):
        found = tried(f"https://127.0.0.1:{port}/ok", ca_file=authority.file)

    assert last(found) == (Stage.HTTP, Error.TLS_ALERT, "certificate_required")


def test_a_port_where_nobody_listens_is_refused() -> None:
    with closed() as port:
        found = tried(f"127.0.0.1:{port}")

    assert outcome(found) == [(Stage.CONNECT, Error.REFUSED)]


def test_a_port_that_drops_is_a_timeout() -> None:
    with full() as port:
        found = tried(f"127.0.0.1:{port}", timeout_s=0.3)

    assert outcome(found) == [(Stage.CONNECT, Error.TIMEOUT)]


def test_a_name_that_is_none_and_one_that_nobody_answers_for(monkeypatch: pytest.MonkeyPatch) -> None:
    [odd] = try_from_here([target("a..b:80")], probing())
    assert odd.stages[0].error is Error.NAME_NOT_FOUND

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(2) or [])
    start = time.monotonic()
    [late] = try_from_here([target("late.example:80")], probing(timeout_s=0.2))

    assert late.stages[0].error is Error.TIMEOUT
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (socket.EAI_NONAME, Error.NAME_NOT_FOUND),
        (socket.EAI_AGAIN, Error.NAME_SERVER),
        (socket.EAI_FAIL, Error.NAME_SERVER),
        (socket.EAI_ADDRFAMILY, Error.NAME_NOT_FOUND),
    ],
)
def test_the_name_server_is_told_from_the_name(code: int, error: Error, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise socket.gaierror(code, "said")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    [found] = try_from_here([target("x.example:80")], probing())

    assert found.stages[0].error is error


def test_an_address_of_the_other_family_is_nobody_s_silence() -> None:
    [found] = try_from_here([target("127.0.0.1:80")], probing(family="6"))

    assert found.stages[0].error is Error.NAME_NOT_FOUND


@contextmanager
def late_acceptor(after_s: float) -> Iterator[int]:
    """Give a port whose queue is full until somebody begins to accept."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(2)]
        for one in fillers:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())

        def accept() -> None:
            time.sleep(after_s)
            for _ in range(3):
                listener.accept()[0].close()

        worker = threading.Thread(target=accept, daemon=True)
        worker.start()
        try:
            yield listener.getsockname()[1]
        finally:
            for one in fillers:
                one.close()


def test_a_syn_that_was_sent_again_is_counted_by_the_kernel() -> None:
    with late_acceptor(0.4) as port:
        found = tried(f"127.0.0.1:{port}", timeout_s=5)

    assert outcome(found) == [(Stage.CONNECT, None)]
    assert found.syn_retransmits == 1
    assert syn_step(found.stages[0].ms) == 1


def test_a_ca_file_that_is_none_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match="--ca-file"):
            try_from_here([target("127.0.0.1:1")], probing(ca_file=path))


def test_the_dot_that_ends_a_full_name_is_no_part_of_what_a_certificate_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with web(authority.server("web1.example")) as (_, port):
        rows = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: rows)
        found = tried(f"https://web1.example.:{port}/ok", ca_file=authority.file)

    assert outcome(found) == [(Stage.CONNECT, None), (Stage.TLS, None), (Stage.HTTP, None)]


def test_the_longest_time_covers_every_stage_of_every_address() -> None:
    assert probing(count=2, timeout_s=10, at_once=16).longest_s(1) == 30 + 2 * (1 + 3) * 10
    # Names are asked for in turns, too.
    assert probing(count=1, timeout_s=10, at_once=1).longest_s(3) == 30 + (3 + 3 * 24) * 10


@pytest.mark.parametrize("error", Error)
def test_every_way_to_fail_is_explained(error: Error) -> None:
    assert error is Error.OTHER or [one for one in service_errors() if one.error is error]
