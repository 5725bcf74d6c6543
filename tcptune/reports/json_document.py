"""Any result as one JSON document, with the format version it carries."""

from __future__ import annotations

from pydantic import BaseModel


def render(result: BaseModel) -> str:
    """Return the document."""
    return result.model_dump_json(indent=2) + "\n"
