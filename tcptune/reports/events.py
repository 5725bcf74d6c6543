"""Events as other programs take them: a line of JSON, and a message for chat tools."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic import BaseModel

from tcptune.domain.events import EVENT, Event
from tcptune.reports.layout import visible
from tcptune.reports.rollout_sentences import Message

_SURROGATE = re.compile("[\ud800-\udfff]")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def line(event: Event) -> str:
    """Return an event as one line of JSON, newline included.

    ASCII alone, so that no control character of what a host said reaches a terminal; what is no number is null.
    """
    return json.dumps(_plain(event), separators=(",", ":"), allow_nan=False) + "\n"


def chat(run: str, messages: list[Message]) -> dict[str, str]:
    """Return what chat tools accept: a text of one line for each message, the run in the first.

    What a host says can neither call people nor make links.
    """
    told = "\n".join(f"{message.sign} {message.text}" for message in messages)
    text = _MENTION.sub("@ ", visible(f"tcptune {run}\n{told}"))
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **EVENT.json_schema(mode="serialization"),
        "title": "tcptune event",
        "description": "One line of what a rollout tells while it runs.",
    }


def _plain(value: Any) -> Any:
    match value:
        case BaseModel():
            return _plain(value.model_dump(mode="json"))
        case dict():
            return {_plain(key): _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case float() if not math.isfinite(value):
            return None
        case str():
            # Half a character, as Python makes of bytes that are no UTF-8, is no JSON.
            return _SURROGATE.sub("\ufffd", value)
        case _:
            return value
