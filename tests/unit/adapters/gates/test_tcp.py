from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tcptune.adapters.gates import endpoint, tcp
from tcptune.domain.gates import Answer, TcpGate
from tcptune.domain.hosts import Host
from tests.unit.adapters.gates.servers import closed, full, serving, silent
from tests.unit.builders import NOW, host

HERE = host("web1", address="127.0.0.1")


def asked(*ports: int, on: Host = HERE, **fields: object) -> tuple[Answer, ...]:
    return tcp.ask(on, TcpGate.model_validate({"ports": ports, **fields}), NOW)


def test_a_port_that_accepts_works_and_says_how_long_it_took() -> None:
    with serving(silent) as port:
        [answer] = asked(port)

    assert (answer.host, answer.check, answer.works, answer.unit) == ("web1", f"port {port}", True, "ms")
    assert answer.value is not None
    assert 0 < answer.value < 5000


def test_each_port_has_its_answer() -> None:
    with ExitStack() as stack:
        good, bad = stack.enter_context(serving(silent)), stack.enter_context(closed())
        answers = asked(bad, good)

    assert [(one.check, one.works) for one in answers] == [(f"port {bad}", False), (f"port {good}", True)]
    assert answers[0].said == f"127.0.0.1:{bad}: Connection refused"
    assert answers[0].value is None


def test_a_port_that_drops_what_comes_ends_in_time() -> None:
    with full() as port:
        start = time.monotonic()
        [answer] = asked(port, within_s=0.3)

    assert time.monotonic() - start < 3
    assert (answer.works, answer.said) == (False, f"127.0.0.1:{port}: no answer within 0.3 s")


def test_a_name_that_is_none_does_not_work() -> None:
    [answer] = asked(80, on=host("web1", address="no-such-host.invalid"))

    assert answer.works is False
    assert answer.said.startswith("no-such-host.invalid:80: ")


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "ex..ample"])
def test_what_cannot_be_a_name_does_not_work_either(name: str) -> None:
    [answer] = asked(80, on=host("web1", address=name))

    assert (answer.works, answer.said) == (False, f"{name}:80: {name!r} is no host name")


def test_a_resolver_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint.socket, "getaddrinfo", lambda *_, **__: time.sleep(1) or [])
    start = time.monotonic()

    [answer] = asked(80, within_s=0.2)

    assert time.monotonic() - start < 0.9
    assert answer.said.endswith("no answer within 0.2 s")


def test_an_address_may_be_named_with_the_hosts_name_in_it() -> None:
    with serving(silent) as port:
        [answer] = asked(port, on=host("127", address="nowhere.invalid"), address="{host}.0.0.1")

    assert answer.works


def test_the_controller_itself_is_asked_on_loopback() -> None:
    with serving(silent) as port:
        [answer] = asked(port, on=host("here", kind="local", address="here"))

    assert answer.works


def test_a_host_behind_a_jump_host_is_said_to_be_behind_one() -> None:
    with closed() as port:
        [answer] = asked(port, on=host("web1", address="127.0.0.1", ssh_args=("-J", "gate.example")))

    assert answer.said.endswith("SSH reaches it by way of another host, a gate does not: name an `address`")
