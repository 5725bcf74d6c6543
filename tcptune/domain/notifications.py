"""Who is told of a rollout elsewhere, as a policy names it. The address may be a secret, so a policy holds none."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from tcptune.domain.values import Frozen

EventName = Literal[
    "rollout_began",
    "hosts_claimed",
    "wave_began",
    "host_moved",
    "soak_began",
    "gate_measured",
    "waiting",
    "wave_held",
    "wave_ended",
    "deadline_extended",
    "asked",
    "answered",
    "interrupted",
    "rollout_ended",
]
DEFAULT_EVENTS: tuple[EventName, ...] = ("rollout_began", "wave_held", "wave_ended", "asked", "rollout_ended")

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _variable(text: str) -> str:
    # Not what was written: it may be the address itself.
    if not _VARIABLE.fullmatch(text):
        raise ValueError("url_env is the name of an environment variable; the address itself has no place in a policy")
    return text


def _file(value: object) -> object:
    # Messages name the file. An address that stands here by mistake has to stay out of them.
    if isinstance(value, str) and "://" in value:
        raise ValueError("url_file is the path of a file; the address itself has no place in a policy")
    return value


def _each_once(events: tuple[EventName, ...]) -> tuple[EventName, ...]:
    if len(set(events)) != len(events):
        raise ValueError("an event is named twice")
    return events


class Receiver(Frozen):
    """An HTTP server that is sent events of a rollout."""

    url_env: (
        Annotated[
            str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})
        ]
        | None
    ) = Field(default=None, description="Environment variable that holds the address.")
    url_file: (
        Annotated[PurePosixPath, BeforeValidator(_file), WithJsonSchema({"type": "string", "pattern": "^(?!.*://).+$"})]
        | None
    ) = Field(default=None, description="File, on the controller, that holds the address.")
    format: Literal["json", "chat"] = Field(
        default="json", description="json, the event itself; or chat, {text: ...} as chat tools accept it."
    )
    events: Annotated[tuple[EventName, ...], AfterValidator(_each_once)] = Field(
        default=DEFAULT_EVENTS, min_length=1, description="Events that are sent."
    )
    ca_file: PurePosixPath | None = Field(
        default=None, description="Certificates to trust, on the controller; those of its system without it."
    )

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.url_env is None) == (self.url_file is None):
            raise ValueError("name `url_env` or `url_file`, where the address stands")
        return self

    @property
    def called(self) -> str:
        """How messages call it: by where its address stands."""
        return self.url_env if self.url_env is not None else str(self.url_file)
