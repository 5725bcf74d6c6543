"""Each way in which sudo says no is told by its reason, with what to do, whether we or Ansible met it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

PASSWORD = "correct-Horse7battery"  # of a user who lives as long as a test
SUDOERS = "/etc/sudoers.d/operator"
OWN_PATH = """
mkdir /home/operator/bin
for program in cat chmod env grep id ln mkdir python3 rm sh sleep; do
    ln -s "$(command -v "$program")" "/home/operator/bin/$program"
done
echo PATH=/home/operator/bin >/home/operator/.bashrc
"""
"""Lets the operator's shell find only these programs: there is no sudo among them."""


def wants_a_password(lab: Lab, machine: Machine) -> None:
    lab.sudo_with_password(machine.name, PASSWORD)


def wants_a_terminal(lab: Lab, machine: Machine) -> None:  # noqa: ARG001
    machine.write(SUDOERS, "Defaults requiretty\noperator ALL=(ALL:ALL) NOPASSWD: ALL\n", "0440")


def is_not_there(lab: Lab, machine: Machine) -> None:  # noqa: ARG001
    machine.run("sh", "-c", OWN_PATH)


def does_not_know_the_login(lab: Lab, machine: Machine) -> None:
    lab.sudo_with_password(machine.name, PASSWORD)
    lab.deny_sudo(machine.name)


def allows_something_else(lab: Lab, machine: Machine) -> None:
    lab.sudo_with_password(machine.name, PASSWORD)
    machine.write(SUDOERS, "operator ALL=(ALL:ALL) /usr/bin/id\n", "0440")


@dataclass(frozen=True)
class Case:
    fault: Callable[[Lab, Machine], None]
    password: str | None
    reason: str
    hint: str
    to_ansible: str | None = None
    """What is left of it where Ansible met it, if that is less."""


CASES = {
    "no password": Case(wants_a_password, None, "sudo refused: a password is required", "-K"),
    "a wrong password": Case(wants_a_password, "another", "sudo refused: the password is wrong", "ssh -t"),
    "a terminal": Case(wants_a_terminal, None, "sudo refused: it wants a terminal (requiretty)", "!requiretty"),
    "no sudo": Case(is_not_there, None, "sudo refused: there is no sudo on this host", "install sudo"),
    "not in sudoers": Case(does_not_know_the_login, PASSWORD, "not in the sudoers file", "sudoers"),
    "other commands": Case(
        allows_something_else,
        PASSWORD,
        "is not allowed to execute",
        "sudoers",
        "sudo or Python there ended with status 1",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_refusal_is_told_by_its_reason(tcptune: Tcptune, machines: Machines, on: On, lab: Lab, case: Case) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    case.fault(lab, machine)
    options: tuple[str | Path, ...] = ()
    if case.password is not None:
        file = tcptune.file("password", case.password)
        file.chmod(0o600)
        options = ("--become-password-file", file)

    by_ssh = tcptune("facts", *on(machine), *options, expect=4)
    by_ansible = tcptune("confirm", "last", *options, expect=4)

    assert f"? {machine.name}  could not be read: " in by_ssh.stderr
    assert case.reason in by_ssh.stderr
    assert case.hint in by_ssh.stderr
    assert (case.to_ansible or case.reason) in by_ansible.stdout
    assert ("tcptune facts" if case.to_ansible else case.hint) in by_ansible.stdout
    assert f"  {machine.name}: held (sudo " in by_ansible.stderr
    assert PASSWORD not in f"{by_ssh}{by_ansible}"
    assert machine.values() == WANTED


def test_a_wrong_password_is_tried_once(tcptune: Tcptune, machines: Machines, on: On, lab: Lab) -> None:
    """Where accounts are locked after some failures, a second attempt with what was wrong is one too many."""
    [machine] = machines(1)
    lab.sudo_with_password(machine.name, PASSWORD)
    machine.write(SUDOERS, "Defaults logfile=/var/log/sudo.log\noperator ALL=(ALL:ALL) ALL\n", "0440")
    file = tcptune.file("password", "another")
    file.chmod(0o600)

    tcptune("facts", *on(machine), "--become-password-file", file, expect=4)

    assert "1 incorrect password attempt ;" in machine.read("/var/log/sudo.log")


def test_a_slow_sudo_has_the_time_that_it_is_given(tcptune: Tcptune, machines: Machines, on: On, lab: Lab) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    is_not_there(lab, machine)
    machine.write("/home/operator/bin/sudo", '#!/bin/sh\nsleep 6\nexec /usr/bin/sudo "$@"\n', "0755")

    hurried = tcptune("confirm", "last", "--timeout", "2", expect=4)
    assert "sudo said nothing within 4 s" in hurried.stdout

    tcptune("extend", "last", "30m", "--timeout", "20")
    tcptune("confirm", "last", "--timeout", "20")
    tcptune("rollback", "last", "--timeout", "20")


def test_without_a_terminal_nobody_can_be_asked(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    # A session of its own has no terminal.
    tcptune.prefix = ["setsid", "--wait"]

    refused = tcptune("facts", *on(machine), "-K", expect=2)

    assert refused.stderr == (
        "error: --ask-become-pass: there is no terminal to ask on\n  try: --become-password-file FILE\n"
    )


def test_ctrl_c_instead_of_an_answer_ends_it(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)

    said, _ = tcptune.at_terminal("facts", *on(machine), "-K", answer="\x03", expect=130)

    assert (said.stdout, said.stderr) == ("", "stopped\n")


def test_ansibles_own_wish_to_ask_keeps_nobody_waiting(tcptune: Tcptune, machines: Machines, on: On) -> None:
    """Ansible would ask where nobody sees it, for ever."""
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune.timeout_s = 60

    tcptune("apply", plan, *ALLOWED, ANSIBLE_ASK_PASS="1", ANSIBLE_ASK_VAULT_PASS="1")
    tcptune("rollback", "last")
