"""What hosts really said, and what it means: pairs of files. `--accept` rewrites the right side, where it is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_core import to_json

from tcptune.probes import EVIDENCE, PROBES

GOLDEN = Path(__file__).parents[2] / "golden"
_ALL = {**PROBES, **EVIDENCE}
SECTIONS = (
    *("system", "config_files", "counters", "links", "listeners", "unit_files", "conntrack", "rivals"),
    *EVIDENCE,
)
SAMPLES = sorted(path for name in SECTIONS for path in (GOLDEN / name).glob("*.txt"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_host_said_of_its_state_is_understood(sample: Path, request: pytest.FixtureRequest) -> None:
    lines = [line for line in sample.read_bytes().decode().split("\n") if line]
    said = to_json(_ALL[sample.parent.name].parse(lines), indent=2).decode() + "\n"
    answer = sample.with_suffix(".json")
    if request.config.getoption("--accept", default=False):
        answer.write_text(said, encoding="utf-8")

    assert said == answer.read_text(encoding="utf-8")
