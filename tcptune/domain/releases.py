"""Kernel releases as the catalogue writes them: `4.12`, or `~4.12` where nobody read the exact one in a source."""

from __future__ import annotations

import re
from typing import Any

from pydantic import model_serializer, model_validator

from tcptune.domain.values import Frozen

_RELEASE = re.compile(r"(~?)(\d+(?:\.\d+){1,3})")


class Release(Frozen):
    """A kernel release from which on something is so."""

    number: tuple[int, ...]
    approximate: bool = False
    """True where the number is from general knowledge of upstream history, not read in a source."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _RELEASE.fullmatch(value)
        if found is None:
            raise ValueError(f"{value!r} is no kernel release; write '4.12', or '~4.12' where it is not certain")
        return {"number": tuple(map(int, found[2].split("."))), "approximate": bool(found[1])}

    @model_serializer
    def _as_text(self) -> str:
        return str(self)

    def reached_by(self, version: tuple[int, ...]) -> bool:
        """Say whether a kernel of this version, which may lack the third number, is this release or a later one."""
        return version >= self.number[: len(version)]

    def __str__(self) -> str:
        return ("~" if self.approximate else "") + ".".join(map(str, self.number))


ALWAYS = Release(number=(0, 0))
"""Before every kernel anybody runs."""
