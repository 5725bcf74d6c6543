"""Settings that are copied from guide to guide, and what is true of them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from tcptune.domain.lint import Habit


@cache
def habits() -> tuple[Habit, ...]:
    """Return every habit, in the order of the file."""
    text = (files("tcptune.knowledge") / "data" / "habits.yml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(Habit.model_validate(item) for item in yaml.load(text, Loader=loader))  # noqa: S506  # both are safe
