from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_core import to_json

from tcptune.probes import PROBES
from tests.unit.conftest import GOLDEN, Golden

SAMPLES = sorted(path for name in PROBES for path in (GOLDEN / name).glob("*.txt"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_host_said_is_understood(sample: Path, golden: Golden) -> None:
    # As script.parse hands it over: split at newlines alone, without empty lines.
    lines = [line for line in sample.read_bytes().decode().split("\n") if line]
    said = to_json(PROBES[sample.parent.name].parse(lines), indent=2).decode() + "\n"

    golden(f"{sample.parent.name}/{sample.stem}.json", said)


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_has_samples(name: str) -> None:
    assert len([path for path in SAMPLES if path.parent.name == name]) >= 3


def test_every_golden_answer_belongs_to_a_sample() -> None:
    answers = {path for name in PROBES for path in (GOLDEN / name).glob("*.json")}

    assert answers == {sample.with_suffix(".json") for sample in SAMPLES}
