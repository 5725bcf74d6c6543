from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tcptune.adapters.gates import http
from tcptune.domain.gates import Answer, HttpGate
from tests.unit.adapters.gates import servers
from tests.unit.adapters.gates.certificates import Authority
from tests.unit.adapters.gates.servers import Connection, Web, closed, full, serving, web
from tests.unit.builders import NOW, host


def asked(port: int, path: str = "/ok", name: str = "web1", address: str = "127.0.0.1", **fields: object) -> Answer:
    gate = HttpGate.model_validate({"scheme": "http", "port": port, "path": path, "requests": 1, **fields})
    [answer] = http.ask(host(name, address=address), gate, NOW)
    assert answer.check == gate.checks[0]
    return answer


@pytest.fixture
def plain() -> Iterator[tuple[Web, int]]:
    with web() as running:
        yield running


def test_an_answer_as_it_should_be_works_and_says_how_long_it_took(plain: tuple[Web, int]) -> None:
    server, port = plain

    answer = asked(port, "/slow", requests=3)

    assert (answer.works, answer.said) == (True, "")
    assert answer.value is not None
    assert server.slow_s * 1000 <= answer.value < 5000
    assert server.asked == [("GET /slow HTTP/1.1", f"127.0.0.1:{port}")] * 3


def test_a_wrong_status_ends_it_at_once(plain: tuple[Web, int]) -> None:
    server, port = plain

    answer = asked(port, "/nothing", requests=5)

    assert (answer.works, answer.said) == (False, "request 1 of 5: status 404, not 200")
    assert len(server.asked) == 1


def test_several_statuses_may_be_right(plain: tuple[Web, int]) -> None:
    assert asked(plain[1], "/nothing", status=(200, 404)).works


def test_a_redirection_is_not_followed(plain: tuple[Web, int]) -> None:
    server, port = plain

    assert asked(port, "/moved").said == "status 302, not 200"
    assert asked(port, "/moved", status=(302,)).works
    assert [line for line, _ in server.asked] == ["GET /moved HTTP/1.1"] * 2


def test_a_head_request_has_no_body_to_wait_for(plain: tuple[Web, int]) -> None:
    server, port = plain

    assert asked(port, "/large", method="HEAD").works
    assert server.asked[0][0] == "HEAD /large HTTP/1.1"


def test_no_more_of_a_large_answer_is_read_than_is_needed(plain: tuple[Web, int]) -> None:
    assert asked(plain[1], "/large").works


def test_a_name_of_the_server_is_sent_with_the_request(plain: tuple[Web, int]) -> None:
    server, port = plain

    assert asked(port, server_name="{host}.example").works
    assert server.asked == [("GET /ok HTTP/1.1", f"web1.example:{port}")]


@pytest.mark.parametrize(
    "behave", [servers.silent, servers.dripping, servers.dripping_body], ids=lambda behave: behave.__name__
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_endpoint_that_hangs_ends_in_time(scheme: str, behave: Callable[[Connection], None], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1")

    def over_tls(connection: Connection) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            behave(secured)

    tls = {"scheme": "https", "ca_file": authority.file} if scheme == "https" else {}
    with serving(over_tls if tls else behave) as port:
        start = time.monotonic()
        answer = asked(port, within_s=0.5, requests=4, **tls)

    assert time.monotonic() - start < 3
    assert (answer.works, answer.said) == (False, "request 1 of 4: no whole answer within 0.5 s")


def test_a_handshake_that_hangs_ends_in_time() -> None:
    with serving(servers.silent) as port:
        start = time.monotonic()
        answer = asked(port, scheme="https", within_s=0.3)

    assert time.monotonic() - start < 3
    assert answer.said == "no whole answer within 0.3 s"


def test_a_connection_that_is_not_accepted_ends_in_time() -> None:
    with full() as port:
        assert asked(port, within_s=0.3).said == "no whole answer within 0.3 s"


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (servers.hanging_up, "no answer that makes sense: Remote end closed connection without response"),
        (servers.babbling, "no answer that makes sense: 220 mail.example \ufffd[2J ESMTP"),
    ],
    ids=["hangs up", "babbles"],
)
def test_what_is_no_http_does_not_work(behave: Callable[[Connection], None], said: str) -> None:
    with serving(behave) as port:
        answer = asked(port)

    assert (answer.works, answer.said) == (False, said)


def test_a_closed_port_does_not_work() -> None:
    with closed() as port:
        assert asked(port).said == "Connection refused"


def test_a_certificate_of_a_named_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with web(authority.server("127.0.0.1", "web1.example")) as (server, port):
        for name in (None, "web1.example", "{host}.example"):
            assert asked(port, scheme="https", ca_file=authority.file, server_name=name).works

    assert len(server.asked) == 3


def refused(context: ssl.SSLContext, ca_file: Path | None, **fields: object) -> str:
    with web(context) as (server, port):
        answer = asked(port, scheme="https", ca_file=ca_file, **fields)
        assert server.asked == []
    assert answer.works is False
    return answer.said


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "a stranger")

    for trusted in (None, stranger.file):
        said = refused(authority.server("127.0.0.1"), trusted)
        assert said == "its certificate is refused: unable to get local issuer certificate"


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    assert "IP address mismatch" in refused(authority.server("web2.example"), authority.file)
    assert "Hostname mismatch" in refused(authority.server("web2.example"), authority.file, server_name="web1.example")


def test_a_certificate_that_has_expired_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    assert refused(authority.server("127.0.0.1", expired=True), authority.file) == (
        "its certificate is refused: certificate has expired"
    )


def test_what_speaks_no_tls_does_not_work(plain: tuple[Web, int]) -> None:
    answer = asked(plain[1], scheme="https")

    assert answer.works is False
    assert answer.said.startswith(("TLS fails: ", "no answer that makes sense: "))


@pytest.mark.parametrize("text", [None, "no certificate\n"], ids=["missing", "nonsense"])
def test_certificates_that_cannot_be_read_are_not_the_hosts_fault(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)

    answer = asked(1, scheme="https", ca_file=file)

    assert answer.works is None
    assert answer.said.startswith(f"ca_file {file}: ")


def test_a_proxy_of_the_environment_is_not_asked(plain: tuple[Web, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert asked(plain[1]).works
