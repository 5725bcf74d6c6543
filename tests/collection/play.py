"""Playbooks over a copy of the collection, as it is installed elsewhere: nothing else of the checkout is in reach."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.collection.copies import ROOT
from tests.plugins.namespaces import elsewhere

_BIN = Path(sys.executable).parent


def project(folder: Path, inventory: str = "", config: str = "") -> Path:
    """Make a project with a copy of the collection; by default its one host is this machine."""
    collection = folder / "collections/ansible_collections/tcptune/linux"
    collection.mkdir(parents=True)
    shutil.copy(ROOT / "galaxy.yml", collection)
    for part in ("meta", "plugins"):
        shutil.copytree(ROOT / part, collection / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "ansible.cfg").write_text(
        f"[defaults]\ncollections_path = ./collections\ninventory = hosts\nretry_files_enabled = False\n{config}"
    )
    local = f"web1 ansible_connection=local ansible_python_interpreter={sys.executable}\n"
    (folder / "hosts").write_text(inventory or local)
    return folder


def answers(
    folder: Path,
    *tasks: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    words: Sequence[str] = (),
    here: bool = False,
) -> list[dict[str, Any]]:
    """Run the tasks in a namespace of their own, failures too. Return what each answered; with `here`, on this one."""
    listed: list[Mapping[str, Any]] = [
        {"name": f"Task {at}", "register": f"task_{at}", "ignore_errors": True, **task} for at, task in enumerate(tasks)
    ]
    kept = "{{ [" + ", ".join(f"task_{at}" for at in range(len(tasks))) + "] }}"
    copied = {"dest": str(folder / "answers-{{ inventory_hostname }}"), "content": kept, "mode": "0600"}
    listed.append(
        {
            "ansible.builtin.copy": copied,
            "delegate_to": "localhost",
            "become": False,
            "check_mode": False,
            "diff": False,
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        }
    )
    (folder / "tasks.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": listed}]))
    env = {"PATH": f"{_BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    command = [str(_BIN / "ansible-playbook"), "tasks.yml", *words]
    more: dict[str, Any] = {"cwd": folder, "env": {**env, "ANSIBLE_NOCOLOR": "1", **(environment or {})}}
    if here:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)
    else:
        done = elsewhere(command, **more)
    found = sorted(folder.glob("answers-*"))
    assert found, done.stdout + done.stderr
    (folder / "said").write_text(done.stdout)
    return [answer for path in found for answer in json.loads(path.read_text())]


def shell(command: str) -> dict[str, Any]:
    """A task that runs a command of the shell."""
    return {"ansible.builtin.shell": {"cmd": command}}
