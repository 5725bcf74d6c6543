"""What a task of tcp_settings answers: as its documentation says, for every state."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from fake_host import asking
from module_utils import changeset, task
from module_utils.errors import Failed, Stale, UnknownRun

MODULE = Path(__file__).resolve().parents[2] / "plugins/modules/tcp_settings.py"
CONSTANTS = {
    node.targets[0].id: ast.literal_eval(node.value)
    for node in ast.parse(MODULE.read_text()).body
    if isinstance(node, ast.Assign)
}
DEFAULTS = {name: option.get("default") for name, option in CONSTANTS["ARGUMENTS"].items()}
SOMAXCONN = "net.core.somaxconn"


def answer(fake, check=False, diff=False, **params):
    return task.answer(fake, {**DEFAULTS, **params}, check=check, diff=diff)


def test_every_value_of_every_answer_is_documented_and_every_documented_one_is_answered(fake):
    settings = {SOMAXCONN: "1024"}
    answers = [
        answer(fake, run="r1", settings=settings, persist=True, diff=True),
        answer(fake, state="extended", run="r1", revert_after_s=60),
        answer(fake, state="status", run="r1"),
        answer(fake, state="confirmed", run="r1"),
        answer(fake, state="rolled_back", run="r1"),
    ]
    with pytest.raises(Stale) as stale:
        answer(fake, settings=settings, before={SOMAXCONN: "7"})
    answers.append(task.refusal(stale.value, None))

    # Ansible adds its own, such as msg.
    assert {name for one in answers for name in one} - {"changed", "msg"} == set(yaml.safe_load(CONSTANTS["RETURN"]))
    assert [one["host_state"] for one in answers] == ["held", "held", "held", "confirmed", "rolled_back", None]
    assert answers[-1]["stale_reason"] == f"{SOMAXCONN} is no longer 7: it is 4096"


def test_a_check_answers_as_the_act_does_and_shows_no_diff_unless_asked(fake):
    params = {"settings": {SOMAXCONN: "1024"}, "persist": True, "confirm": True, "run": "r1"}
    told = answer(fake, check=True, **params)
    done = answer(fake, **params)

    assert told == done
    assert "diff" not in done


def test_who_overrules_ours_and_what_was_left_are_answered_and_told(fake):
    fake.file("/etc/sysctl.conf").write_text("net.core.somaxconn = 7\n")
    found = answer(fake, settings={SOMAXCONN: "1024"}, persist=True, confirm=True)
    assert [one["path"] for one in found["shadowed"]] == ["/etc/sysctl.conf"]
    assert fake.warnings == ["/etc/sysctl.conf:1 overrules our file: the next boot gives net.core.somaxconn = 7"]

    fake.set(SOMAXCONN, "555")
    left = answer(fake, state="rolled_back", run=found["run"])
    assert left["changed_since"] == [SOMAXCONN]
    assert f"{SOMAXCONN} was left alone: it is 555, the run had left 1024 there" in fake.warnings


def test_a_failure_names_the_run_that_it_is_about(fake):
    run = changeset.apply(fake, asking()).run
    with pytest.raises(UnknownRun) as unknown:
        answer(fake, state="confirmed", run="other")

    assert task.refusal(unknown.value, "given")["run"] == "other"
    assert answer(fake, state="status")["runs"][0]["run"] == run


def test_records_that_cannot_be_read_are_told_by_name(fake):
    runs = Path(fake.runs.folder)
    runs.parent.mkdir(parents=True)
    runs.symlink_to(runs)

    with pytest.raises(Failed, match=f"{runs}: Too many levels of symbolic links"):
        answer(fake, state="status")
