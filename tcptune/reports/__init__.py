"""Family: a result -> text. None of them prints.

A report is a function of one result, registered by format and by the type of what it renders.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any


def _render(module: str, result: Any) -> str:
    # Imported when asked for: a command needs one of them, or none.
    rendered: str = import_module(f"tcptune.reports.{module}").render(result)
    return rendered


FORMATS: dict[str, Callable[[Any], str]] = {
    "terminal": partial(_render, "terminal"),
    "json": partial(_render, "json_document"),
    "markdown": partial(_render, "markdown"),
}
"""Name of a format -> what renders any result in it."""
