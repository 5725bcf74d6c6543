"""The catalogue: one file of facts per kernel setting. Adding a setting is adding a file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tcptune.domain.parameters import Parameter
from tcptune.domain.values import SysctlKey

_DATA = files("tcptune.knowledge") / "data"


def _load(text: str) -> Any:
    # The C loader reads the whole catalogue in milliseconds; positions are not needed for our own data.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, Loader=loader)  # noqa: S506  # both are safe loaders


@cache
def catalogue() -> Mapping[SysctlKey, Parameter]:
    """Return every known setting by key, in the order in which they are written to a host."""
    folder = _DATA / "parameters"
    loaded = [
        Parameter.model_validate(_load(item.read_text(encoding="utf-8")))
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yml")
    ]
    return {parameter.key: parameter for parameter in loaded}


@cache
def built_in_profiles() -> Mapping[str, str]:
    """Return the text of every built-in profile by name."""
    folder = _DATA / "profiles"
    return {
        item.name.removesuffix(".yml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yml")
    }
