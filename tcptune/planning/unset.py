"""Judge what no file should set: `absent` in a profile."""

from __future__ import annotations

from tcptune.domain.boot import Definition, Loader
from tcptune.domain.facts import Reading, Unreadable, Value
from tcptune.domain.findings import Deviates, Finding, Layers, Met, Unknown, Where
from tcptune.planning.boot import BootModel
from tcptune.planning.rules import Rule


def judge_unset(
    rule: Rule, reading: Reading | None, model: BootModel, layers: Layers, default: str | None, *, systemd: bool | None
) -> Finding:
    """Return a deviation that names every line that sets the key, and the value of a kernel that still has it.

    Who sets it at runtime leaves no line: where the kernel's default is known, another value deviates too.
    """
    loader = Loader.SYSTEMD if systemd else Loader.PROCPS
    defining = [definition for definition in model.definitions(rule.key) if definition.value is not None]
    unread = model.load_order(loader).unreadable
    if unread and not defining:
        return Unknown(key=rule.key, why=f"it may be set in {', '.join(unread)}, which cannot be read")
    if isinstance(reading, Unreadable) and not defining:
        return Unknown(key=rule.key, why="it may not be read on this host")
    actual = reading.text if isinstance(reading, Value) else "not in this kernel"
    moved = isinstance(reading, Value) and default is not None and reading.text != default
    wanted = (default if isinstance(reading, Value) else None) or actual
    layers = layers.model_copy(update={"actual": actual, "wanted": wanted})
    if not defining and not moved:
        return Met(key=rule.key, demand=rule.words, layers=layers, why=rule.why, source=rule.source)
    return Deviates(
        key=rule.key,
        demand=rule.words,
        layers=layers,
        where=Where.BOTH if defining and moved else Where.BOOT if defining else Where.RUNTIME,
        writable=True,
        shadowed_by=None,
        why=rule.why,
        source=rule.source,
        by_hand=_by_hand(defining, rule.key, default if moved else None),
    )


def _by_hand(defining: list[Definition], key: str, default: str | None) -> str:
    steps = []
    if defining:
        steps.append(f"remove {', '.join(d.place for d in defining)}; tcptune edits no file it does not own")
    if default is not None:
        steps.append(f"then reboot, or set it to its default: sysctl -w {key}={default}")
    return ", ".join(steps)
