"""tcp_facts and tcp_audit as Ansible runs them: the facts are those of the command line, and so is the verdict."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from tcptune.adapters.files import FactsHeader, read_facts
from tcptune.domain.facts import HostFacts
from tests.collection.copies import FOLDER, ROOT, expected
from tests.collection.jail import jail
from tests.collection.play import answers, project, shell
from tests.plugins.namespaces import needs_namespaces
from tests.unit.probes.test_golden import SAMPLES

FACTS: dict[str, Any] = {"tcptune.linux.tcp_facts": {}}
SOMAXCONN = "net.core.somaxconn"


def audit(**arguments: Any) -> dict[str, Any]:
    return {"tcptune.linux.tcp_audit": {"profile": "profile.yml", **arguments}}


def test_the_copies_are_those_of_the_package() -> None:
    found = {path: path.read_text() for path in FOLDER.rglob("*.py")}

    assert found == expected(), "python -m tests.collection.copies"


def pythons() -> list[str]:
    """Return this Python, and the oldest that an ansible-core of ours runs on, where this machine has it."""
    older = [*Path("~/.pyenv/versions").expanduser().glob("3.10.*/bin/python"), shutil.which("python3.10")]
    return [sys.executable, *[str(path) for path in older if path and "shims" not in str(path)][:1]]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_runs_on_a_controller_is_python_3_10(path: Path) -> None:
    # What later versions added to the library is found by the next test, where there is such a Python.
    ast.parse(path.read_text(), feature_version=(3, 10))


@pytest.mark.parametrize("python", pythons(), ids=lambda path: Path(path).resolve().name)
def test_the_copied_parsers_understand_every_sample_as_the_package_does(tmp_path: Path, python: str) -> None:
    """In a Python of its own, that finds neither pydantic nor the package."""
    collection = tmp_path / "ansible_collections/tcptune/linux"
    shutil.copytree(ROOT / "plugins", collection / "plugins")
    code = """
import json, sys
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes import PROBES
from ansible_collections.tcptune.linux.plugins.plugin_utils.stand_in import plain
assert "pydantic" not in sys.modules and "tcptune" not in sys.modules
found = {}
for path in json.load(sys.stdin):
    lines = [line for line in open(path, "rb").read().decode().split("\\n") if line]
    found[path] = plain(PROBES[path.split("/")[-2]].parse(lines))
json.dump(found, sys.stdout)
"""
    done = subprocess.run(
        [python, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        input=json.dumps([str(path) for path in SAMPLES]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    found = json.loads(done.stdout)
    assert len(found) == len(SAMPLES) > 50
    for path in SAMPLES:
        golden = path.with_suffix(".json").read_text()
        assert json.dumps(found[str(path)]) == json.dumps(json.loads(golden)), path


def test_a_controller_that_lacks_the_package_is_told_why(tmp_path: Path) -> None:
    collection = tmp_path / "ansible_collections/tcptune/linux"
    shutil.copytree(ROOT / "plugins", collection / "plugins")
    code = (
        "from ansible_collections.tcptune.linux.plugins.action.tcp_audit import lacking\n"
        "for python in (3, 10), (3, 11): print(*lacking('tcp_audit', 'No module', python), sep=' | ')"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    why = "tcp_audit needs the Python package tcptune beside Ansible on the controller"

    assert told == [
        f"{why}, and that needs Python 3.11; here it is 3.10 | run Ansible with a later Python",
        f"{why}: No module | pip install tcptune, into the environment of ansible-playbook",
    ]


PROFILE = """
profile: house
summary: for a test
settings:
  net.core.somaxconn: {at_least: 8192, why: bursts, source: house rule}
  net.ipv4.tcp_syncookies: {exactly: 1, why: floods, source: house rule}
