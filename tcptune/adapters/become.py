"""Becoming another user on the host, as Ansible's become does, and understanding sudo's refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tcptune.domain.hosts import Host
from tcptune.errors import BecomeRefused
from tcptune.ports import Output

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")


def wrapped(host: Host, command: Sequence[str]) -> tuple[list[str], str]:
    """Return the command line that runs `command` as the wanted user, and what to put before its standard input.

    Raises BecomeRefused for a method that is not supported.
    """
    connection = host.connection
    if not connection.become:
        return list(command), ""
    if connection.become_method not in {"sudo", "ansible.builtin.sudo"}:
        raise BecomeRefused(
            f"{host.name}: ansible_become_method {connection.become_method} is not supported",
            hint="use sudo, or log in as root",
        )
    if not _USER.fullmatch(connection.become_user):
        raise BecomeRefused(f"{host.name}: {connection.become_user!r} is no user name")
    password = host.secrets.become
    # -n never waits for an answer; -S reads the password's line from standard input and leaves the rest.
    asking = ["-n"] if password is None else ["-S", "-p", ""]
    sudo = ["sudo", "-H", *asking, "-u", connection.become_user, "--", *command]
    return sudo, "" if password is None else f"{password.get_secret_value()}\n"


def check(host: Host, output: Output) -> None:
    """Raise BecomeRefused where it was sudo that ended the command."""
    if not host.connection.become or output.status == 0 or output.stdout:
        return
    said = [line for line in output.stderr.splitlines() if line.strip()]
    refusals = [line for line in said if line.startswith("sudo:") or ("sudo" in line and "not found" in line)]
    if refusals or any("not in the sudoers file" in line or "may not run sudo" in line for line in said):
        reason = (refusals or said)[-1].removeprefix("sudo: ")
        raise BecomeRefused(
            f"{host.name}: sudo refused: {reason}",
            hint="give ansible_become_password, or let this user run sudo without one",
        )
