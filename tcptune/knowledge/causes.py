"""Causes of trouble, the errors that programs see of them, and the lines of the kernel's log that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter

from tcptune.domain.causes import Advice, Cause, Claim, ErrorText, KernelPattern, LogMyth, Threshold

_DATA = files("tcptune.knowledge") / "data"
T = TypeVar("T")


@cache
def causes() -> Mapping[str, Cause]:
    """Return every known cause by its id, in the order of the ids."""
    found: dict[str, Cause] = {}
    for item in sorted((_DATA / "causes").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".yml"):
            one = Cause.model_validate(_load(item.read_text(encoding="utf-8")))
            if f"{one.id}.yml" != item.name:
                raise ValueError(f"{item.name} speaks of {one.id}")
            found[one.id] = one
    return found


@cache
def errors() -> tuple[ErrorText, ...]:
    """Return the errors that programs print."""
    return _all(ErrorText, "errors.yml")


@cache
def kernel_patterns() -> tuple[KernelPattern, ...]:
    """Return the lines of the kernel's log that tell of a cause."""
    return _all(KernelPattern, "kernel_log.yml")


@cache
def log_myths() -> tuple[LogMyth, ...]:
    """Return the lines that people look for in vain."""
    return _all(LogMyth, "kernel_log_myths.yml")


@cache
def claims() -> tuple[Claim, ...]:
    """Return what is said of causes and is not so. Claims about a setting stand with the setting."""
    return _all(Claim, "claims.yml")


@cache
def advice() -> tuple[Advice, ...]:
    """Return what to write in programs."""
    return _all(Advice, "advice.yml")


@cache
def thresholds() -> Mapping[str, Threshold]:
    """Return from where on a number counts as trouble, by name."""
    return {one.name: one for one in _all(Threshold, "thresholds.yml")}


def _all(model: type[T], name: str) -> tuple[T, ...]:
    data = _load((_DATA / name).read_text(encoding="utf-8"))
    return TypeAdapter(tuple[model, ...]).validate_python(data)  # type: ignore[valid-type]


def _load(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
