"""Family: a result -> text. None of them prints.

A report is a function of one result, registered by format and by the type of what it renders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tcptune.reports import json_document, markdown, terminal

FORMATS: dict[str, Callable[[Any], str]] = {
    "terminal": terminal.render,
    "json": json_document.render,
    "markdown": markdown.render,
}
"""Name of a format -> what renders any result in it."""
