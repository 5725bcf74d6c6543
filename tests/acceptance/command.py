"""Run the command line as a user does: a process of its own, with a home and a journal that nobody else has."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    status: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"exit {self.status}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"


class Tcptune:
    """`python -m tcptune`, run in `folder`. It finds nothing there of the person who runs the tests.

    `installed` is the program of an installation to run instead of the checkout.
    """

    def __init__(self, folder: Path, *, installed: Path | None = None, home: Path | None = None) -> None:
        self.folder = folder
        self.work = folder / "work"
        """Where commands run, and where their temporary files are."""
        self.home = home or folder / "home"
        self.journal = folder / "journal.sqlite"
        self.timeout_s = 120.0
        """How long a command may take."""
        self.prefix: list[str] = []
        """Put before each command, such as what enters a namespace."""
        self._command = [str(installed)] if installed else [sys.executable, "-m", "tcptune"]
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "TMPDIR": str(self.work),
            "TCPTUNE_JOURNAL": f"sqlite:///{self.journal}",
            **({} if installed else {"PYTHONPATH": str(CHECKOUT)}),
        }
        for path in (self.work, self.home):
            path.mkdir(parents=True, exist_ok=True)

    def file(self, name: str, text: str | None = None) -> Path:
        """Give a path of this test's own, with `text` in it if there is one."""
        path = self.folder / name
        if text is not None:
            path.write_text(text)
        return path

    def __call__(self, *arguments: str | Path, expect: int | Set[int] = 0, **environment: str) -> Said:
        """Run one command to its end. It must exit with `expect`, or one of these, and never show a traceback."""
        done = subprocess.run(
            self.argv(arguments),
            cwd=self.work,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=self.timeout_s,
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        shown = f"tcptune {' '.join(map(str, arguments))}: {said}"
        assert TRACEBACK not in said.stdout + said.stderr, shown
        assert said.status in ({expect} if isinstance(expect, int) else expect), f"not exit {expect}: {shown}"
        return said

    def at_terminal(self, *arguments: str | Path, answer: str, expect: int = 0) -> tuple[Said, str]:
        """Run one command with a terminal of its own, and type `answer` when it asks. Give what the terminal showed.

        It must leave the terminal as it was.
        """
        ours, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        with os.fdopen(ours, "r+b", buffering=0) as terminal, os.fdopen(theirs, "r+b", buffering=0) as line:
            process = subprocess.Popen(
                ["setsid", "--ctty", "--wait", *self.argv(arguments)],
                cwd=self.work,
                env=self.environment,
                stdin=line,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            shown = b""
            while not shown.endswith(b"password: "):
                readable, _, _ = select.select([terminal], [], [], 30)
                assert readable, f"it does not ask: {shown!r}"
                shown += terminal.read(1024)
            terminal.write(answer.encode() + b"\n")
            stdout, stderr = process.communicate(timeout=self.timeout_s)
            while select.select([terminal], [], [], 0)[0]:
                shown += terminal.read(1024)
            assert termios.tcgetattr(line) == before
        said = Said(process.returncode, stdout, stderr)
        assert TRACEBACK not in stdout + stderr, said
        assert said.status == expect, f"not exit {expect}: tcptune {' '.join(map(str, arguments))}: {said}"
        return said, shown.decode()

    @contextmanager
    def started(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Start a command whose standard error can be read line by line. It is dead afterwards."""
        process = subprocess.Popen(
            self.argv(arguments),
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def argv(self, arguments: Sequence[str | Path]) -> list[str]:
        """Give the whole command line of a tcptune command."""
        return [*self.prefix, *self._command, *map(str, arguments)]

    def close(self) -> None:
        """End the ssh connections that Ansible keeps open for a minute."""
        for socket in (self.home / ".ansible/cp").glob("*"):
            subprocess.run(
                ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"], capture_output=True, check=False
            )


def command_lines(environment: Mapping[str, str]) -> list[str]:
    """List the processes that run with these variables: a command's own, and all it has started."""
    return list(processes(environment).values())


def processes(environment: Mapping[str, str]) -> dict[int, str]:
    """Map the id of each process that runs with these variables to its command line."""
    wanted = {f"{name}={value}".encode() for name, value in environment.items()}
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if wanted <= set((entry / "environ").read_bytes().split(b"\0")):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(entry.name)] = line
        except OSError:
            continue
    return found
