"""A real nginx configuration, read through crossplane: every include, and what each block inherits, as nginx does.

The files are another program's and may be anybody's: what is read is bounded, and nothing in them is run.
"""

from __future__ import annotations

import glob
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tcptune.errors import ChainError, UsageError

MOST_BYTES = 4 << 20
"""Of one file."""
_MOST_FILES = 1000
_MOST_STATEMENTS = 200_000
_DEEPEST = 50


@dataclass(frozen=True)
class Statement:
    """One directive of nginx's, with the block behind it."""

    name: str
    args: tuple[str, ...]
    place: str
    """'nginx.conf:31'"""
    block: tuple[Statement, ...] | None = None


@dataclass
class Scope:
    """A block, and the blocks around it."""

    kind: str
    args: tuple[str, ...] = ()
    around: Scope | None = None
    own: dict[str, list[Statement]] = field(default_factory=dict)

    def nearest(self, name: str) -> list[Statement]:
        """Return the directives of that name of this block, or else of the first around it that has any."""
        scope: Scope | None = self
        while scope is not None:
            if found := scope.own.get(name):
                return found
            scope = scope.around
        return []

    def inside(self, kind: str) -> Scope | None:
        """Return the first block of that kind around this one, this one among them."""
        scope: Scope | None = self
        while scope is not None and scope.kind != kind:
            scope = scope.around
        return scope


def read_statements(path: Path) -> tuple[Statement, ...]:
    """Return what the main configuration file and all that it includes say.

    Raises ChainError with every mistake, UsageError where crossplane is not there.
    """
    try:
        import crossplane
    except ModuleNotFoundError:
        raise UsageError(
            "nginx configurations are read through crossplane, which is not installed",
            hint="pip install 'tcptune[proxies]'",
        ) from None
    reader = _Reader(crossplane, path.parent)
    found = tuple(reader.file(path, (), None))
    if reader.mistakes:
        mistakes = list(dict.fromkeys(reader.mistakes))
        if len(mistakes) == 1:
            raise ChainError(mistakes[0], hint=f"nginx -t -c {path}")
        raise ChainError("\n".join([f"{path}: {len(mistakes)} mistakes", *mistakes]), hint=f"nginx -t -c {path}")
    return found


def scopes(statements: tuple[Statement, ...], kind: str = "main", around: Scope | None = None) -> Iterator[Scope]:
    """Yield every block, each before the blocks inside it."""
    scope = around or Scope(kind)
    for one in statements:
        scope.own.setdefault(one.name, []).append(one)
    yield scope
    for one in statements:
        if one.block is not None:
            yield from scopes(one.block, one.name, Scope(one.name, one.args, scope))


class _Reader:
    """Reads files one by one: crossplane would follow includes without bounds, and into FIFOs."""

    def __init__(self, crossplane: Any, prefix: Path) -> None:
        self._crossplane = crossplane
        self._prefix = prefix
        self._parsed: dict[Path, list[dict[str, Any]]] = {}
        self._statements = 0
        self.mistakes: list[str] = []

    def file(self, path: Path, around: tuple[Path, ...], said: str | None) -> Iterator[Statement]:
        """Yield the statements of a file; `said`: who includes it."""
        if path in around:
            self.mistakes.append(f"{said}: {path} includes itself")
            return
        if path not in self._parsed:
            if len(self._parsed) >= _MOST_FILES:
                self.mistakes.append(f"{said}: more than {_MOST_FILES} files are included")
                return
            self._parsed[path] = self._parse(path, said)
        yield from self._all(self._parsed[path], path, (*around, path), 0)

    def _parse(self, path: Path, said: str | None) -> list[dict[str, Any]]:
        where = f"{said}: {path}" if said else str(path)
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
                self.mistakes.append(f"{where}: this is no file of at most {MOST_BYTES >> 20} MiB")
                return []
            # Files of /proc say that they are empty, and reading some of them waits for ever.
            if found.st_size == 0:
                return []
            path.open("rb").close()
        except (OSError, ValueError) as problem:
            self.mistakes.append(f"{where}: {getattr(problem, 'strerror', None) or problem}")
            return []
        parsed = self._crossplane.parse(str(path), single=True, check_ctx=False, onerror=lambda problem: problem)
        for error in parsed["errors"]:
            self.mistakes.append(_told(path, error["line"], error["callback"]))
        [only] = parsed["config"]
        statements: list[dict[str, Any]] = only["parsed"]
        return statements

    def _all(
        self, parsed: list[dict[str, Any]], path: Path, around: tuple[Path, ...], depth: int
    ) -> Iterator[Statement]:
        for one in parsed:
            place = f"{path}:{one['line']}"
            self._statements += 1
            if depth > _DEEPEST or len(around) > _DEEPEST or self._statements > _MOST_STATEMENTS:
                self.mistakes.append(f"{place}: this is nested too deep, or longer than any configuration")
                return
            if one["directive"] == "include" and one["args"]:
                yield from self._included(one["args"][0], place, around)
                continue
            block = one.get("block")
            inner = None if block is None else tuple(self._all(block, path, around, depth + 1))
            yield Statement(one["directive"], tuple(one["args"]), place, inner)

    def _included(self, pattern: str, place: str, around: tuple[Path, ...]) -> Iterator[Statement]:
        wanted = str(self._prefix / pattern)
        # A pattern that matches nothing is none of nginx's mistakes; a file that is not there is.
        names = sorted(glob.glob(wanted)) if glob.has_magic(wanted) else [wanted]  # noqa: PTH207  # as nginx's glob(3)
        for name in names:
            yield from self.file(Path(name), around, place)


def _told(path: Path, line: int | None, problem: Exception) -> str:
    if isinstance(problem, RecursionError):
        return f"{path}: this is nested too deep"
    what = getattr(problem, "strerror", None) or str(problem) or "the file ends in the middle of a directive"
    return f"{path}:{line}: {what}" if line else f"{path}: {what}"
