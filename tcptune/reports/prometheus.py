"""A diagnosis as metrics, in the text format that Prometheus reads: of a file in the textfile folder of node_exporter.

Source: Prometheus documentation, exposition formats, text-based format.
"""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.domain.diagnosis import CauseFound, FleetDiagnosis

_HELP = {
    "tcptune_diagnosis_read": "1 where the host was read twice, 0 where it was not.",
    "tcptune_diagnosis_well": "1 where all was judged and nothing is wrong.",
    "tcptune_diagnosis_cause": "1 for each cause that was found.",
    "tcptune_diagnosis_evidence": "What was read, for each number that a cause rests on.",
    "tcptune_diagnosis_unexplained": "Numbers that no healthy host has, and that fit no cause.",
    "tcptune_diagnosis_not_judged": "Groups of causes that could not be judged.",
    "tcptune_diagnosis_window_seconds": "Time between the two samples; 0 where they cannot be compared.",
}
Labels = tuple[tuple[str, str], ...]


def render(result: FleetDiagnosis) -> str:
    """Return the metrics, all of them gauges."""
    samples: dict[str, dict[Labels, float]] = {name: {} for name in _HELP}
    for name, labels, value in _samples(result):
        # Of two numbers with the same name the first counts: a series has one value.
        samples[name].setdefault(labels, value)
    lines = []
    for name, help_ in _HELP.items():
        if samples[name]:
            lines += [f"# HELP {name} {help_}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{_labelled(labels)}}} {value:.17g}" for labels, value in samples[name].items()]
    return "\n".join([*lines, ""])


def _samples(result: FleetDiagnosis) -> Iterator[tuple[str, Labels, float]]:
    for unread in result.unread:
        yield "tcptune_diagnosis_read", (("host", unread.host),), 0
        yield "tcptune_diagnosis_well", (("host", unread.host),), 0
    for one in result.judged:
        host = (("host", one.host),)
        if one is not result.elsewhere:
            yield "tcptune_diagnosis_read", host, 1
            yield "tcptune_diagnosis_window_seconds", host, one.window_s
        yield "tcptune_diagnosis_well", host, one.well
        yield "tcptune_diagnosis_unexplained", host, len(one.unexplained)
        yield "tcptune_diagnosis_not_judged", host, len(one.not_judged)
        for cause in one.causes:
            yield from _of(cause, (*host, ("cause", cause.cause), ("about", cause.about or "")))


def _of(cause: CauseFound, labels: Labels) -> Iterator[tuple[str, Labels, float]]:
    yield "tcptune_diagnosis_cause", (*labels, ("confidence", cause.confidence)), 1
    for one in cause.evidence:
        if not isinstance(one.value, str):
            named = (("name", one.name), ("source", one.source), ("unit", one.unit))
            yield "tcptune_diagnosis_evidence", (*labels, *named), one.value


def _labelled(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
