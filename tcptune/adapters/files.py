"""The JSON files tcptune reads and writes: facts and plans. Written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pydantic import TypeAdapter, ValidationError

from tcptune import __version__
from tcptune.domain.facts import FACTS_FORMAT_VERSION, Collected, HostFacts, Unread
from tcptune.domain.values import Frozen
from tcptune.errors import FactsError, InputError, PlanError, TcptuneError
from tcptune.probes import captured

if TYPE_CHECKING:
    from tcptune.domain.changes import Plan
    from tcptune.domain.service import ServiceReport

_COLLECTED: TypeAdapter[Collected] = TypeAdapter(HostFacts | Unread)


class FactsHeader(Frozen):
    """First line of a facts file."""

    tcptune: Literal["facts"] = "facts"
    format_version: Literal[1] = FACTS_FORMAT_VERSION
    made_at: datetime
    tool_version: str = __version__


def facts_lines(collected: Iterable[Collected], made_at: datetime) -> Iterator[str]:
    """Yield the lines of a facts file: a header, then a host per line, as they come in."""
    yield FactsHeader(made_at=made_at).model_dump_json() + "\n"
    for one in collected:
        yield one.model_dump_json() + "\n"


def read_facts(path: Path) -> Iterator[Collected]:
    """Yield the hosts of a facts file.

    Raises FactsError, with the line, for what is no facts file.
    """
    with _opened(path, FactsError) as lines:
        _header(path, next(lines, ""))
        hosts = 0
        for number, line in enumerate(lines, start=2):
            if not line.strip():
                continue
            try:
                one = _COLLECTED.validate_json(line)
            except ValidationError:
                raise FactsError(
                    f"{path}:{number}: this line holds no host's facts",
                    hint="tcptune facts -i INVENTORY -o FILE",
                ) from None
            hosts += 1
            yield one
        if not hosts:
            raise FactsError(f"{path}: there is no host in it", hint="tcptune facts -i INVENTORY -o FILE")


def read_captured(path: Path, collected_at: datetime, kernel: str | None) -> HostFacts:
    """Return the facts of a file that holds the output of `sysctl -a`. The host is called as it says, or as the file.

    Raises FactsError for what is none.
    """
    with _opened(path, FactsError) as lines:
        text = "".join(lines)
    try:
        return captured.parse(text, path.stem, collected_at, kernel)
    except ValueError as problem:
        raise FactsError(
            f"{path}: {problem}", hint="on the host: sysctl -a > FILE; a kernel release looks like 5.10.0"
        ) from None


def _header(path: Path, line: str) -> None:
    try:
        FactsHeader.model_validate_json(line)
    except ValidationError:
        version = _field(line, "format_version")
        if _field(line, "tcptune") == "facts" and version != FACTS_FORMAT_VERSION:
            raise FactsError(f"{path}: format version {version}; this tcptune reads {FACTS_FORMAT_VERSION}") from None
        raise FactsError(f"{path}:1: this is no facts file", hint="tcptune facts -i INVENTORY -o FILE") from None


def read_plan(path: Path) -> Plan:
    """Return the plan of a file.

    Raises PlanError where it is damaged, was edited, or has another format version.
    """
    # Here, not above: whoever reads facts needs none of a plan's models.
    from tcptune.domain.changes import PLAN_FORMAT_VERSION, Plan, plan_digest

    with _opened(path, PlanError) as lines:
        text = "".join(lines)
    version = _field(text, "format_version")
    if _field(text, "tcptune") != "plan":
        raise PlanError(f"{path}: this is no plan", hint="tcptune plan PROFILE -i INVENTORY -o FILE")
    if version != PLAN_FORMAT_VERSION:
        raise PlanError(f"{path}: format version {version}; this tcptune reads {PLAN_FORMAT_VERSION}")
    try:
        plan = Plan.model_validate_json(text)
    except ValidationError as problem:
        raise PlanError(f"{path}: the plan is damaged: {_first(problem)}", hint="make it again") from None
    if plan.plan_id != plan_digest(json.loads(text)):
        raise PlanError(
            f"{path}: the plan was changed after it was made: its content no longer gives its plan_id",
            hint="make it again; a plan is not edited",
        )
    return plan


def read_probe(path: Path) -> ServiceReport:
    """Return the report that `tcptune probe --format json` wrote. Raises InputError."""
    from tcptune.domain.service import SERVICE_FORMAT_VERSION, ServiceReport

    with _opened(path, InputError) as lines:
        text = "".join(lines)
    if _field(text, "tcptune") != "probe":
        raise InputError(f"{path}: this is no report of a probe", hint="tcptune probe HOST:PORT --format json -o FILE")
    if (version := _field(text, "format_version")) != SERVICE_FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}; this tcptune reads {SERVICE_FORMAT_VERSION}")
    try:
        return ServiceReport.model_validate_json(text)
    except ValidationError as problem:
        raise InputError(f"{path}: the report is damaged: {_first(problem)}", hint="make it again") from None


def write_whole(path: Path, chunks: Iterable[str]) -> None:
    """Write a file beside its place and move it there: whoever reads it sees the old one or all of the new one.

    A link keeps pointing at what is written, and a pipe or a device is written to.
    Raises TcptuneError where it cannot be written.
    """
    path = _behind_links(path)
    if path.exists() and not path.is_file():
        _write_into(path, chunks)
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as problem:
        raise TcptuneError(f"{path}: {problem.strerror}", hint="name another place with --output") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(chunks)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except OSError as problem:
        Path(name).unlink(missing_ok=True)
        raise TcptuneError(f"{path}: {problem.strerror}", hint="name another place with --output") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_place(path: Path | None) -> None:
    """Raise TcptuneError where a file could not be written anyway: before minutes are spent on what is to be in it."""
    if path is None:
        return
    path = _behind_links(path)
    folder = path.parent
    if path.is_dir():
        problem = errno.EISDIR
    elif not folder.exists():
        problem = errno.ENOENT
    elif not folder.is_dir():
        problem = errno.ENOTDIR
    elif not os.access(path if path.exists() and not path.is_file() else folder, os.W_OK):
        problem = errno.EACCES
    else:
        return
    raise TcptuneError(f"{path}: {os.strerror(problem)}", hint="name another place")


def _behind_links(path: Path) -> Path:
    with suppress(OSError, RuntimeError):
        path = path.resolve() if path.is_symlink() else path
    # Some Pythons raise for a link that leads to itself, others give it back.
    if path.is_symlink():
        raise TcptuneError(f"{path}: a link that leads to itself", hint="name another place with --output")
    return path


def _write_into(path: Path, chunks: Iterable[str]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(chunks)
    except OSError as problem:
        raise TcptuneError(f"{path}: {problem.strerror}", hint="name another place with --output") from None


@contextmanager
def _opened(path: Path, error: type[InputError]) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8") as file:
            yield file
    except OSError as problem:
        raise error(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: this is no text in UTF-8") from None


def _first(problem: ValidationError) -> str:
    first = problem.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _field(text: str, name: str) -> object:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data.get(name) if isinstance(data, dict) else None
