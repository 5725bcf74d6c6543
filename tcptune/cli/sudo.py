"""What the options say of becoming another user, and asking for the password once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from tcptune.adapters.become import becomes, is_user
from tcptune.domain.hosts import Escalation, Host
from tcptune.errors import UsageError

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


@dataclass(frozen=True)
class Sudo:
    """-b, --become-user, -K and --become-password-file of one command line. They rank as Ansible's own.

    Raises UsageError where they contradict each other, or the user is none.
    """

    become: bool
    user: str | None
    ask: bool
    file: str | None

    def __post_init__(self) -> None:
        if self.ask and self.file is not None:
            raise UsageError("-K and --become-password-file: the password comes from one of them", hint="leave one out")
        if self.user is not None and not is_user(self.user):
            raise UsageError(f"--become-user {self.user!r}: this is no user name", hint="--become-user root")

    def without_password(self) -> Escalation:
        """Return who is to become whom, for commands that reach no host."""
        return Escalation(become=self.become, user=self.user)

    def tell_unused(self, hosts: Sequence[Host]) -> None:
        """Say on standard error that a password was given and none of the hosts can have a use for it.

        No error: as with Ansible, -K is about the password alone, and a narrow --limit may leave out those who need it.
        """
        option = "-K" if self.ask else "--become-password-file"
        given = self.ask or self.file is not None
        if given and hosts and not any(becomes(host) for host in hosts):
            typer.echo(f"{option}: the password is not used: nobody becomes another user on these hosts", err=True)
            typer.echo("  try: -b, or ansible_become: true in the inventory", err=True)

    def escalation(self) -> Escalation:
        """Return the same with the password, which is read or asked for now: call this once.

        Ansible's own variables count where no option is given.
        """
        from tcptune.adapters.passwords import asked_for, from_file

        ask, file = self.ask, self.file
        if not ask and file is None:
            ask = os.environ.get("ANSIBLE_BECOME_ASK_PASS", "").strip().lower() in _TRUE
            file = os.environ.get("ANSIBLE_BECOME_PASSWORD_FILE") or None
        if ask:
            return Escalation(become=self.become, user=self.user, password=asked_for())
        return Escalation(become=self.become, user=self.user, password=None if file is None else from_file(file))
