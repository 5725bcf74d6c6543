"""The catalogue: one file of facts per kernel setting; profiles and policies. Adding one is adding a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


class _Catalogue(Mapping[SysctlKey, Parameter]):
    """Every known setting by key. The keys are the names of the files; a file is read when it is asked for."""

    def __init__(self) -> None:
        self._folder = _DATA / "parameters"
        names = sorted(item.name for item in self._folder.iterdir() if item.name.endswith(".yml"))
        self._known: dict[SysctlKey, Parameter | None] = dict.fromkeys(name.removesuffix(".yml") for name in names)

    def __getitem__(self, key: SysctlKey) -> Parameter:
        known = self._known[key]
        if known is None:
            known = self._known[key] = self._read(key)
        return known

    def _read(self, key: SysctlKey) -> Parameter:
        text = (self._folder / f"{key}.yml").read_text(encoding="utf-8")
        parameter = Parameter.model_validate(_load(text))
        if parameter.key != key:
            raise ValueError(f"{key}.yml speaks of {parameter.key}")
        return parameter

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def __iter__(self) -> Iterator[SysctlKey]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@cache
def catalogue() -> Mapping[SysctlKey, Parameter]:
    """Return every known setting by key, in the order of the keys. Each is read when it is first looked up."""
    return _Catalogue()


@cache
def built_in_profiles() -> Mapping[str, str]:
    """Return the text of every built-in profile by name."""
    return _texts("profiles")


@cache
def built_in_policies() -> Mapping[str, str]:
    """Return the text of every built-in rollout policy by name."""
    return _texts("policies")


def _texts(kind: str) -> Mapping[str, str]:
    folder = _DATA / kind
    return {
        item.name.removesuffix(".yml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yml")
    }
