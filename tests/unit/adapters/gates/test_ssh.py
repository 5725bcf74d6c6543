from __future__ import annotations

from collections.abc import Sequence

import pytest

from tcptune.adapters.gates import Tries
from tcptune.domain.gates import ActiveGate, Answer, CommandGate, HttpGate, SshGate, TcpGate
from tcptune.domain.hosts import Host
from tcptune.errors import HostError, HostKeyRefused, HostUnreachable
from tcptune.ports import Output
from tests.unit.adapters.gates.servers import closed
from tests.unit.builders import NOW, host
from tests.unit.fakes import FakeTransport, clock


def asked(said: str | Output | HostError, **fields: object) -> tuple[Answer, FakeTransport]:
    transport = FakeTransport({"web1": said})
    [answer] = Tries(transport, clock).ask(host("web1", **fields), SshGate(within_s=7))
    return answer, transport


def test_a_login_works() -> None:
    answer, transport = asked("", become=True)

    assert (answer.works, answer.check, answer.at) == (True, "connection", NOW)
    assert answer.value is not None
    assert transport.asked == [("web1", ("true",), "", 7)]


def test_nobody_becomes_another_user_and_no_step_may_wait_longer_than_the_gate() -> None:
    class Transport(FakeTransport):
        def run(self, host: Host, command: Sequence[str], stdin: str, *, timeout_s: float) -> Output:
            assert (host.connection.become, host.connection.timeout_s) == (False, 7)
            return super().run(host, command, stdin, timeout_s=timeout_s)

    [answer] = Tries(Transport({"web1": ""}), clock).ask(host("web1", become=True, timeout_s=30), SshGate(within_s=7))

    assert answer.works


@pytest.mark.parametrize(
    "problem", [HostUnreachable("web1: no answer from web1:22 in time"), HostKeyRefused("web1: its key has changed")]
)
def test_a_login_that_does_not_work_says_why(problem: HostError) -> None:
    answer, _ = asked(problem)

    assert (answer.works, answer.value) == (False, None)
    assert answer.said == str(problem).removeprefix("web1: ")


def test_a_shell_that_refuses_everything_does_not_work() -> None:
    answer, _ = asked(Output(1, "", "This account is\ncurrently not available.\n"))

    assert answer.works is False
    assert answer.said == "logged in, but `true` ended with 1 and said This account is currently not available."


@pytest.mark.parametrize(
    "gate",
    [SshGate(), TcpGate(ports=(1, 2)), HttpGate(scheme="http"), CommandGate(name="well", command=("true",))],
    ids=lambda gate: gate.gate,
)
def test_each_kind_of_gate_answers_all_its_checks(gate: ActiveGate) -> None:
    with closed() as port:
        if isinstance(gate, HttpGate):
            gate = gate.model_copy(update={"port": port})
        answers = Tries(FakeTransport({"web1": ""}), clock).ask(host("web1", address="127.0.0.1"), gate)

    assert [(one.gate, one.check) for one in answers] == [(gate.gate, check) for check in gate.checks]


@pytest.mark.parametrize(
    "gate",
    [TcpGate(ports=(22,)), HttpGate(), CommandGate(name="well", command=("true",))],
    ids=lambda gate: gate.gate,
)
def test_a_configuration_of_ssh_that_makes_no_sense_is_not_the_endpoints_fault(gate: ActiveGate) -> None:
    broken = host("web1", ssh_args=("-p", "seven"), address="127.0.0.1")

    [answer] = Tries(FakeTransport({"web1": ""}), clock).ask(broken, gate)

    assert (answer.works, answer.said) == (None, "web1: 'seven' is no port")
