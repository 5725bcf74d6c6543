"""What a global reload would change: `sysctl --system`, or a restart of systemd-sysctl. All keys that were read."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.domain.boot import BootValue, Loader
from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.domain.facts import Value
from tcptune.domain.kernel_values import Stored, stored
from tcptune.domain.parameters import Parameter, Storage
from tcptune.domain.values import kernel_text, numbers
from tcptune.planning.checks.scene import NotKnown, Scene, Values

_TICK_MS = 10
"""Times are rounded up to a timer tick; the slowest timer has 100 a second."""


def judge(scene: Scene, _values: Values) -> Iterator[Observation]:
    """Name each key that a file has otherwise than the kernel, with the line that wins."""
    if scene.facts.boot_gap is not None:
        raise NotKnown(f"the files of the next boot were not read: {scene.facts.boot_gap}")
    flips = tuple(_flips(scene))
    if flips:
        yield Observation(
            keys=tuple(dict.fromkeys(key for key, _ in flips)),
            severity=Severity.ADVICE,
            what="a global reload (sysctl --system, restarting systemd-sysctl) would change what runs now, as will a "
            "boot",
            evidence=tuple(words for _, words in flips),
            remedy="decide for each: set the file as the host runs, or the host as the file says",
            owner=Owner.OPERATOR,
        )
    if scene.model.unreadable:
        raise NotKnown(f"{', '.join(scene.model.unreadable)} cannot be read")


def _flips(scene: Scene) -> Iterator[tuple[str, str]]:
    for key, reading in scene.facts.sysctl.items():
        if not isinstance(reading, Value):
            continue
        found = scene.at_boot(key)
        said: dict[str, dict[Loader, str]] = {}
        for loader in Loader:
            one = found.under(loader)
            value = _written(one, scene.parameters.get(key), scene.facts.system.kernel)
            if one.certain and one.winner and value is not None and not _same(value, reading.text, scene, key):
                said.setdefault(value, {})[loader] = one.winner.place
        for value, places in said.items():
            yield key, f"{key}: {reading.text} now, {value or 'none'} by {_by(places)}"


def _by(places: dict[Loader, str]) -> str:
    """Return the lines that win: one where both loaders agree on it."""
    if len(places) == len(Loader) and len(set(places.values())) == 1:
        return next(iter(places.values()))
    alone = " alone" if len(places) == 1 else ""
    return ", ".join(f"{place} ({_PROGRAMS[loader]}{alone})" for loader, place in places.items())


_PROGRAMS = {Loader.SYSTEMD: "systemd-sysctl", Loader.PROCPS: "sysctl --system"}


def _written(found: BootValue, parameter: Parameter | None, kernel: str) -> str | None:
    if found.value is None:
        return None
    text = kernel_text(found.value)
    if parameter is None:
        return text
    held = stored(parameter, text, kernel=kernel)
    return held.text if isinstance(held, Stored) else text


def _same(written: str, actual: str, scene: Scene, key: str) -> bool:
    """Say whether a write leaves the value as it is; fewer numbers than the key has change the first ones alone."""
    tokens, runs = written.split(), actual.split()
    if tokens == runs or (0 < len(tokens) < len(runs) and tokens == runs[: len(tokens)]):
        return True
    parameter = scene.parameters.get(key)
    if parameter is None or parameter.accepted(scene.facts.system.kernel).storage is not Storage.MILLISECONDS:
        return False
    there, here = numbers(written), numbers(actual)
    return bool(there and here) and 0 <= here[0] - there[0] < _TICK_MS  # type: ignore[index]  # both are there
