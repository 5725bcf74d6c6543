"""Findings in files as SARIF 2.1.0, which code-scanning tools show beside the line."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from tcptune import __version__
from tcptune.domain.concerns import Severity
from tcptune.domain.lint import LintFinding, LintReport, UnreadFile

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.HARM: "error", Severity.ADVICE: "warning"}


def render(result: LintReport) -> str:
    """Return the document. What is allowed is marked as suppressed, what could not be judged a notification."""
    results = [_result(finding) for finding in result.findings]
    for one in result.allowed:
        because = f"until {one.until}: {one.why}"
        results.append(_result(one.finding) | {"suppressions": [{"kind": "inSource", "justification": because}]})
    rules = [{"id": rule} for rule in sorted({finding["ruleId"] for finding in results})]
    document = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "tcptune", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not result.unread,
                        "toolExecutionNotifications": [_notification(one) for one in result.unread],
                    }
                ],
                "results": results,
            }
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _result(finding: LintFinding) -> dict[str, Any]:
    what = f"{finding.key}: {finding.why}" if finding.key else finding.why
    return {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{what}. Instead: {finding.instead}. Source: {finding.source}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": {"startLine": finding.line, "startColumn": finding.column},
                }
            }
        ],
    }


def _notification(one: UnreadFile) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": f"could not be judged: {one.why}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(one.path)}}}],
    }


def _uri(path: str) -> str:
    quoted = quote(PurePath(path).as_posix())
    return f"file://{quoted}" if quoted.startswith("/") else quoted
