"""What it means where a stage of reaching a service fails."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import TypeAdapter

from tcptune.domain.service import ServiceError

_ERRORS: TypeAdapter[tuple[ServiceError, ...]] = TypeAdapter(tuple[ServiceError, ...])


@cache
def service_errors() -> tuple[ServiceError, ...]:
    """Return every way to fail that is known, in the order of the file: the first that fits counts."""
    text = (files("tcptune.knowledge") / "data" / "service_errors.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    return _ERRORS.validate_python(data)
