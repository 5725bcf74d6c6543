"""Try services of this machine, for tests of what became of it."""

from __future__ import annotations

from tcptune.adapters.services import Probing, try_from_here
from tcptune.domain.service import Error, Stage, Try, target


def probing(**fields: object) -> Probing:
    known = {"count": 1, "interval_s": 0.05, "timeout_s": 5.0, "at_once": 8, "family": "any", "ca_file": None}
    return Probing(**(known | fields))  # type: ignore[arg-type]


def tried(text: str, *, tls: bool = False, path: str | None = None, name: str | None = None, **fields: object) -> Try:
    wanted = target(text, tls=tls, path=path, server_name=name)
    found = try_from_here([wanted], probing(**fields))
    [only] = [one for one in found if one.address]
    return only


def outcome(one: Try) -> list[tuple[Stage, Error | None]]:
    return [(stage.stage, stage.error) for stage in one.stages]


def last(one: Try) -> tuple[Stage, Error | None, str]:
    return one.stages[-1].stage, one.stages[-1].error, one.stages[-1].said
