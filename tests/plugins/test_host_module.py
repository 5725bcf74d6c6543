"""The module, the role and the playbooks, as Ansible runs them, on real settings in a namespace of their own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from fake_host import EVERY_KIND, MISSING, UNIT, sha256
from namespaces import elsewhere, needs_namespaces

pytestmark = [pytest.mark.lab, needs_namespaces]

ROOT = Path(__file__).resolve().parents[2]
DROPIN = "/etc/sysctl.d/99-tcptune.conf"
FILES = [{"path": DROPIN, "content": "net.core.somaxconn = 1024\n", "before_sha256": "absent"}]
SETTINGS = {"net.core.somaxconn": "1024", "net.ipv4.tcp_fin_timeout": 30}
VARIABLES = {
    "tcp_settings_run": "run-1",
    "tcp_settings_values": SETTINGS,
    "tcp_settings_before": {"net.core.somaxconn": "4096"},
    "tcp_settings_files": FILES,
}
SOMAXCONN, FIN_TIMEOUT = "/proc/sys/net/core/somaxconn", "/proc/sys/net/ipv4/tcp_fin_timeout"
# Runs each line of the input as a playbook and says what the host shows after it.
_PLAY = f"""
while IFS= read -r line; do
  ansible-playbook $line 2>&1 </dev/null
  echo "@@@ $? $(cat {SOMAXCONN}) $(cat {FIN_TIMEOUT}) $(ls /etc/sysctl.d) $(ls /var/lib)"
