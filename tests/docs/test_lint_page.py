"""The page of lint's rules is complete: every rule that can be found has its row."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from tcptune.dialects.lint import lint
from tcptune.domain import strict
from tests.docs.pages import ROOT

TABLE = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/reference/lint.md").read_text(), re.MULTILINE)
SOURCES = "".join(path.read_text() for path in sorted(Path(ROOT / "tcptune/dialects/lint").glob("*.py")))
HABITS = {"harmful", "myth", "unit"}


def test_the_rules_of_values_have_a_row() -> None:
    assert {rule.value for rule in strict.Rule} <= set(TABLE)


def test_each_row_is_a_rule_that_can_be_found() -> None:
    own = set(re.findall(r'"([a-z][a-z-]+)"', SOURCES))

    assert set(TABLE) - {rule.value for rule in strict.Rule} - HABITS <= own
    assert len(set(TABLE)) == len(TABLE)


def test_what_is_found_in_a_file_with_everything_wrong_has_a_row() -> None:
    conf = "net.ipv4.tcp_tw_recycle=1\nnet.ipv4.tcp_syncookie=1\nx\nnet.ipv4.tcp_sack=0\nnet.ipv4.tcp_sack=0\n"
    conf += "net.ipv4.tcp_retries2=010\nnet.ipv4.tcp_retries2=10 # ten\nnet.ipv4.tcp_low_latency=1\n# tcptune: allow\n"
    tasks = "- shell: sysctl -w net.ipv4.tcp_fin_timeout=9 && sysctl -p\n- shell: echo x >> /etc/sysctl.conf\n"

    report = lint({"a.conf": conf, "a.txt": conf, "a.yml": tasks}, today=date(2026, 11, 21))

    assert len({finding.rule for finding in report.findings}) > 10
    assert {finding.rule for finding in report.findings} <= set(TABLE)
