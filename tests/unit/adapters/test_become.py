from __future__ import annotations

from typing import Any

import pytest

from tcptune.adapters.become import check, wrapped
from tcptune.domain.hosts import Host
from tcptune.errors import BecomeRefused
from tcptune.ports import Output
from tests.unit.builders import host

COMMAND = ["sh", "-c", "read it"]


def becoming(password: str | None = None, **fields: Any) -> Host:
    """Return a host where another user does the work."""
    return host(become_password=password, **{"become": True, **fields})


def test_where_nobody_is_to_become_the_command_stays_as_it_is() -> None:
    assert wrapped(becoming("hunter2", become=False), COMMAND) == (COMMAND, "")


def test_without_a_password_sudo_must_not_wait_for_one() -> None:
    assert wrapped(becoming(), COMMAND) == (["sudo", "-H", "-n", "-u", "root", "--", *COMMAND], "")


def test_a_password_travels_on_standard_input_and_is_in_no_argument() -> None:
    line, before = wrapped(becoming("hunter2"), COMMAND)

    assert line == ["sudo", "-H", "-S", "-p", "", "-u", "root", "--", *COMMAND]
    assert before == "hunter2\n"


@pytest.mark.parametrize("user", ["deploy", "_apt", "web-1", "a.b", "DOM$"])
def test_another_user_than_root_can_be_named(user: str) -> None:
    line, _ = wrapped(becoming(become_user=user), COMMAND)

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
    assert wrapped(becoming(become_method="ansible.builtin.sudo"), COMMAND)[0][0] == "sudo"


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("sudo: a password is required\n", "a password is required"),
        ("Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n", "1 incorrect"),
        ("web is not in the sudoers file.\n", "web is not in the sudoers file."),
        ("Sorry, user web may not run sudo on db1.\n", "may not run sudo"),
        ("sudo: unknown user: nope\nsudo: error initializing audit plugin\n", "error initializing"),
        ("bash: line 1: sudo: command not found\n", "command not found"),
        ("sh: 1: sudo: not found\n", "not found"),
    ],
)
def test_a_refusal_of_sudo_is_told_apart_from_a_failing_command(stderr: str, reason: str) -> None:
    with pytest.raises(BecomeRefused, match="web1: sudo refused: ") as refused:
        check(becoming(), Output(1, "", stderr))
    assert reason in str(refused.value)
    assert "ansible_become_password" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "output",
    [
        Output(0, "", "sudo: unable to resolve host web1\n"),
        Output(1, "facts\n", "sudo: unable to resolve host web1\n"),
        Output(1, "", "sh: syntax error\n"),
        Output(1, "", ""),
    ],
)
def test_what_the_command_itself_said_is_no_refusal(output: Output) -> None:
    check(becoming(), output)


def test_where_nobody_was_to_become_nothing_is_a_refusal_of_sudo() -> None:
    check(host(), Output(1, "", "sudo: a password is required\n"))
