"""Programs that listen, and idle timeouts on the path."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tcptune.domain.surroundings import IdleTimeout, Program


@cache
def programs() -> tuple[Program, ...]:
    """Return every program that is known, in the order of the file."""
    return tuple(Program.model_validate(item) for item in _load("programs.yml"))


def program(name: str) -> Program | None:
    """Return what is known of a process of this name."""
    return next((known for known in programs() if known.is_called(name)), None)


@cache
def idle_timeouts() -> tuple[IdleTimeout, ...]:
    """Return every idle timeout that is known, the shortest first."""
    found = (IdleTimeout.model_validate(item) for item in _load("idle_timeouts.yml"))
    return tuple(sorted(found, key=lambda timeout: timeout.seconds))


def _load(name: str) -> Any:
    text = (files("tcptune.knowledge") / "data" / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
