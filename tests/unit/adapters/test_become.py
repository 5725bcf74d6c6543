from __future__ import annotations

import os
import pwd
from typing import Any

import pytest

from tcptune.adapters.become import BEGUN, PROMPT, check, enter, refusal, talks, too_slow, wrapped
from tcptune.domain.hosts import Host
from tcptune.errors import BecomeRefused
from tcptune.ports import Output
from tests.unit.builders import host

COMMAND = ["sh", "-c", "read it"]


def becoming(password: str | None = None, **fields: Any) -> Host:
    """Return a host where another user does the work."""
    return host(become_password=password, **{"become": True, **fields})


def test_where_nobody_is_to_become_the_command_stays_as_it_is() -> None:
    assert wrapped(becoming("hunter2", become=False), COMMAND) == COMMAND
    assert not talks(becoming("hunter2", become=False))


def test_as_with_ansible_nobody_becomes_who_they_are() -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name

    assert wrapped(becoming(user="root"), COMMAND) == COMMAND
    assert wrapped(becoming(user="root", become_method="su"), COMMAND) == COMMAND
    assert wrapped(becoming(kind="local", become_user=me), COMMAND) == COMMAND
    assert wrapped(becoming(user="root", become_user="deploy"), COMMAND) != COMMAND
    assert wrapped(becoming(user=None), COMMAND) != COMMAND


def test_without_a_password_sudo_must_not_wait_for_one() -> None:
    assert wrapped(becoming(), COMMAND) == ["env", "LC_ALL=C", "sudo", "-H", "-n", "-u", "root", "--", *COMMAND]
    assert not talks(becoming())


def test_a_password_is_in_no_argument() -> None:
    line = wrapped(becoming("hunter2"), COMMAND)

    assert line[:6] == ["env", "LC_ALL=C", "sudo", "-H", "-S", "-p"]
    assert line[-3:] == COMMAND
    assert "hunter2" not in str(line)
    assert talks(becoming("hunter2"))


