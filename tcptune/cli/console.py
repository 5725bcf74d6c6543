"""Where text goes: results to standard output or a file, everything else to standard error."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer
from pydantic import BaseModel

from tcptune.adapters.files import write_whole
from tcptune.cli.options import Format
from tcptune.errors import TcptuneError
from tcptune.reports import FORMATS
from tcptune.reports.layout import visible

if TYPE_CHECKING:
    from tcptune.domain.runs import HostResult

T = TypeVar("T")
_COLOURS = {"~": typer.colors.YELLOW, "+": typer.colors.GREEN, "?": typer.colors.RED, "!": typer.colors.MAGENTA}


class Stopped(BaseException):
    """Somebody pressed Ctrl-C. Not KeyboardInterrupt: the command line library keeps that one for itself."""


def _stop(_number: int, _frame: object) -> None:
    raise Stopped


@contextlib.contextmanager
def error_boundary() -> Iterator[None]:
    """Turn what a user can meet into one message and the right exit code. Nothing below prints or exits."""
    before = signal.signal(signal.SIGINT, _stop)
    try:
        yield
    except TcptuneError as problem:
        note(visible(f"error: {problem}"), typer.colors.RED)
        if problem.hint:
            note(f"  try: {problem.hint}")
        sys.exit(problem.exit_code)
    except Stopped:
        note("stopped", typer.colors.RED)
        with contextlib.suppress(OSError, AttributeError):  # a full disk; no standard output at all
            sys.stdout.flush()
        # At once: Python would wait for threads that wait for hosts. All that must last is on disk already.
        os._exit(128 + signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def note(said: str, colour: str | None = None) -> None:
    """Say something beside the result, on standard error."""
    typer.echo(painted(said, colour), err=True)


def painted(said: str, colour: str | None) -> str:
    """Return a text in a colour, which `typer.echo` takes off again where no terminal shows it; plain with NO_COLOR."""
    return typer.style(said, fg=colour) if colour and "NO_COLOR" not in os.environ else said


def deliver(result: BaseModel, format_: Format, output: Path | None) -> None:
    """Render a result, and print it or write it to `output`."""
    text(FORMATS[format_.value](result), output, coloured=format_ is Format.TERMINAL)


def text(rendered: str, output: Path | None = None, *, coloured: bool = False) -> None:
    """Print a text, or write it to `output`."""
    if output is not None:
        write_whole(output, [rendered])
        typer.echo(f"wrote {output}", err=True)
        return
    with _printing():
        if coloured and sys.stdout.isatty():
            for line in rendered.splitlines():
                typer.echo(painted(line, _COLOURS.get(line.lstrip()[:1])))
        else:
            typer.echo(rendered, nl=False)


def emit(rendered: str) -> None:
    """Print a piece of a result as it is."""
    with _printing():
        typer.echo(rendered, nl=False)


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """Let a result that nobody can read end a command: never with a traceback, never as if it had been read."""
    if sys.stdout is None:
        raise TcptuneError("standard output is closed", hint="--output FILE")
    try:
        yield
    except OSError as problem:
        # What is left of it must not be tried again, and complained of, when Python closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(problem, BrokenPipeError):
            # Whoever read our output has seen enough.
            sys.exit(128 + signal.SIGPIPE)
        raise TcptuneError(f"standard output: {problem.strerror}", hint="--output FILE") from None


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, with a progress bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, total=total, console=Console(stderr=True), transient=True)


def told(result: HostResult) -> None:
    """Say on standard error that a host reached a new state."""
    from tcptune.domain.runs import FAILED_STATES

    doubts = (*(result.at_boot.said if result.at_boot else ()), *result.warnings)
    colour = typer.colors.RED if result.state in FAILED_STATES or result.error else typer.colors.GREEN
    colour = typer.colors.MAGENTA if doubts and not result.error else colour
    why = f" ({'; '.join([*([result.error] if result.error else []), *doubts])})" if result.error or doubts else ""
    note(visible(f"  {result.host}: {result.state}{why}"), colour)
