"""What -b, --become-user, -K and --become-password-file ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tcptune.cli import wiring
from tcptune.cli.sudo import Sudo
from tcptune.domain.hosts import Escalation, Host
from tcptune.errors import UsageError
from tests.unit.builders import cohort, connection, host, plan, result, run
from tests.unit.fakes import MemoryJournal

from .conftest import Command

PLAN = plan(hosts={"web1": connection(address="web1"), "web2": connection(address="web2", become=True)}, cohorts=())
COMMANDS = {
    "facts": ("facts", "-i", "web1,"),
    "audit": ("audit", "baseline", "-i", "web1,"),
    "plan": ("plan", "baseline", "-i", "web1,"),
    "explain": ("explain", "net.core.somaxconn", "web1", "-i", "web1,"),
    "doctor": ("doctor", "-i", "web1,"),
    "verify": ("verify", "last"),
    "apply": ("apply", "plan.json"),
    "confirm": ("confirm", "last"),
    "extend": ("extend", "last", "5m"),
    "rollback": ("rollback", "last"),
}

every_command = pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)


def sudo(**given: Any) -> Sudo:
    return Sudo(**{"become": False, "user": None, "ask": False, "file": None, **given})


@every_command
def test_the_password_comes_from_one_place(tcptune: Command, words: tuple[str, ...]) -> None:
    found = tcptune(*words, "-K", "--become-password-file", "secret")

    assert (found.code, found.out) == (2, "")
    assert "-K and --become-password-file" in found.err


@every_command
def test_whom_to_become_is_a_user(tcptune: Command, words: tuple[str, ...]) -> None:
    found = tcptune(*words, "-b", "--become-user", "root; id")

    assert (found.code, found.out) == (2, "")
    assert "this is no user name" in found.err


@every_command
@pytest.mark.parametrize("become", [False, True])
def test_a_password_that_nobody_has_a_use_for_is_told(
    tcptune: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], *, become: bool
) -> None:
    def no_further(*_: object) -> None:
        raise UsageError("no further")

    made = plan(cohort("web1"), hosts={"web1": connection(address="web1")})
    monkeypatch.setattr(wiring, "collector", no_further)
    monkeypatch.setattr("tcptune.cli.change.changer", no_further)
    monkeypatch.setattr("tcptune.cli.change.read_plan", lambda _: made)
    monkeypatch.setattr(wiring, "journal", lambda: MemoryJournal((run(result("web1")), made)))
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)

    found = tcptune(*words, "--become-password-file", "secret", *(["-b"] if become else []))

    assert "no further" in found.err
    told = "--become-password-file: the password is not used: nobody becomes another user on these hosts\n"
    assert found.err.count(told) == (0 if become else 1)


def test_a_password_that_nobody_gave_is_not_missed(capsys: pytest.CaptureFixture[str]) -> None:
    sudo().tell_unused([host("web1")])
    sudo(ask=True).tell_unused([host("web1"), host("web2", become=True)])
    assert capsys.readouterr().err == ""

    sudo(ask=True).tell_unused([host("web1")])
    assert capsys.readouterr().err.startswith("-K: the password is not used")


def test_a_file_that_is_wrong_is_exit_code_3(tcptune: Command) -> None:
    found = tcptune("facts", "-i", "web1,", "--become-password-file", "none")

    assert (found.code, found.err) == (3, "error: --become-password-file none: No such file or directory\n")


def test_where_no_host_is_reached_no_password_is_asked_for(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "facts.jsonl").write_text('{"tcptune": "facts"}\n')
    found = tcptune("facts", "--facts", "facts.jsonl", "-K")

    assert "terminal" not in found.err


def test_what_ansibles_own_variables_say_counts_where_no_option_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("theirs", "ours"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv("ANSIBLE_BECOME_PASSWORD_FILE", str(tmp_path / "theirs"))

    found = [sudo().escalation().password, sudo(file=str(tmp_path / "ours")).escalation().password]

    assert [password and password.get_secret_value() for password in found] == ["theirs", "ours"]


def test_a_wish_of_ansibles_to_ask_is_ours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> None:
        raise UsageError("there is no terminal")

    monkeypatch.setattr("tcptune.adapters.passwords.asked_for", nobody)
    monkeypatch.setenv("ANSIBLE_BECOME_ASK_PASS", "True")
    with pytest.raises(UsageError, match="no terminal"):
        sudo().escalation()


@pytest.mark.parametrize(
    ("given", "become", "users"),
    [
        (Escalation(), [False, True], ["root", "root"]),
        (Escalation(become=True), [True, True], ["root", "root"]),
        (Escalation(become=True, user="admin"), [True, True], ["admin", "root"]),
        (Escalation(user="admin"), [False, True], ["root", "root"]),
    ],
)
def test_what_a_plan_says_of_becoming_wins_over_the_command_line(
    given: Escalation, become: list[bool], users: list[str]
) -> None:
    hosts = wiring.hosts_of(PLAN, [], None, given)

    assert [host.connection.become for host in hosts] == become
    assert [host.connection.become_user for host in hosts] == users


def test_every_host_of_a_plan_has_the_password(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "secret").chmod(0o600)
    given = sudo(file=str(tmp_path / "secret")).escalation()

    found: list[Host] = [*wiring.hosts_of(PLAN, [], None, given), *wiring.hosts_of_runs([PLAN], None, given)]

    assert [host.secrets.become and host.secrets.become.get_secret_value() for host in found] == ["hunter2"] * 4
    assert "hunter2" not in str(found)
