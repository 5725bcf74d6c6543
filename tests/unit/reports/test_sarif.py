from __future__ import annotations

import json

from tcptune.reports.sarif import render
from tests.unit.conftest import Golden
from tests.unit.reports.file_results import LINT


def test_a_sarif_document_reads_like_this(golden: Golden) -> None:
    text = render(LINT)

    # Our version is not part of what is compared.
    golden("reports/lint.sarif.json", text.replace(json.loads(text)["runs"][0]["tool"]["driver"]["version"], "VERSION"))


def test_each_finding_is_a_result_and_each_rule_is_declared() -> None:
    [run] = json.loads(render(LINT))["runs"]

    assert len(run["results"]) == len(LINT.findings) + len(LINT.allowed)
    assert {one["ruleId"] for one in run["results"]} == {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert [bool(one.get("suppressions")) for one in run["results"]].count(True) == len(LINT.allowed)
    assert not run["invocations"][0]["executionSuccessful"]
