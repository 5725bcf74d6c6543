"""Metrics: what Prometheus can read, one value a series, and no host that looks well because it is silent."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tcptune.domain.causes import Confidence, RemedyKind
from tcptune.domain.concerns import Owner
from tcptune.domain.diagnosis import CauseFound, Evidence, FleetDiagnosis, HostDiagnosis, Remedy, Source
from tcptune.domain.facts import Unread
from tcptune.reports.prometheus import render

from .results import DIAGNOSIS

SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (-?(?:[0-9.e+-]+|inf)|nan)')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"')


def series(text: str) -> dict[tuple[str, str], str]:
    """Return name and labels -> value. Fails for a line that is none of the format's."""
    found: dict[tuple[str, str], str] = {}
    typed: set[str] = set()
    # Other ends of lines than this one are text.
    for line in text.split("\n")[:-1]:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert (kind, name in typed) == ("gauge", False)
            typed.add(name)
        elif not line.startswith("# HELP "):
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample[1] in typed
            assert (sample[1], sample[2]) not in found
            found[sample[1], sample[2]] = sample[3]
    return found


def test_every_host_of_a_diagnosis_has_its_series() -> None:
    found = series(render(DIAGNOSIS))

    for one in DIAGNOSIS.hosts:
        assert found["tcptune_diagnosis_read", f'host="{one.host}"'] == "1"
        assert found["tcptune_diagnosis_well", f'host="{one.host}"'] == str(int(one.well))
        assert found["tcptune_diagnosis_not_judged", f'host="{one.host}"'] == str(len(one.not_judged))
        for cause in one.causes:
            labels = f'host="{one.host}",cause="{cause.cause}"'
            assert any(name == "tcptune_diagnosis_cause" and said.startswith(labels) for name, said in found)
    for unread in DIAGNOSIS.unread:
        assert found["tcptune_diagnosis_read", f'host="{unread.host}"'] == "0"
        assert found["tcptune_diagnosis_well", f'host="{unread.host}"'] == "0"


def test_numbers_are_told_and_words_are_not() -> None:
    found = {(name, dict(LABEL.findall(labels)).get("name")) for name, labels in series(render(DIAGNOSIS))}
    told = {
        (one.name, isinstance(one.value, str))
        for host in DIAGNOSIS.hosts
        for cause in host.causes
        for one in cause.evidence
    }

    assert {name for name, words in told if not words} == {
        name for metric, name in found if metric == "tcptune_diagnosis_evidence"
    }


TEXT = st.text(st.sampled_from('ab"\\\n\r\x85\u2028{}=,#'), min_size=1, max_size=8)


@given(TEXT, TEXT, TEXT, st.floats())
def test_no_name_breaks_the_format(host: str, about: str, name: str, value: float) -> None:
    evidence = Evidence(source=Source.COUNTER, name=name, value=value)
    cause = CauseFound(
        cause="limit.emfile",
        summary="x",
        about=about,
        confidence=Confidence.HIGH,
        because="x",
        evidence=(evidence, evidence),
        remedies=(Remedy(kind=RemedyKind.APP, owner=Owner.APPLICATION, action="x"),),
        kernel_change_helps=False,
    )
    made = FleetDiagnosis(
        hosts=(HostDiagnosis(host=host, window_s=30, causes=(cause, cause)),),
        unread=(Unread(host=f"{host}2", error="x"),),
    )

    labels = [dict(LABEL.findall(labels)) for _, labels in series(render(made))]

    spelt = host.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    assert {one["host"] for one in labels} == {spelt, f"{spelt}2"}
