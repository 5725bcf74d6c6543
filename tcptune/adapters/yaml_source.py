"""YAML with the place of every key, and without YAML's own opinion of scalars.

Scalars stay text: `010` is a mistake the catalogue explains (octal to the kernel), not the number 8 or 10.
Only true and false become booleans, so that they can be refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tcptune.errors import InputError

MOST_CHARACTERS = 1 << 19
"""Nobody writes a profile, a policy or a chain that long, and reading it would take seconds."""
_MOST_VALUES = 50_000
"""An anchor can stand for a whole list, and a list for many anchors: a page of text for gigabytes."""
MOST_MISTAKES = 100
"""Whoever has more of them has named the wrong file."""
_LONGEST_MESSAGE = 4000

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys and list indexes from the top."""


@dataclass(frozen=True)
class Place:
    """Line and column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong with a file."""

    place: Place
    message: str
    hint: str | None = None


class _TooMany(Exception):
    """The anchors of a document stand for more values than anybody writes."""


class Document:
    """A YAML document: its data, and where each part of it stands."""

    def __init__(self, text: str) -> None:
        """Read `text`. Never raises: what is wrong with the YAML itself is in `mistakes`."""
        self.mistakes: list[Mistake] = []
        self.data: Any = None
        self.readable = False
        """Whether the text is YAML at all; a duplicate key does not stop the rest from being checked."""
        self._places: dict[Path, Place] = {}
        self._values = 0
        try:
            # The safe reader: the round-trip one marks the folds of a text with control characters.
            node = YAML(typ="safe", pure=True).compose(text)
        except MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
            self.mistakes.append(Mistake(place, f"this is no YAML: {problem.problem or problem.context}"))
            return
        except YAMLError as problem:
            self.mistakes.append(Mistake(Place(1, 1), f"this is no YAML: {str(problem).splitlines()[0]}"))
            return
        except RecursionError:
            self._refuse("this is nested too deep to be read")
            return
        self.readable = True
        if node is not None:
            try:
                self.data = self._value(node, (), ())
            except RecursionError:
                self._refuse("this is nested too deep to be read")
            except _TooMany:
                self._refuse(f"the anchors of this file stand for more than {_MOST_VALUES} values")

    def place(self, path: Path) -> Place:
        """Return where `path`, or the nearest thing above it, stands."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, Place(1, 1))

    def add(self, path: Path, message: str, *, hint: str | None = None) -> None:
        """Note a mistake at `path`, and what to write instead."""
        self.mistakes.append(Mistake(self.place(path), message, hint))

    def error(self, origin: str, kind: type[InputError]) -> InputError:
        """Return the error that tells every mistake of a file, by its place."""
        mistakes = sorted(self.mistakes, key=lambda m: (m.place.line, m.place.column))
        if len(mistakes) == 1:
            [only] = mistakes
            return kind(f"{origin}:{only.place.line}:{only.place.column}: {_brief(only.message)}", hint=only.hint)
        more = len(mistakes) > MOST_MISTAKES
        lines = [f"{origin}: {f'more than {MOST_MISTAKES}' if more else len(mistakes)} mistakes"]
        for m in mistakes[:MOST_MISTAKES]:
            lines.append(f"{origin}:{m.place.line}:{m.place.column}: {_brief(m.message)}")
            lines += [f"  try: {m.hint}"] if m.hint else []
        return kind("\n".join(lines))

    def _refuse(self, message: str) -> None:
        self.data, self.readable = None, False
        self.mistakes.append(Mistake(Place(1, 1), message))

    def _value(self, node: Node, path: Path, around: tuple[Node, ...]) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _TooMany
        self._places.setdefault(path, _place(node))
        if isinstance(node, ScalarNode):
            return _scalar(node)
        if any(node is outer for outer in around):
            self.mistakes.append(Mistake(_place(node), "this anchor holds itself"))
            return None
        around = (*around, node)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, index), around) for index, item in enumerate(node.value)]
        assert isinstance(node, MappingNode)  # noqa: S101  # YAML has no fourth kind of node
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.mistakes.append(Mistake(_place(key_node), "a key is a word, not a list or a mapping"))
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in found:
                self.mistakes.append(
                    Mistake(_place(key_node), f"{key!r} stands twice, first in line {self.place(here).line}"),
                )
            self._places[here] = _place(key_node)
            found[key] = self._value(value_node, here, around)
        return found


def file_text(path: FilePath, kind: type[InputError], *, hint: str, most: int = MOST_CHARACTERS) -> str:
    """Return the text of a file of `most` characters or fewer. Raises an error of that kind where it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            # Never all of it: a device does not end.
            text = file.read(most + 1)
    except OSError as problem:
        raise kind(f"{path}: {problem.strerror}", hint=hint) from None
    except UnicodeDecodeError:
        raise kind(f"{path}: this is no text in UTF-8", hint="iconv -t utf-8") from None
    if len(text) > most:
        raise kind(f"{path}: this is longer than {most} characters", hint=hint)
    return text


def looks_like_path(name: str) -> bool:
    """Say whether a name can only be meant as that of a file."""
    return "/" in name or name.endswith((".yml", ".yaml"))


def _brief(message: str) -> str:
    """Return a message that quotes what stands there, which may be a megabyte."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} ..."


def _scalar(node: ScalarNode) -> Any:
    plain = node.style is None
    if plain and node.value in {"", "~", "null", "Null", "NULL"}:
        return None
    # YAML 1.1 loaders, Ansible's among them, read yes/no/on/off as booleans too.
    if plain and node.value.lower() in {"true", "false", "yes", "no", "on", "off"}:
        return node.value.lower() in {"true", "yes", "on"}
    # ruamel marks where it folded a text with this character.
    return node.value.replace("\a", "")


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
