"""Becoming another user on the host, as Ansible's become does, and understanding sudo's refusals.

A password is sent when sudo asks for it, and once: what sudo asks for again was wrong, and each further try would bring
the account nearer to being locked.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tcptune.domain.hosts import Host
from tcptune.errors import BecomeRefused
from tcptune.ports import Output

PROMPT = "[tcptune asks for sudo's password]"
"""What sudo prints on standard error when it wants the password."""
BEGUN = "[tcptune is let in by sudo]"
"""What is printed on standard error once sudo has let the command begin."""
_ANNOUNCED = 'printf %s "$0" >&2; exec "$@"'
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")


class _Refusal(NamedTuple):
    """How sudo, the shell or Ansible say it, and how we do."""

    said: re.Pattern[str]
    reason: str | None
    """None: sudo's own words."""
    hint: str


# The first that fits counts: after a wrong password sudo also says that it was given no other one.
_REFUSALS = (
    _Refusal(
        re.compile(r"incorrect password attempt|Sorry, try again|Incorrect sudo password"),
        "the password is wrong",
        "sudo asks for the password of the login, not for root's; see with: ssh -t {host} sudo -k true",
    ),
    _Refusal(
        re.compile(r"a password is required|no password was provided|Missing sudo password"),
        "a password is required",
        "-K to be asked for it, --become-password-file FILE, or ansible_become_password; or sudo without one",
    ),
    _Refusal(
        re.compile(r"must have a tty"),
        "it wants a terminal (requiretty)",
        "put into the host's sudoers: Defaults:LOGIN !requiretty",
    ),
    _Refusal(
        re.compile(r"sudo: (?:command )?not found|sudo\W*: No such file"),
        "there is no sudo on this host",
        "install sudo, or log in as root without become",
    ),
    _Refusal(
        re.compile(r"not in the sudoers file|may not run sudo|is not allowed to (?:execute|run)"),
        None,
        "give this login the right in the host's sudoers, or log in as another one",
    ),
    _Refusal(re.compile(r"unknown user"), None, "name another one: --become-user or ansible_become_user"),
)
_SAID_NOTHING = re.compile(r"Timeout \((\d+)s\) waiting for privilege escalation prompt")


def is_user(name: str) -> bool:
    """Say whether this can be a user's name, and nothing that sudo or a shell takes for something else."""
    return _USER.fullmatch(name) is not None


def becomes(host: Host) -> bool:
    """Say whether somebody else does the work. As with Ansible, nobody becomes who they are: root needs no sudo."""
    connection = host.connection
    login = connection.user if connection.kind == "ssh" else pwd.getpwuid(os.geteuid()).pw_name
    return connection.become and connection.become_user != login


def talks(host: Host) -> bool:
    """Say whether sudo may ask for a password that we have."""
    return becomes(host) and host.secrets.become is not None


def wrapped(host: Host, command: Sequence[str]) -> list[str]:
    """Return the command line that runs `command` as the wanted user; where `talks`, `enter` has to follow.

    Raises BecomeRefused for a method that is not supported.
    """
    connection = host.connection
    if not becomes(host):
        return list(command)
    if connection.become_method not in {"sudo", "ansible.builtin.sudo"}:
        raise BecomeRefused(
            f"{host.name}: ansible_become_method {connection.become_method} is not supported",
            hint="use sudo, or log in as root",
        )
    if not is_user(connection.become_user):
        raise BecomeRefused(f"{host.name}: {connection.become_user!r} is no user name")
    # In English, whatever the host's language is: its refusals are told apart by their words.
    sudo = ["env", "LC_ALL=C", "sudo", "-H"]
    user = ["-u", connection.become_user, "--"]
    if not talks(host):
        # -n never waits for an answer.
        return [*sudo, "-n", *user, *command]
    # -S reads the password from standard input.
    return [*sudo, "-S", "-p", PROMPT, *user, "sh", "-c", _ANNOUNCED, BEGUN, *command]


def enter(host: Host, hear: Callable[[], bytes], say: Callable[[bytes], object]) -> tuple[bool, bytes]:
    """Answer sudo's question, if it asks. Return whether the command has begun, and what else was heard till then.

    `hear` gives the next bytes of standard error, none at its end. Where the command has not begun, close its standard
    input: sudo then ends.

    Raises BecomeRefused where sudo says nothing in time.
    """
    password = host.secrets.become.get_secret_value() if host.secrets.become else ""
    heard, answered = b"", False
    while BEGUN.encode() not in heard:
        if PROMPT.encode() in heard:
            heard = heard.replace(PROMPT.encode(), b"", 1)
            if answered:
                return False, heard
            answered = True
            # Where sudo is gone already, what it said last tells why.
            with contextlib.suppress(OSError):
                say(f"{password}\n".encode())
            continue
        try:
            more = hear()
        except TimeoutError:
            raise BecomeRefused(
                f"{host.name}: sudo said nothing in time",
                hint=f"give it more: --timeout SECONDS; or see what it does: ssh -t {host.name} sudo -k true",
            ) from None
        if not more:
            return False, heard
        heard += more
    return True, heard.replace(BEGUN.encode(), b"", 1)


def check(host: Host, output: Output) -> None:
    """Raise BecomeRefused where it was sudo that ended the command."""
    if not becomes(host) or output.status == 0 or output.stdout:
        return
    if refused := refusal(host.name, output.stderr):
        raise refused
    said = [line for line in output.stderr.splitlines() if line.startswith("sudo:")]
    if said:
        raise BecomeRefused(
            f"{host.name}: sudo refused: {said[-1].removeprefix('sudo: ')}",
            hint=f"see what it says by hand: ssh -t {host.name} sudo true",
        )


def refusal(host: str, text: str) -> BecomeRefused | None:
    """Return the error for what sudo, a shell or Ansible said, where it is a refusal of sudo's."""
    for known in _REFUSALS:
        if found := known.said.search(text):
            reason = known.reason or _line_of(text, found.start())
            return BecomeRefused(f"{host}: sudo refused: {reason}", hint=known.hint.format(host=host))
    return None


def too_slow(text: str) -> str | None:
    """Return what to say where Ansible gave sudo up; None for other texts."""
    found = _SAID_NOTHING.search(text)
    return f"sudo said nothing within {found[1]} s" if found else None


def _line_of(text: str, position: int) -> str:
    end = text.find("\n", position)
    line = text[text.rfind("\n", 0, position) + 1 : end if end >= 0 else None]
    return line.strip().removeprefix("sudo: ").rstrip(".")
