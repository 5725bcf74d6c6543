"""`tcptune profile …`, and what --profile, --load and --waivers do to an audit of facts from a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.profile_hosts import facts, written

KEY = "net.core.somaxconn"
ENTRY = """\
  net.core.somaxconn:
    {}
    why: a reason
    source: a source
"""
RATE = "load: {rate: {default: 8192, unit: connections/s, meaning: peak}}\n"


def tcptune(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tcptune", *words], capture_output=True, text=True, check=False)


@pytest.fixture
def facts_file(tmp_path: Path) -> str:
    path = tmp_path / "facts.jsonl"
    header = {"tcptune": "facts", "format_version": 1, "made_at": "2026-11-21T00:00:00Z"}
    path.write_text(f"{json.dumps(header)}\n{facts({KEY: '4096'}).model_dump_json()}\n")
    return str(path)


def test_validate_tells_every_mistake_of_every_file_and_exits_3(tmp_path: Path) -> None:
    good = written(tmp_path, "good", ENTRY.format("at_least: 4096"))
    bad = [written(tmp_path, name, ENTRY.format("at_leest: 4096")) for name in ("bad", "worse")]

    said = tcptune("profile", "validate", good, *bad)

    assert said.returncode == 3
    assert said.stdout == f"{good}: 1 setting, no mistake\n"
    assert "2 of 3 files are wrong" in said.stderr
    for path in bad:
        assert f"{path}:4:5: unknown key 'at_leest'" in said.stderr
        assert f"{path}:3:3: {KEY} has no operator" in said.stderr


def test_validate_of_right_files_exits_0(tmp_path: Path) -> None:
    assert tcptune("profile", "validate", written(tmp_path, "good", ENTRY.format("leave: true"))).returncode == 0


def test_show_tells_operator_formula_reason_source_and_origin(tmp_path: Path) -> None:
    written(tmp_path, "parent", ENTRY.format('at_least: "{{ rate * 2 }}"'), RATE)
    child = written(
        tmp_path, "child", ENTRY.format("leave: true").replace(KEY, "net.ipv4.tcp_tw_reuse"), "extends: [parent.yml]\n"
    )

    said = tcptune("profile", "show", child).stdout

    for words in (
        "at least {{ rate * 2 }}",
        "a reason",
        "a source",
        "parent.yml:4",
        "8192 connections/s",
        "left as it",
    ):
        assert words in said
    assert json.loads(tcptune("profile", "show", child, "--format", "json").stdout)["name"] == "child"


def test_diff_tells_what_is_added_removed_and_changed_and_exits_10(tmp_path: Path) -> None:
    fin = ENTRY.replace(KEY, "net.ipv4.tcp_fin_timeout").format("leave: true")
    cookies = ENTRY.replace(KEY, "net.ipv4.tcp_syncookies").format("exactly: 1")
    left = written(tmp_path, "left", ENTRY.format("at_least: 4096") + fin)
    right = written(tmp_path, "right", ENTRY.format("at_least: 8192") + cookies)

    said = tcptune("profile", "diff", left, right)

    assert said.returncode == 10
    assert "~ net.core.somaxconn\n    - at least 4096\n    + at least 8192\n" in said.stdout
    assert "- net.ipv4.tcp_fin_timeout" in said.stdout
    assert "+ net.ipv4.tcp_syncookies" in said.stdout
    assert tcptune("profile", "diff", left, left).returncode == 0


def test_schema_prints_a_json_schema_that_knows_the_catalogue() -> None:
    schema = json.loads(tcptune("profile", "schema").stdout)

    assert KEY in schema["properties"]["settings"]["properties"]


def test_load_on_the_command_line_decides_the_audit(tmp_path: Path, facts_file: str) -> None:
    mine = written(tmp_path, "mine", ENTRY.format('at_least: "{{ rate }}"'), RATE)

    assert tcptune("audit", mine, "--facts", facts_file).returncode == 10
    assert tcptune("audit", mine, "--facts", facts_file, "--load", "rate=4000").returncode == 0


@pytest.mark.parametrize("load", ["rate", "rate=fast", "rate=nan", "rat=5"])
def test_a_load_that_makes_no_sense_exits_2(tmp_path: Path, facts_file: str, load: str) -> None:
    mine = written(tmp_path, "mine", ENTRY.format('at_least: "{{ rate }}"'), RATE)

    assert tcptune("audit", mine, "--facts", facts_file, "--load", load).returncode == 2


def test_a_waiver_file_turns_a_deviation_into_a_waived_one(tmp_path: Path, facts_file: str) -> None:
    mine = written(tmp_path, "mine", ENTRY.format("at_least: 8192"))
    waivers = tmp_path / "waivers.yml"
    waivers.write_text(f"- {{key: {KEY}, hosts: 'web*', who: ops, until: 2999-12-31, why: migration}}\n")

    said = tcptune("audit", mine, "--facts", facts_file, "--waivers", str(waivers))

    assert said.returncode == 0
    assert "waived until 2999-12-31 by ops: migration" in said.stdout
    assert "1 waived" in said.stdout


def test_profiles_that_clash_exit_3_and_both_are_named(tmp_path: Path, facts_file: str) -> None:
    low = written(tmp_path, "low", ENTRY.format("at_most: 1024"))
    high = written(tmp_path, "high", ENTRY.format("at_least: 8192"))

    said = tcptune("audit", low, "-p", high, "--facts", facts_file)

    assert said.returncode == 3
    assert "low.yml:3" in said.stderr
    assert "high.yml:3" in said.stderr


def test_profiles_that_agree_are_solved_to_one_value(tmp_path: Path, facts_file: str) -> None:
    low = written(tmp_path, "low", ENTRY.format("at_most: 16384"))
    high = written(tmp_path, "high", ENTRY.format("at_least: 8192"))

    said = tcptune("audit", low, "--profile", high, "--facts", facts_file)

    assert said.returncode == 10
    assert "between 8192 and 16384" in said.stdout
