from __future__ import annotations

from pathlib import Path

import pytest

from tcptune.adapters.local import LocalTransport
from tcptune.adapters.transport import FleetTransport
from tcptune.errors import BecomeRefused, HostUnreachable
from tcptune.ports import Output
from tests.unit.builders import host

HERE = host("here", kind="local")


def run(*command: str, stdin: str = "", timeout_s: float = 10) -> Output:
    return LocalTransport().run(HERE, command, stdin, timeout_s=timeout_s)


def test_a_command_runs_and_its_three_answers_come_back() -> None:
    assert run("sh", "-c", "cat; echo no >&2; exit 3", stdin="hello\n") == Output(3, "hello\n", "no\n")


def test_what_is_no_utf8_does_not_stop_the_reading() -> None:
    assert run("printf", r"a\377b").stdout == "a\ufffdb"


def test_a_command_that_is_not_there_is_the_hosts_own_problem() -> None:
    with pytest.raises(HostUnreachable, match="here: there is no no-such-command here"):
        run("no-such-command")


def test_a_command_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(HostUnreachable, match=r"here: no answer within 0\.05 s"):
        run("sleep", "10", timeout_s=0.05)


def test_a_refusal_of_sudo_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BecomeRefused, match="here: sudo refused: a password is required"):
        LocalTransport().run(host("here", kind="local", become=True), ["true"], "", timeout_s=5)


def test_each_host_is_reached_by_its_own_kind_of_connection() -> None:
    asked: list[str] = []

    class Fake:
        def __init__(self, kind: str) -> None:
            self.kind = kind

        def run(self, host: object, command: object, stdin: str, *, timeout_s: float) -> Output:  # noqa: ARG002
            asked.append(self.kind)
            return Output(0, "", "")

    fleet = FleetTransport()
    fleet.__dict__.update(_local=Fake("local"), _ssh=Fake("ssh"))
    for one in (HERE, host("web1")):
        fleet.run(one, ["true"], "", timeout_s=1)

    assert asked == ["local", "ssh"]
