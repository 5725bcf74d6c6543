from __future__ import annotations

import os
from pathlib import Path

import pytest

from tcptune.adapters.local import LocalTransport
from tcptune.adapters.transport import FleetTransport
from tcptune.domain.hosts import Host
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
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(BecomeRefused, match="here: sudo refused: a password is required"):
        LocalTransport().run(host("here", kind="local", become=True, become_user="nobody"), ["true"], "", timeout_s=5)


SUDO = """#!/bin/sh
# Asks as sudo -S does: on standard error, up to three times, and reads the answer's line alone.
for _ in 1 2 3; do
    printf %s "$prompt" >&2
    read -r answer || { echo "sudo: no password was provided" >&2; exit 1; }
    echo "$answer" >>"$0.asked"
    [ "$answer" != "$PASSWORD" ] || exec "$@"
    echo "Sorry, try again." >&2
done
echo "sudo: 3 incorrect password attempts" >&2
exit 1
"""


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file with the answers to a sudo that asks for `right`."""
    sudo = tmp_path / "sudo"
    # Its options are the first six: -H -S -p PROMPT -u USER, and -- behind them.
    options = 'prompt=$4; shift 7; [ "$1" = sh ] || exit 9\n'
    sudo.write_text(SUDO.replace("for _", f"{options}for _", 1))
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PASSWORD", "right")
    return tmp_path / "sudo.asked"


def becoming(password: str) -> Host:
    return host("here", kind="local", become=True, become_user="nobody", become_password=password)


def test_sudo_gets_its_answer_and_the_command_what_is_for_the_command(asking: Path) -> None:
    said = LocalTransport().run(becoming("right"), ["sh", "-c", "cat; echo no >&2; exit 3"], "data\n", timeout_s=10)

    assert said == Output(3, "data\n", "no\n")
    assert asking.read_text() == "right\n"


def test_a_wrong_answer_is_given_once_and_the_command_never_begins(asking: Path) -> None:
    with pytest.raises(BecomeRefused, match="here: sudo refused: the password is wrong"):
        LocalTransport().run(becoming("wrong"), ["cat"], "data\nright\n", timeout_s=10)

    assert asking.read_text() == "wrong\n"


def test_a_sudo_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text("#!/bin/sh\nexec sleep 10\n")
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(BecomeRefused, match="sudo said nothing in time") as refused:
        LocalTransport().run(becoming("right"), ["true"], "", timeout_s=0.2)
    assert "--timeout" in (refused.value.hint or "")


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
