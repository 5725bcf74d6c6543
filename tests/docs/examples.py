"""Examples in Markdown: find them, run them as a reader would, and compare what they say with what is shown.

A ```console block holds commands behind `$ ` and, below each, what it prints; a command below which nothing stands may
print anything. `# exits 10` behind a command is its exit code where that is not 0. A line `...` stands for any lines,
`...` within a line for any text. A block with title="NAME" is a file that the commands after it find.
"""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)?(?P<attributes>[^`]*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_EXITS = re.compile(r"\s+# exits (\d+)$")
_ELIDED = "..."

# What differs from run to run and says nothing; the replacement is as long as what it stands for where columns matter.
_VOLATILE = (
    (re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "PLAN"),
    # A time of the next day has its date, and the same example is run at midnight, too.
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?Z?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\dZ?\b"), "TIME"),
    (re.compile(r"\bby \S+@\S+, tcptune \d+\.\d+\.\d+"), "by PERSON, tcptune VERSION"),
    (re.compile(r"\b10\.213\.\d+\.\d+\b"), "ADDRESS"),
)
_PROGRESS = re.compile(r"  \w+: (applying|held|confirmed|rolled back|partly back|stale|failed|broken|unreachable)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    line: int
    """Where its text begins, counted from 1."""
    language: str
    title: str | None
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(frozen=True)
class Command:
    """A command, and what the page says of it."""

    line: int
    text: str
    exits: int
    shows: tuple[str, ...]


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page. Raises ValueError for one that never ends."""
    lines = iter(enumerate(page.splitlines(), start=1))
    for number, line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            continue
        indent, body = opening["indent"], []
        for _, inner in lines:
            if inner.strip() == "```":
                break
            body.append(inner.removeprefix(indent))
        else:
            raise ValueError(f"line {number}: this block never ends")
        title = _TITLE.search(opening["attributes"])
        yield Block(number + 1, opening["language"] or "", title[1] if title else None, tuple(body))


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block. Raises ValueError where it begins with something else."""
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(block.lines, start=block.line):
        if line.startswith("$ "):
            found.append((number, line[2:], []))
        elif found:
            found[-1][2].append(line)
        else:
            raise ValueError(f"line {number}: a console block begins with a command")
    for number, text, shows in found:
        exits = _EXITS.search(text)
        while shows and not shows[-1].strip():
            shows.pop()
        yield Command(number, _EXITS.sub("", text).rstrip(), int(exits[1]) if exits else 0, tuple(shows))


def difference(shown: tuple[str, ...], said: str) -> str | None:
    """Say how the output of a command differs from what a page shows, or None where it does not."""
    wanted, actual = _settled(shown), _settled(said.splitlines())
    pattern = "".join("(?:.*\n)*" if line == _ELIDED else _line_pattern(line) + "\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in actual)):
        return None
    return "\n".join(difflib.unified_diff(wanted, actual, "the page shows", "the command says", lineterm="", n=99))


def run_page(
    steps: list[Command | Block],
    folder: Path,
    environment: Mapping[str, str],
    preamble: str = "",
    timeout_s: float = 240,
) -> list[tuple[Command, int | None, str]]:
    """Run the commands of a page in one shell, in `folder`, and return each with its exit code and its output.

    After a command that exits with another code than the page says, nothing more is run: its code is the last that is
    not None.
    """
    notes = folder.parent / f"{folder.name}.notes"
    notes.mkdir()
    script = [preamble]
    for number, step in enumerate(steps):
        note = notes / str(number)
        if isinstance(step, Block):
            note.write_text(step.text)
            script.append(f"cp {note} {step.title}")
            continue
        script += [f"{{ {step.text}", f"}} </dev/null >{note}.out 2>&1", f"echo $? >{note}.code"]
        script.append(f'[ "$(cat {note}.code)" = {step.exits} ] || exit')
    (notes / "script").write_text("\n".join(script) + "\n")
    with (notes / "own").open("w") as own:
        subprocess.run(
            ["bash", notes / "script"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=own,
            stderr=own,
            timeout=timeout_s,
            check=False,
        )
    results: list[tuple[Command, int | None, str]] = []
    for number, step in enumerate(steps):
        if isinstance(step, Command):
            code, said = notes / f"{number}.code", notes / f"{number}.out"
            text = said.read_text(errors="replace") if said.exists() else (notes / "own").read_text()
            results.append((step, int(code.read_text()) if code.exists() else None, text))
    return results


def _settled(lines: tuple[str, ...] | list[str]) -> list[str]:
    """Return lines without what differs from run to run; hosts report their progress in any order."""
    settled: list[str] = []
    for line in lines:
        text = line.rstrip()
        for volatile, name in _VOLATILE:
            text = volatile.sub(name, text)
        settled.append(text)
    at = 0
    while at < len(settled):
        end = at
        while end < len(settled) and _PROGRESS.match(settled[end]):
            end += 1
        settled[at:end] = sorted(settled[at:end])
        at = max(end, at + 1)
    while settled and not settled[-1]:
        settled.pop()
    return settled


def _line_pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split(_ELIDED))
