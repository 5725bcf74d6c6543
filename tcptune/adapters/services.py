"""Services tried from this machine, or from a managed host by the same program."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tcptune import __version__
from tcptune.adapters import prober
from tcptune.domain.hosts import Host
from tcptune.domain.service import Target, Try
from tcptune.errors import HostError, ProbeFailed, UsageError
from tcptune.ports import Transport

_LOADER = (
    "import json, sys\n"
    "asked = json.loads(sys.stdin.readline())\n"
    "scope = {'__name__': 'prober'}\n"
    "exec(compile(sys.stdin.read(), 'prober', 'exec'), scope)\n"
    "scope['main'](asked)\n"
)
COMMAND = ("sh", "-c", 'command -v python3 >/dev/null || exit 127; exec python3 -IB -c "$1"', "sh", _LOADER)
"""The program and what it is to try come on standard input: nothing of either is part of a command line.

-I: nothing is imported from the folder it happens to start in, or that the environment names. -B: nothing is written.
"""
_NO_PYTHON = 127
_LEAST_S = 30.0


@dataclass(frozen=True)
class Probing:
    """How targets are tried."""

    count: int
    interval_s: float
    timeout_s: float
    """Of each stage."""
    at_once: int
    family: str
    """'4', '6' or 'any'."""
    ca_file: Path | None

    def request(self, targets: Sequence[Target]) -> dict[str, Any]:
        """Return it as the program takes it."""
        return {
            "targets": [one.model_dump(mode="json", exclude={"name"}) for one in targets],
            "count": self.count,
            "interval_s": self.interval_s,
            "timeout_s": self.timeout_s,
            "at_once": self.at_once,
            "family": self.family,
            "ca_file": None if self.ca_file is None else str(self.ca_file),
            "agent": f"tcptune/{__version__}",
        }

    def longest_s(self, targets: int) -> float:
        """Return how long it can take: every stage of every address of every target in every round to its end."""
        names = -(-targets // self.at_once)
        waves = -(-targets * prober.MOST_ADDRESSES // self.at_once)
        return _LEAST_S + self.count * max(self.interval_s, (names + 3 * waves) * self.timeout_s)


def try_from_here(targets: Sequence[Target], probing: Probing) -> list[Try]:
    """Return every try from this machine. Raises UsageError where the CA file cannot be used."""
    found: list[Try] = []
    try:
        prober.run(probing.request(targets), lambda one: found.append(Try.model_validate(one)))
    except OSError as problem:
        raise UsageError(
            f"--ca-file {probing.ca_file}: {problem.strerror or problem}", hint="certificates in PEM form"
        ) from None
    return found


def try_from_host(transport: Transport, host: Host, targets: Sequence[Target], probing: Probing) -> list[Try]:
    """Return every try from a managed host.

    Raises HostError where it cannot be reached, has no Python 3, or answers with something else.
    """
    stdin = f"{json.dumps(probing.request(targets))}\n{inspect.getsource(prober)}"
    said = transport.run(host, COMMAND, stdin, timeout_s=probing.longest_s(len(targets)))
    if said.status == _NO_PYTHON:
        raise HostError(f"{host.name}: there is no python3 to probe with", hint="probe from this machine: no --from")
    lines = said.stdout.splitlines()
    found: list[Try] = []
    for line in lines:
        try:
            one = json.loads(line)
            if not isinstance(one, dict):
                raise ProbeFailed(f"{host.name}: the probe's answer makes no sense: {prober.one_line(line)}")
            if "problem" in one:
                raise HostError(f"{host.name}: {prober.one_line(str(one['problem']))}")
            if one == {"end": True}:
                return found
            found.append(Try.model_validate(one))
        except (ValueError, RecursionError):  # the first is for a number of thousands of digits, too
            raise ProbeFailed(f"{host.name}: the probe's answer makes no sense: {prober.one_line(line)}") from None
    reason = prober.one_line(said.stderr[-300:]) or f"it exited with {said.status}"
    raise ProbeFailed(f"{host.name}: the probe ended before it was done: {reason}", hint="it needs Python 3.8 or later")
