"""Where a password for sudo comes from, and how it reaches Ansible: it is never in an argument or in a file of ours."""

from __future__ import annotations

import contextlib
import getpass
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from tcptune.errors import InputError, UsageError

_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_LONGEST = 4096
_PATIENCE_S = 5.0


def asked_for() -> SecretStr | None:
    """Ask the person at the terminal, as Ansible does, and return the answer; None where it is empty.

    Raises UsageError where there is no terminal.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise UsageError(
            "--ask-become-pass: there is no terminal to ask on", hint="--become-password-file FILE"
        ) from None
    try:
        answer = getpass.getpass("BECOME password: ")
    except EOFError:
        raise UsageError("--ask-become-pass: no password was given", hint="--become-password-file FILE") from None
    if answer != answer.strip():
        raise UsageError("--ask-become-pass: Ansible cannot use a password that begins or ends with a space")
    return SecretStr(answer) if answer else None


def from_file(name: str) -> SecretStr:
    """Return the password of a file, as Ansible reads it: a program is run and its output taken, `-` is standard input.

    Raises InputError where there is none, where it is more than a line, or where others may read or change it.
    """
    option = f"--become-password-file {name}"
    if name == "-":
        if sys.stdin.isatty():
            raise UsageError(f"{option}: the terminal would show the password", hint="-K")
        text = sys.stdin.buffer.read(_LONGEST)
    else:
        text = _content(Path(name).expanduser(), option)
    try:
        password = text.decode().strip()
    except UnicodeDecodeError:
        raise InputError(f"{option}: this is no UTF-8 text") from None
    if not password:
        raise InputError(f"{option}: this is empty", hint="the password alone, on one line")
    if "\n" in password or "\r" in password or "\0" in password or len(text) >= _LONGEST:
        # sudo would take the first line, and what it starts the others.
        raise InputError(f"{option}: this is more than one line", hint="the password alone, on one line")
    return SecretStr(password)


def _content(path: Path, option: str) -> bytes:
    try:
        found = path.stat()
        program = stat.S_ISREG(found.st_mode) and found.st_mode & _EXECUTABLE
        # What a program is made of is no secret. A pipe, as from a shell's <( ), is nobody else's.
        barred = stat.S_IWOTH if program else stat.S_IWOTH | stat.S_IROTH
        if stat.S_ISREG(found.st_mode) and found.st_mode & barred:
            can = "change" if found.st_mode & stat.S_IWOTH else "read"
            raise InputError(f"{option}: everybody may {can} it", hint=f"chmod o-rw {path}")
        if program:
            return _output(path.absolute(), option)
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as problem:
        raise InputError(f"{option}: {problem.strerror}") from None


def _output(program: Path, option: str) -> bytes:
    # It may ask and complain where its user sees it.
    done = subprocess.run([program], stdout=subprocess.PIPE, check=False)  # noqa: S603  # the user named it
    if done.returncode != 0:
        raise InputError(
            f"{option}: this program ended with status {done.returncode}",
            hint="a file that is no program must not be executable",
        )
    return done.stdout


@contextlib.contextmanager
def offered(password: SecretStr | None, path: Path) -> Iterator[None]:
    """Let whoever opens `path` first read the password, and nobody after that. Nothing is made where there is none.

    Ansible reads the file of its --become-password-file once, when it begins. A fifo, because ansible-runner hands no
    descriptor on; what goes through it is on no disk.
    """
    if password is None:
        yield
        return
    os.mkfifo(path, 0o600)

    def give() -> None:
        with contextlib.suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            # The path leads nowhere from here on; what was opened leads on.
            path.unlink()
            pipe.write(password.get_secret_value().encode())

    giver = threading.Thread(target=give, name="password", daemon=True)
    giver.start()
    try:
        yield
    finally:
        # Where nobody came, the giver waits; whoever it is, here is somebody who listens to no word of it.
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                stack.callback(os.close, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            giver.join(_PATIENCE_S)