done
"""


@pytest.fixture
def project(tmp_path):
    """A rendered project: its own copy of the collection, an inventory, a site.yml."""
    collection = tmp_path / "collections/ansible_collections/tcptune/linux"
    collection.mkdir(parents=True)
    shutil.copy(ROOT / "galaxy.yml", collection)
    for part in ("meta", "playbooks", "plugins", "roles"):
        shutil.copytree(ROOT / part, collection / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "ansible.cfg").write_text(
        "[defaults]\ncollections_path = ./collections\ninventory = hosts\nretry_files_enabled = False\n"
    )
    (tmp_path / "hosts").write_text(f"web1 ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars/web1.yml").write_text(json.dumps(VARIABLES))
    (tmp_path / "site.yml").write_text("---\n- ansible.builtin.import_playbook: tcptune.linux.apply\n")
    return tmp_path


def play(project, *lines):
    """Run playbooks in one new namespace. Return what each printed, and what the host showed after it."""
    done = elsewhere(
        ["sh", "-c", _PLAY],
        cwd=project,
        input="".join(f"{line}\n" for line in lines),
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(project),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
        },
    )
    parts = [part.partition("\n") for part in done.stdout.split("@@@ ")]
    said = [parts[0][0] + "\n" + parts[0][2], *(part[2] for part in parts[1:])]
    shown = [part[0].split() for part in parts[1:]]
    assert len(shown) == len(lines), done.stdout + done.stderr
    return list(zip(said, shown, strict=False))


def answers(project, *tasks):
    """Run the tasks one after the other. Return what each answered, failures too."""
    listed = [
        dict({"name": f"Task {at}", "register": f"task_{at}", "ignore_errors": True}, **task)
        for at, task in enumerate(tasks)
    ]
    kept = "{{ [" + ", ".join(f"task_{at}" for at in range(len(tasks))) + "] }}"
    listed.append({"ansible.builtin.copy": {"dest": str(project / "answers"), "content": kept, "mode": "0600"}})
    plays = [{"hosts": "all", "gather_facts": False, "tasks": listed}]
    (project / "tasks.yml").write_text(json.dumps(plays))
    ((said, shown),) = play(project, "tasks.yml")
    assert shown[0] == "0", said
    return json.loads((project / "answers").read_text())


def settings(mode="", **arguments):
    task = {"tcptune.linux.tcp_settings": {"run": "run-1", **arguments}}
    if "check" in mode:
        task["check_mode"] = True
    if "diff" in mode:
        task["diff"] = True
    return task


def shell(command):
    return {"ansible.builtin.shell": {"cmd": command}}


def test_check_mode_shows_before_and_after_and_changes_nothing(project):
    ((said, shown),) = play(project, "site.yml --check --diff")

    assert shown == ["0", "4096", "60"]
    for line in (
        "--- before: runtime",
        "-net.core.somaxconn = 4096",
        "+net.core.somaxconn = 1024",
        "-net.ipv4.tcp_fin_timeout = 60",
        "+net.ipv4.tcp_fin_timeout = 30",
        f"+++ after: {DROPIN} (written on confirm)",
    ):
        assert line in said.splitlines()
    assert "changed=1" in said


def test_each_step_is_a_playbook_of_the_collection(project):
    story = play(project, "site.yml", "tcptune.linux.confirm", "tcptune.linux.rollback")

    assert [shown for _, shown in story] == [
        ["0", "1024", "30", "tcptune"],
        ["0", "1024", "30", "99-tcptune.conf", "tcptune"],
        ["0", "4096", "60", "tcptune"],
    ]
    assert ["changed=1" in said for said, _ in story] == [True] * 3


def test_the_module_goes_there_and_back_and_each_step_may_be_repeated(project):
    apply = {"settings": SETTINGS, "before": {"net.core.somaxconn": "4096"}, "files": FILES}
    back = {"state": "rolled_back"}
    found = answers(
        project,
        settings("check", **apply),
        settings(**apply),
        settings(**apply),
        settings("check diff", state="confirmed"),
        settings(state="confirmed"),
        settings(state="confirmed"),
        shell(f"echo 33 > {FIN_TIMEOUT}"),
        settings("check", **back),
        settings(**back),
        settings(**back),
        settings("diff", **back, force_keys=["net.ipv4.tcp_fin_timeout"]),
        shell(f"cat {SOMAXCONN} {FIN_TIMEOUT}; ls /etc/sysctl.d"),
    )

    assert [answer["changed"] for answer in found[:6]] == [True, True, False, True, True, False]
    assert [answer["changed"] for answer in found[7:11]] == [True, True, False, True]
    assert found[0] == found[1]
    assert {name: found[1][name] for name in ("host_state", "run", "previous", "stale")} == {
        "host_state": "held",
        "run": "run-1",
        "previous": {"net.core.somaxconn": "4096", "net.ipv4.tcp_fin_timeout": "60"},
        "stale": False,
    }
    assert found[2]["previous"] == found[1]["previous"]
    assert found[3]["diff"][1]["after_header"] == DROPIN
    assert found[4]["host_state"] == "confirmed"
    assert found[7] == found[8]
    assert found[8]["changed_since"] == ["net.ipv4.tcp_fin_timeout"]
    assert found[8]["left"] == [
        {"name": "net.ipv4.tcp_fin_timeout", "expected": "30", "found": "33", "before": "60"},
    ]
    assert "net.ipv4.tcp_fin_timeout was left alone: it is 33" in found[8]["warnings"][0]
    assert found[10]["diff"][0]["before"] == "net.ipv4.tcp_fin_timeout = 33\n"
    assert found[11]["stdout"].split() == ["4096", "60"]


def test_files_of_every_kind_are_predicted_shown_written_and_taken_back(project):
    files = [{"path": path, "content": text, "before_sha256": "absent"} for path, text in EVERY_KIND.items()]
    apply = {"settings": SETTINGS, "files": files}
    # Something of each folder, and the folder itself.
    look = "cd /etc && find modules-load.d security systemd/system sysctl.d -name '*tcptune*' -o -name 'web*'"
    folder = MISSING[1]
    found = answers(
        project,
        settings("check diff", **apply),
        settings("diff", **apply),
        settings("check diff", state="confirmed"),
        settings("diff", state="confirmed"),
        shell(f"stat -c %a '{folder}'; cat '{UNIT}'"),
        settings("check diff", state="rolled_back"),
        settings("diff", state="rolled_back"),
        shell(look),
        settings(**{**apply, "run": "run-2"}),
        settings(run="run-2", state="confirmed"),
        shell(f"touch '{folder}/theirs'"),
        settings(run="run-2", state="rolled_back"),
        settings(run="run-3", files=[{"path": UNIT, "content": "[Service]\nExecStart=/bin/sh\n"}]),
        shell("ls /var/lib/tcptune/runs"),
    )
    written = [
        {"path": path, "before_sha256": "absent", "after_sha256": sha256(text)} for path, text in EVERY_KIND.items()
    ]

    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[5] == found[6]
    assert found[1]["files"] == found[3]["files"] == written
    assert found[1]["folders"] == found[3]["folders"] == [folder]
    assert [one["after_header"] for one in found[1]["diff"][1:]] == [
        f"{path} (written on confirm)" for path in EVERY_KIND
    ]
    assert [(one["after_header"], one["before"], one["after"]) for one in found[3]["diff"][1:]] == [
        (path, "", text) for path, text in EVERY_KIND.items()
    ]
    assert found[4]["stdout"] == "755\n" + EVERY_KIND[UNIT].rstrip()
    assert [one["after_sha256"] for one in found[6]["files"]] == ["absent"] * 4
    assert found[6]["folders"] == [folder]
    assert "warnings" not in found[6]
    assert found[7]["stdout"] == ""
    assert found[11]["folders"] == []
    assert found[11]["warnings"] == [f"{folder} was made by run run-2 and stays: it is not empty"]
    assert (found[12]["failed"], found[12]["failure"]["kind"]) == (True, "refused")
    assert "line 2 is not LimitNOFILE=SOFT[:HARD]: 'ExecStart=/bin/sh'" in found[12]["msg"]
    assert found[13]["stdout"].split() == ["run-1", "run-2"]


def test_a_failure_can_be_read_by_a_program_and_leaves_the_host_as_it_was(project):
    stale = {"settings": SETTINGS, "before": {"net.core.somaxconn": "128"}}
    too_big = {"settings": {"net.core.somaxconn": "5", "net.ipv4.tcp_fin_timeout": "9999999999"}}
    found = answers(
        project,
        settings(**stale),
        settings("check", **stale),
        settings(settings={"net.core.somaxconn": True}),
        settings(settings={"net.core.nosuch": "1"}),
        settings(state="rolled_back"),
        shell("ls /var/lib"),
        settings(**too_big),
        shell(f"cat {SOMAXCONN} {FIN_TIMEOUT}"),
    )

    assert [found[at]["failed"] for at in (0, 1, 2, 3, 4, 6)] == [True] * 6
    assert found[0] == found[1]
    assert (found[0]["stale"], found[0]["host_state"], found[0]["changed"]) == (True, None, False)
    assert found[0]["stale_reason"] == "net.core.somaxconn is no longer 128: it is 4096"
    assert found[0]["failure"] == {
        "kind": "stale",
        "message": found[0]["stale_reason"],
        "hint": "plan again",
        "key": "net.core.somaxconn",
        "expected": "128",
        "found": "4096",
    }
    assert [found[at]["failure"]["kind"] for at in (2, 3, 4, 6)] == ["refused", "absent", "unknown_run", "io"]
    assert "YAML boolean" in found[2]["msg"]
    assert found[5]["stdout"] == ""
    assert (found[6]["host_state"], found[6]["changed"], found[6]["failure"]["errno"]) == ("rolled_back", False, 22)
    assert found[7]["stdout"].split() == ["4096", "60"]


def test_the_host_takes_back_by_itself_what_nobody_confirms(project):
    apply = {"settings": SETTINGS, "files": FILES, "revert_after_s": 60}
    found = answers(
        project,
        settings("check", **apply),
        settings(**apply),
        settings(state="extended", revert_after_s=300),
        settings(state="extended", revert_after_s=30),
        settings(state="status"),
        settings(state="rolled_back"),
        settings(**{**apply, "run": "run-2", "revert_after_s": 1}),
        shell(f"sleep 4; cat {SOMAXCONN} {FIN_TIMEOUT}"),
        settings(run="run-2", state="confirmed"),
        settings(run=None, state="status"),
        settings(state="extended"),
    )
    checked, applied, longer, shorter, told, _, again, shown, late, runs, incomplete = found

    assert (checked["timer"], checked["deadline"], checked["seconds_left"]) == ("process", None, 60)
    assert (applied["host_state"], applied["timer"]) == ("held", "process")
    assert 50 < applied["seconds_left"] <= 61
    assert applied["deadline"].endswith("Z")
    assert (longer["changed"], longer["host_state"]) == (True, "held")
    assert 290 < longer["seconds_left"] <= 301
    assert longer["deadline"] > applied["deadline"]
    assert (shorter["changed"], shorter["deadline"]) == (False, longer["deadline"])
    assert told["changed"] is False
    assert (told["record"]["ends"], told["record"]["timer"]["alive"]) == (None, True)
    assert [key["now"] for key in told["record"]["keys"]] == ["1024", "30"]
    assert again["host_state"] == "held"
    assert shown["stdout"].split() == ["4096", "60"]
    assert (late["failed"], late["host_state"], late["failure"]["kind"]) == (True, "reverted", "refused")
    assert "its time was over" in late["msg"]
    assert [(run["run"], run["host_state"]) for run in runs["runs"]] == [
        ("run-1", "rolled_back"),
        ("run-2", "reverted"),
    ]
    assert runs["busy"] is None
    assert "revert_after_s" in incomplete["msg"]


def test_the_role_hands_the_time_on_and_a_playbook_gives_more(project):
    (said, shown), (more, _), (back, restored) = play(
        project,
        "site.yml -e tcp_settings_revert_after_s=600",
        "tcptune.linux.extend -e tcp_settings_revert_after_s=900",
        "tcptune.linux.rollback",
    )

    assert shown == ["0", "1024", "30", "tcptune"]
    assert ("changed=1" in said, "changed=1" in more, "changed=1" in back) == (True, True, True)
    assert restored == ["0", "4096", "60", "tcptune"]


def test_an_option_that_says_nothing_with_the_state_is_refused_and_one_that_is_left_out_is_not(project):
    omitted = "{{ omit }}"
    found = answers(
        project,
        settings(settings=SETTINGS, keys=["net.core.somaxconn"]),
        settings("check", state="absent", keys=["net.core.somaxconn"], settings=SETTINGS, persist=True),
        shell("ls /var/lib"),
        settings(settings=SETTINGS, keys=[], force_keys="", fence=False, revert_after_s=None),
        settings(state="confirmed", settings={}, persist=omitted, revert_after_s=omitted, keep_runs=20),
        settings(state="rolled_back", revert_after_s=60),
        settings(state="status", confirm=True),
        shell(f"cat {SOMAXCONN} {FIN_TIMEOUT}"),
    )
    applied, absent, records, held, confirmed, back, status, shown = found

    assert [one["failure"]["kind"] for one in (applied, absent, back, status)] == ["refused"] * 4
    assert applied["msg"] == ("state=applied has no use for keys (try: leave it out: keys belongs to state=absent)")
    assert absent["failure"]["message"] == "state=absent has no use for settings, persist"
    assert back["failure"]["message"] == "state=rolled_back has no use for revert_after_s"
    assert status["failure"]["message"] == "state=status has no use for confirm"
    assert records["stdout"] == ""
    assert (held["host_state"], confirmed["host_state"]) == ("held", "confirmed")
    assert shown["stdout"].split() == ["1024", "30"]


def test_the_role_goes_through_every_state_with_an_inventory_that_has_variables_of_all(project):
    everything = {
        **VARIABLES,
        "tcp_settings_writers": {"net.core.somaxconn": "somebody"},
        "tcp_settings_revert_after_s": 600,
        "tcp_settings_force_keys": ["net.core.somaxconn"],
        "tcp_settings_keys": ["net.core.somaxconn"],
        "tcp_settings_keep_runs": 5,
        "tcp_settings_fence": True,
    }
    (project / "host_vars/web1.yml").write_text(json.dumps(everything))
    role = {"role": "tcptune.linux.tcp_settings"}
    (project / "role.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [role]}]))
    states = ["applied", "status", "extended", "confirmed", "rolled_back"]
    lines = [f"role.yml -e tcp_settings_state={state}" for state in states]
    story = play(project, *lines, "role.yml -e tcp_settings_state=absent -e tcp_settings_run=run-2")

    assert [shown[:3] for _, shown in story] == [
        *[["0", "1024", "30"]] * 4,
        *[["0", "4096", "60"]] * 2,
    ], [said for said, _ in story]
