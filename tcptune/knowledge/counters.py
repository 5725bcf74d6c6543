"""What the kernel counts of TCP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml
from pydantic import TypeAdapter

from tcptune.domain.counters import Counter


@cache
def counters() -> Mapping[str, Counter]:
    """Return every known counter by its name, in the order of the files that hold them."""
    text = (files("tcptune.knowledge") / "data" / "counters.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    return {one.name: one for one in TypeAdapter(tuple[Counter, ...]).validate_python(data)}