class Sudo:
    """What a host says on standard error, piece by piece, and what it was told."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = [piece.encode() for piece in pieces]
        self.told: list[bytes] = []

    def enter(self) -> tuple[bool, bytes]:
        return enter(becoming("hunter2"), lambda: self.pieces.pop(0) if self.pieces else b"", self.told.append)


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([PROMPT, BEGUN], 1),
        ([f"We trust you have received the usual lecture.\n{PROMPT[:9]}", PROMPT[9:], BEGUN[:3], BEGUN[3:]], 1),
        ([BEGUN], 0),
    ],
    ids=["asked", "in pieces", "not asked"],
)
def test_sudo_is_told_the_password_when_it_asks_and_only_then(pieces: list[str], told: int) -> None:
    sudo = Sudo(*pieces)

    begun, heard = sudo.enter()

    assert begun
    assert sudo.told == [b"hunter2\n"] * told
    assert PROMPT.encode() not in heard
    assert BEGUN.encode() not in heard


def test_what_sudo_asks_for_again_was_wrong_and_no_second_attempt_is_made() -> None:
    """Each attempt counts where accounts are locked after some, as by pam_faillock after three."""
    sudo = Sudo(PROMPT, f"Sorry, try again.\n{PROMPT}", PROMPT)

    assert sudo.enter() == (False, b"Sorry, try again.\n")
    assert sudo.told == [b"hunter2\n"]


def test_a_sudo_that_ends_has_not_let_the_command_begin() -> None:
    assert Sudo("sudo: command not found\n").enter() == (False, b"sudo: command not found\n")


def test_a_sudo_that_is_silent_for_too_long_is_named() -> None:
    def hear() -> bytes:
        raise TimeoutError

    with pytest.raises(BecomeRefused, match="web1: sudo said nothing in time"):
        enter(becoming("hunter2"), hear, lambda _: None)


@pytest.mark.parametrize("user", ["deploy", "_apt", "web-1", "a.b", "DOM$"])
def test_another_user_than_root_can_be_named(user: str) -> None:
    line = wrapped(becoming(become_user=user), COMMAND)

    assert line[line.index("-u") + 1] == user


@pytest.mark.parametrize("user", ["", "-i", "a b", "root;id", "#0", "a\nb", "$(id)", "root\n"])
def test_what_is_no_user_name_never_reaches_a_command_line(user: str) -> None:
    with pytest.raises(BecomeRefused, match="is no user name"):
        wrapped(becoming(become_user=user), COMMAND)


@pytest.mark.parametrize("method", ["su", "doas", "community.general.machinectl", ""])
def test_a_method_that_is_not_sudo_is_refused(method: str) -> None:
    with pytest.raises(BecomeRefused, match="is not supported"):
        wrapped(becoming(become_method=method), COMMAND)


def test_sudo_may_be_named_in_full() -> None:
    assert wrapped(becoming(become_method="ansible.builtin.sudo"), COMMAND)[2] == "sudo"


@pytest.mark.parametrize(
    ("stderr", "reason", "hint"),
    [
        ("sudo: a password is required\n", "a password is required", "-K"),
        ("Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n", "is wrong", "ssh"),
        ("sudo: 3 incorrect password attempts\n", "the password is wrong", "ssh -t web1"),
        ("web is not in the sudoers file.\n", "web is not in the sudoers file", "sudoers"),
        ("Sorry, user web may not run sudo on db1.\n", "Sorry, user web may not run sudo on db1", "sudoers"),
        ("Sorry, user web is not allowed to execute '/bin/sh' as root on db1.\n", "not allowed to execute", "sudoers"),
        ("sudo: sorry, you must have a tty to run sudo\n", "it wants a terminal (requiretty)", "!requiretty"),
        ("sudo: unknown user: nope\nsudo: error initializing audit plugin\n", "unknown user: nope", "--become-user"),
        ("bash: line 1: sudo: command not found\n", "there is no sudo on this host", "install sudo"),
        ("sh: 1: sudo: not found\n", "there is no sudo on this host", "install sudo"),
        ("env: \u2018sudo\u2019: No such file or directory\n", "there is no sudo on this host", "install sudo"),
        ("env: 'sudo': No such file or directory\n", "there is no sudo on this host", "install sudo"),
        ("sudo: account validation failure, is your account locked?\n", "account validation failure", "ssh -t web1"),
    ],
)
def test_a_refusal_of_sudo_is_told_apart_from_a_failing_command(stderr: str, reason: str, hint: str) -> None:
    with pytest.raises(BecomeRefused, match="web1: sudo refused: ") as refused:
        check(becoming(), Output(1, "", stderr))
    assert reason in str(refused.value)
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Incorrect sudo password", "the password is wrong"),
        ("Missing sudo password", "a password is required"),
        (
            "Premature end of stream waiting for become success.\n>>> Standard Error\nbash: sudo: command not found",
            "no sudo",
        ),
        ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
    ],
)
def test_what_ansible_says_of_sudo_is_understood_too(said: str, reason: str) -> None:
    assert reason in str(refusal("web1", said))


@pytest.mark.parametrize("said", ["", "timed out", "somaxconn takes one number", "No such file or directory"])
def test_what_has_nothing_to_do_with_sudo_is_no_refusal(said: str) -> None:
    assert refusal("web1", said) is None


def test_ansibles_giving_up_is_told_in_our_words() -> None:
    assert too_slow("Timeout (32s) waiting for privilege escalation prompt: ") == "sudo said nothing within 32 s"
    assert too_slow("timed out") is None


@pytest.mark.parametrize(
    "output",
    [
        Output(0, "", "sudo: unable to resolve host web1\n"),
        Output(1, "facts\n", "sudo: unable to resolve host web1\n"),
        Output(1, "", "sh: syntax error\n"),
        Output(127, "", "sh: 1: grep: not found\n"),
        Output(1, "", ""),
    ],
)
def test_what_the_command_itself_said_is_no_refusal(output: Output) -> None:
    check(becoming(), output)


def test_where_nobody_was_to_become_nothing_is_a_refusal_of_sudo() -> None:
    check(host(), Output(1, "", "sudo: a password is required\n"))
