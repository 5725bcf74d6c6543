"""The page on captures and the knowledge behind it say the same."""

from __future__ import annotations

import re

from tcptune.adapters import captures
from tcptune.captures import analysis, both, forgery, table
from tcptune.knowledge.captures import capture_causes, known_gaps
from tests.docs.test_reference import REFERENCE, rows, sections

PAGE = sections(REFERENCE / "captures.md")


def test_every_cause_is_in_the_table() -> None:
    assert rows(PAGE["Causes"]) == {
        cause.id: [
            cause.title,
            "harmless" if cause.harmless else "",
            ", ".join(dict.fromkeys(f"`{remedy.kind.value}`" for remedy in cause.remedies)),
            cause.verified,
        ]
        for cause in capture_causes().values()
    }


def test_every_silence_is_in_the_table() -> None:
    shown = re.findall(r"^\| ([0-9.]+) \| (.+) \|$", PAGE["Silences"], re.MULTILINE)

    assert [(float(seconds), who) for seconds, who in shown] == [(one.seconds, one.who) for one in known_gaps()]


def test_the_bounds_are_those_of_the_code() -> None:
    said = PAGE["Bounds"]

    assert f"| flows remembered at once | {table.FLOWS:,} |" in said
    assert f"| findings kept of a cause | {analysis.EXAMPLES} |" in said
    assert f"| {both.RECORDS:,} each, {both._TROUBLED:,} of them in trouble |" in said
    assert f"| length of a record in a file | {captures._LARGEST_READ // 2**20} MiB |" in said
    assert f"| time a flow is kept after its end | {table._LINGER_NS // 10**9} s of the capture |" in said
    weighed = PAGE["Who sent a reset"]
    assert f"weigh {forgery.FORGED}, and that is `high` from {forgery.CERTAIN} on" in weighed
