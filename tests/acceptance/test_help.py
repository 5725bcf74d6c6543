"""What the README and --help show as an example is a command that exists, with options that exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.acceptance.command import CHECKOUT, Tcptune

TOP = (
    "facts",
    "audit",
    "plan",
    "show",
    "render",
    "diagnose",
    "verify",
    "doctor",
    "probe",
    "apply",
    "confirm",
    "extend",
    "rollback",
    "explain",
    "logs",
    "lint",
    "pcap",
    "capture-plan",
)
BELOW = tuple(f"profile {name}" for name in ("list", "show", "validate", "schema", "diff", "import", "export"))
BELOW += tuple(f"runs {name}" for name in ("list", "show", "export", "prune"))
BELOW += tuple(f"timeouts {name}" for name in ("check", "products", "schema"))
COMMANDS = TOP + BELOW
ENDS_WITH_10 = ("audit", "plan", "diagnose", "logs", "lint", "pcap", "probe")
"""Where these find what they look for they exit with 10: nothing after `&&` would run."""


def examples(text: str) -> Iterator[list[str]]:
    """Yield the words of each tcptune command in `text`, however many a line has."""
    for line in text.splitlines():
        for piece in re.split(r"&&|\|\||[|;]|\s#\s", line.strip().removeprefix("$ ")):
            if piece.strip().startswith("tcptune "):
                yield shlex.split(re.sub(r"[<>].*", "", piece))


def followed(text: str) -> Iterator[list[str]]:
    """Yield the words of each tcptune command that `&&` lets another one follow."""
    for line in text.splitlines():
        *before, _ = line.split("&&")
        yield from (words for piece in before for words in examples(piece))


def check(tcptune: Tcptune, words: list[str]) -> None:
    command, arguments = _split(words)
    assert command in COMMANDS, words
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", _options(tcptune(*command.split(), "--help").stdout)))
    used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
    assert used <= known, words


def _split(words: list[str]) -> tuple[str, list[str]]:
    """Return the command, `profile list` being one, and what it is given."""
    if words[1] == "runs" and " ".join(words[1:3]) not in COMMANDS:
        words = ["tcptune", "runs", "show" if len(words) > 2 else "list", *words[2:]]
    names = 3 if words[1] in ("profile", "runs", "timeouts") else 2
    return " ".join(words[1:names]), words[names:]


def _options(text: str) -> str:
    return text.partition("Options:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example_and_its_exit_codes(tcptune: Tcptune, command: str) -> None:
    said = tcptune(*command.split(), "--help").stdout

    shown = [words for words in examples(said) if _split(words)[0] == command]
    assert shown, "no example"
    for words in examples(said):
        check(tcptune, words)
    assert "Exits 0" in said
    assert [words[1] for words in followed(said) if words[1] in ENDS_WITH_10] == []
    assert re.search(r"Changes (nothing|no host)\.|CHANGES HOSTS\.", " ".join(said.split()))


def test_help_lists_every_command(tcptune: Tcptune) -> None:
    said = tcptune("--help").stdout

    assert re.findall(r"^  ([a-z][a-z-]+)  ", said, re.MULTILINE) == [*TOP, "profile", "policy", "timeouts", "runs"]


def test_the_first_tour_of_the_readme_uses_what_there_is(tcptune: Tcptune) -> None:
    _, _, tour = (CHECKOUT / "README.md").read_text().partition("## A first tour")
    shown = list(examples(tour.partition("\n## ")[0].replace("`", "\n")))

    assert len({words[1] for words in shown}) >= 5
    for words in shown:
        check(tcptune, words)