"""


@pytest.mark.lab
@needs_namespaces
class TestOnThisMachine:
    """In a namespace of its own, over Ansible's local connection."""

    @pytest.mark.parametrize("pipelining", ["True", "False"])
    def test_the_facts_are_a_line_of_a_facts_file(self, tmp_path: Path, pipelining: str) -> None:
        folder = project(tmp_path, config=f"pipelining = {pipelining}\n")
        (plain, some, wrong) = answers(
            folder,
            FACTS,
            {"tcptune.linux.tcp_facts": {"keys": [SOMAXCONN, "net/core/no_such_key"]}, "check_mode": True},
            {"tcptune.linux.tcp_facts": {"keys": ["net.ipv4.tcp_fastopen_key"]}},
        )
        said = plain["ansible_facts"]["tcptune"]
        facts = HostFacts.model_validate(said)

        assert (plain["changed"], facts.host, facts.sysctl[SOMAXCONN].state) == (False, "web1", "value")
        assert json.loads(to_json(facts)) == said
        assert set(facts.gaps) <= {"runs"}
        assert {key: one["state"] for key, one in some["ansible_facts"]["tcptune"]["sysctl"].items()} == {
            SOMAXCONN: "value",
            "net.core.no_such_key": "absent",
        }
        assert wrong["failed"]
        assert "is a secret" in wrong["msg"]
        kept = tmp_path / "facts.jsonl"
        kept.write_text(f"{FactsHeader(made_at=facts.collected_at).model_dump_json()}\n{json.dumps(said)}\n")
        assert [one.host for one in read_facts(kept)] == ["web1"]

    def test_a_shell_that_says_nothing_is_a_host_that_was_not_read(self, tmp_path: Path) -> None:
        folder = project(tmp_path, config="pipelining = True\n")
        broken = tmp_path / "broken"
        broken.write_text("#!/bin/sh\necho no such user >&2; exit 3\n")
        broken.chmod(0o755)
        # The local connection hands the command to this shell.
        through = {"vars": {"ansible_shell_executable": str(broken)}}
        (facts, verdict) = answers(
            folder,
            {**FACTS, **through},
            {**audit(profile="baseline", fail_on=[]), **through},
            environment={"PYTHONPATH": str(ROOT)},
        )

        assert "web1: the probe said nothing: no such user" in facts["msg"]
        assert (facts["failed"], "ansible_facts" in facts) == (True, False)
        assert (verdict["failed"], verdict["status"], verdict["compliant"]) == (True, "unread", False)

    def test_a_host_without_python_is_read_in_a_root_of_its_own(self, tmp_path: Path) -> None:
        """As the chroot connection does it: every command goes through chroot, into a folder with busybox alone."""
        root = jail(tmp_path, "net.core.somaxconn = 77\n")
        folder = project(tmp_path, f"jail ansible_connection=lab_chroot ansible_host={root}\n")
        (found,) = answers(folder, FACTS)
        facts = HostFacts.model_validate(found["ansible_facts"]["tcptune"])

        assert [(file.path, file.content) for file in facts.sysctl_files] == [
            ("/etc/sysctl.d/99-tcptune.conf", "net.core.somaxconn = 77\n")
        ]
        assert facts.sysctl[SOMAXCONN].state == "value"

    def test_the_verdict_is_that_of_the_command_line(self, tmp_path: Path) -> None:
        folder = project(tmp_path)
        (folder / "profile.yml").write_text(PROFILE)
        (read, failing, looking, again) = answers(
            folder,
            FACTS,
            audit(),
            {**audit(fail_on=[]), "check_mode": True},
            audit(facts="{{ ansible_facts.tcptune }}", fail_on=[]),
            environment={"PYTHONPATH": str(ROOT)},
        )
        facts = tmp_path / "facts.jsonl"
        host = HostFacts.model_validate(read["ansible_facts"]["tcptune"])
        facts.write_text(f"{FactsHeader(made_at=host.collected_at).model_dump_json()}\n{host.model_dump_json()}\n")
        command = [sys.executable, "-m", "tcptune", "audit", str(folder / "profile.yml"), "--facts", str(facts)]
        told = subprocess.run(
            [*command, "--format", "json"], cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ}
        )

        assert again["audit"] == json.loads(told.stdout)["hosts"][0]
        assert told.returncode == 10
        assert looking["status"] == "deviation"
        assert (looking.get("failed", False), looking["changed"], looking["compliant"]) == (False, False, False)
        assert failing["failed"]
        assert failing["msg"].startswith("web1 does not meet house; deviation: ")

    def test_a_key_that_could_not_be_read_is_never_compliant(self, tmp_path: Path) -> None:
        folder = project(tmp_path)
        (folder / "profile.yml").write_text(PROFILE)
        unreadable = "{'net.core.somaxconn': {'state': 'unreadable'}}"
        said = "ansible_facts.tcptune"
        closed = f"{{{{ {said} | combine({{'sysctl': {said}.sysctl | combine({unreadable})}}) }}}}"
        (_, found, strict, wrong) = answers(
            folder,
            FACTS,
            audit(facts=closed, fail_on=["deviation"]),
            audit(facts=closed, fail_on=["unknown"]),
            audit(facts={"host": "web1"}),
            environment={"PYTHONPATH": str(ROOT)},
        )

        assert (found["status"], found["compliant"], found["unknown"]) == ("unknown", False, [SOMAXCONN])
        assert strict["failed"]
        assert (wrong["failed"], wrong["status"]) == (True, "unread")
        assert "facts: collected_at: Field required" in wrong["msg"]

    def test_every_mistake_of_the_task_is_one_message(self, tmp_path: Path) -> None:
        folder = project(tmp_path)
        (folder / "profile.yml").write_text(PROFILE)
        found = answers(
            folder,
            audit(profile="no-such"),
            audit(profile="missing.yml"),
            audit(load={"peak": 5}),
            audit(waivers="none.yml"),
            environment={"PYTHONPATH": str(ROOT)},
        )

        assert [one["failed"] for one in found] == [True] * 4
        for one, said in zip(found, ("no-such", "missing.yml", "no load variable 'peak'", "none.yml"), strict=True):
            assert said in one["msg"]
            assert "Traceback" not in one["msg"]

    def test_without_the_package_there_is_one_clear_message_and_facts_go_on(self, tmp_path: Path) -> None:
        folder = project(tmp_path)
        # A package of that name that holds nothing of ours, before all others.
        (tmp_path / "empty/tcptune").mkdir(parents=True)
        (tmp_path / "empty/tcptune/__init__.py").write_text("")
        (read, refused) = answers(
            folder, FACTS, audit(profile="baseline"), environment={"PYTHONPATH": str(tmp_path / "empty")}
        )

        assert not read.get("failed", False)
        assert (refused["failed"], refused["status"]) == (True, "unread")
        assert "needs the Python package tcptune beside Ansible on the controller" in refused["msg"]
        assert "pip install tcptune" in refused["msg"]

    def test_what_is_set_in_one_task_is_what_the_facts_show(self, tmp_path: Path) -> None:
        folder = project(tmp_path)
        change = {"settings": {SOMAXCONN: "1025"}, "persist": True, "confirm": True}
        (_, found, _) = answers(folder, {"tcptune.linux.tcp_settings": change}, FACTS, shell("true"))
        said = found["ansible_facts"]["tcptune"]

        assert said["sysctl"][SOMAXCONN]["text"] == "1025"
        assert any("net.core.somaxconn = 1025" in file["content"] for file in said["sysctl_files"])
