"""The built-in rules of a counters gate."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import TypeAdapter

from tcptune.domain.gate_rules import CounterRule

_RULES: TypeAdapter[tuple[CounterRule, ...]] = TypeAdapter(tuple[CounterRule, ...])


@cache
def built_in_rules() -> tuple[CounterRule, ...]:
    """Return them in the order of the file: what clients feel first comes first."""
    text = (files("tcptune.knowledge") / "data" / "gates.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    return _RULES.validate_python(data)
