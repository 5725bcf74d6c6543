from __future__ import annotations

import json

import pytest
from pydantic import BaseModel

from tcptune.reports import FORMATS
from tests.unit.conftest import Golden
from tests.unit.reports.results import RESULTS

SUFFIX = {"terminal": "txt", "markdown": "md", "json": "json"}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("result", RESULTS)
def test_a_report_reads_like_this(result: str, format_: str, golden: Golden) -> None:
    golden(f"reports/{result}.{SUFFIX[format_]}", FORMATS[format_](RESULTS[result]))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("result", RESULTS)
def test_a_report_ends_with_one_newline(result: str, format_: str) -> None:
    text = FORMATS[format_](RESULTS[result])

    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_the_json_report_is_the_result_and_nothing_is_lost(result: BaseModel) -> None:
    assert type(result).model_validate_json(FORMATS["json"](result)) == result


@pytest.mark.parametrize("result", ["audit", "concerns", "plan", "verdict"])
def test_the_json_report_says_what_it_is_and_of_which_version(result: str) -> None:
    found = json.loads(FORMATS["json"](RESULTS[result]))

    assert found["tcptune"] == {"verdict": "verify", "concerns": "audit"}.get(result, result)
    assert found["format_version"] == 1
