"""Every reader of foreign bytes has a test that fuzzes it."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

from tcptune.probes import ON_REQUEST, PROBES
from tests.fuzz.test_hosts import ALL

ROOT = Path(__file__).parents[2]

FUZZED = {
    "fuzz/test_hosts.py:test_whatever_ansible_says_of_a_host_it_is_facts_or_a_reason": (
        "tcptune.adapters.ansible_facts:_collected",
    ),
    "unit/adapters/test_captures.py:test_no_changed_file_breaks_it": ("tcptune.adapters.captures:packet_files",),
    "fuzz/test_files.py:test_any_yaml_is_understood_or_refused_with_its_place": (
        "tcptune.adapters.chains:load_chain",
        "tcptune.adapters.policies:load_policy_file",
        "tcptune.adapters.profiles:load_file",
        "tcptune.adapters.profiles:load_waivers",
    ),
    "fuzz/test_configurations.py:test_any_file_of_another_tool_is_imported_or_refused": (
        "tcptune.adapters.dialects:gather",
    ),
    "fuzz/test_files.py:test_any_output_of_sysctl_is_facts_or_refused": ("tcptune.adapters.files:read_captured",),
    "fuzz/test_files.py:test_any_two_facts_files_are_diagnosed_or_refused": ("tcptune.adapters.files:read_facts",),
    "fuzz/test_files.py:test_any_plan_is_one_or_refused_also_where_it_was_signed_again": (
        "tcptune.adapters.files:read_plan",
    ),
    "fuzz/test_files.py:test_any_report_of_a_probe_is_one_or_refused": ("tcptune.adapters.files:read_probe",),
    "fuzz/test_configurations.py:test_any_configuration_is_read_or_refused_with_its_path": (
        "tcptune.adapters.haproxy_timeouts:read_haproxy",
        "tcptune.adapters.nginx_timeouts:read_nginx",
    ),
    "fuzz/test_configurations.py:test_any_file_of_settings_is_judged_or_has_its_reason": (
        "tcptune.adapters.lint:lint_texts",
        "tcptune.dialects.lint:lint",
    ),
    "fuzz/test_logs.py:test_any_log_is_counted_or_has_its_reason": ("tcptune.adapters.logs:read_logs",),
    "fuzz/test_logs.py:test_with_grep_and_without_it_a_log_says_the_same": ("tcptune.adapters.logs.search:Search",),
    "fuzz/test_hosts.py:test_whatever_a_probe_on_a_host_answers_it_is_tries_or_a_reason": (
        "tcptune.adapters.services:try_from_host",
    ),
    "unit/adapters/test_yaml_source.py:test_no_text_makes_the_reader_crash": ("tcptune.adapters.yaml_source:Document",),
    "unit/captures/test_analysis.py:test_nothing_that_segments_say_breaks_the_judgement": (
        "tcptune.captures.analysis:Analysis",
    ),
    "unit/captures/test_packets.py:test_no_changed_bytes_break_it": ("tcptune.captures.packets:decode",),
    "unit/captures/test_payloads.py:test_no_bytes_break_it": ("tcptune.captures.payloads:peek",),
    "unit/planning/test_explain_cause.py:test_any_text_has_an_answer": ("tcptune.planning.explain_cause:find_cause",),
    "fuzz/test_hosts.py:test_whatever_a_host_answers_it_is_judged_or_not_read": ("tcptune.probes.script:parse",),
    "unit/probes/test_sockets.py:test_whatever_ss_says_the_section_can_be_read": (
        "tcptune.probes.socket_script:SCRIPT",
    ),
    "fuzz/test_hosts.py:test_whatever_a_section_says_it_is_understood_or_refused": ("tcptune.probes:PROBES",),
}
"""Test -> the readers that it fuzzes. A reader that is not here is one that nobody has fed garbage."""
TARGETS = {reader: test for test, readers in FUZZED.items() for reader in readers}


@pytest.mark.parametrize("reader", TARGETS)
def test_the_reader_exists_and_its_test_fuzzes(reader: str) -> None:
    module, _, name = reader.partition(":")
    path, _, test = TARGETS[reader].partition(":")
    functions = {
        node.name: node
        for node in ast.parse((ROOT / "tests" / path).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }

    assert hasattr(import_module(module), name)
    called = {ast.unparse(one.func) for one in functions[test].decorator_list if isinstance(one, ast.Call)}
    assert {"given", "fuzz"} <= called


def test_every_section_of_a_collection_is_among_them() -> None:
    assert set(ALL) == {*PROBES, *ON_REQUEST}


THROUGH = {
    "tcptune.adapters.inventory:read_hosts": "of the user; Ansible reads it",
    "tcptune.adapters.nginx_config:read_statements": "read_nginx",
    "tcptune.adapters.policies:load_policy": "load_policy_file",
    "tcptune.adapters.policies:read_policy": "load_policy_file",
    "tcptune.adapters.profile_demands:read_demand": "load_file",
    "tcptune.adapters.profile_limits:read_limits": "load_file",
    "tcptune.adapters.profile_syntax:read_guard": "load_file",
    "tcptune.adapters.profile_syntax:read_head": "load_file",
    "tcptune.adapters.profile_syntax:read_settings": "load_file",
    "tcptune.adapters.profile_syntax:read_waivers": "load_waivers",
    "tcptune.adapters.profiles:load_profile": "load_file",
    "tcptune.adapters.profiles:load_profiles": "load_file",
}
"""Reader -> the one above through which it is fed, or why it is not."""


def test_a_reader_that_is_new_is_fuzzed_or_has_its_reason() -> None:
    found = set()
    for path in sorted((ROOT / "tcptune" / "adapters").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith(("read_", "load_")):
                found.add(f"{module}:{node.name}")

    assert found - set(TARGETS) == set(THROUGH)
