"""Options of tcp_settings that say nothing with a state: refused, in the words of one table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from module_utils import options
from module_utils.errors import Refused

ROOT = Path(__file__).resolve().parents[2]
CONSTANTS = {
    node.targets[0].id: ast.literal_eval(node.value)
    for node in ast.parse((ROOT / "plugins/modules/tcp_settings.py").read_text()).body
    if isinstance(node, ast.Assign)
}
ARGUMENTS = CONSTANTS["ARGUMENTS"]
DEFAULTS = {name: option.get("default") for name, option in ARGUMENTS.items()}
GIVEN = {
    "settings": {"net.core.somaxconn": "1024"},
    "before": {"net.core.somaxconn": "128"},
    "files": [{"path": "/etc/sysctl.d/99-tcptune.conf", "content": "", "before_sha256": None}],
    "exclusive_header": "# ours",
    "persist": True,
    "confirm": True,
    "keys": ["net.core.somaxconn"],
    "revert_after_s": 60,
    "writers": {"net.core.somaxconn": "someone"},
    "keep_runs": 5,
    "force_keys": ["net.core.somaxconn"],
    "fence": True,
}


def refuse_idle(**params):
    options.refuse_idle({**DEFAULTS, **params}, ARGUMENTS)


def test_the_table_has_every_option_and_every_state():
    assert set(options.STATES) == set(GIVEN) == set(ARGUMENTS) - {"state", "run"}
    assert {state for states in options.STATES.values() for state in states} <= set(ARGUMENTS["state"]["choices"])


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("state", ARGUMENTS["state"]["choices"])
def test_an_option_is_taken_by_its_states_and_refused_by_the_others(state, name):
    if state in options.STATES[name]:
        refuse_idle(state=state, **{name: GIVEN[name]})
    else:
        with pytest.raises(Refused) as refused:
            refuse_idle(state=state, **{name: GIVEN[name]})
        assert refused.value.message == f"state={state} has no use for {name}"
        states = " or ".join(options.STATES[name])
        assert refused.value.hint == f"leave it out: {name} belongs to state={states}"


def test_all_of_them_are_in_one_message():
    with pytest.raises(Refused) as refused:
        refuse_idle(state="confirmed", run="r1", persist=True, keys=["a"], revert_after_s=0)

    assert refused.value.message == "state=confirmed has no use for persist, keys, revert_after_s"
    assert refused.value.hint == (
        "leave them out: persist belongs to state=applied; keys belongs to state=absent; "
        "revert_after_s belongs to state=applied or extended or absent"
    )


@pytest.mark.parametrize("state", ARGUMENTS["state"]["choices"])
def test_what_is_left_out_or_empty_or_as_by_default_is_not_given(state):
    refuse_idle(state=state)
    refuse_idle(**{**dict.fromkeys(GIVEN), "state": state})
    refuse_idle(state=state, keys=[""], force_keys=[""], settings={}, files=[], persist=False, keep_runs=20)


@pytest.mark.parametrize("name", GIVEN)
def test_the_documentation_says_of_each_option_which_states_use_it(name):
    told = yaml.safe_load(CONSTANTS["DOCUMENTATION"])["options"][name]["description"]
    (used,) = [line for line in told if line.startswith("Used with")]

    assert {*re.findall(r"O\(state=(\w+)\)", used)} == {*options.STATES[name]}


def test_the_role_hands_on_an_option_with_its_states_alone():
    (task,) = [
        task
        for task in yaml.safe_load((ROOT / "roles/tcp_settings/tasks/main.yml").read_text())
        if "tcptune.linux.tcp_settings" in task
    ]
    handed = task["tcptune.linux.tcp_settings"]

    assert set(handed) == set(ARGUMENTS)
    for name, states in options.STATES.items():
        asked = re.search(r" if tcp_settings_state (?:== ('\w+')|in (\[.*?\])) else omit }}$", handed[name])
        assert asked is not None, name
        found = ast.literal_eval(asked.group(1) or asked.group(2))
        assert {*([found] if isinstance(found, str) else found)} == {*states}, name
