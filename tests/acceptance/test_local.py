"""The machine that tcptune itself runs on: no SSH, neither for reading nor for changing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.command import CHECKOUT, Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import ALLOWED, PROFILE, WANTED, Machine
from tests.lab import Lab

pytestmark = pytest.mark.lab

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
# All that running tcptune takes, without what makes an installation big.
PYTHON = ("bin/python*", "lib/libpython*", f"lib/{VERSION}")
NOT_OF_PYTHON = ("site-packages", "test", "idlelib", "tkinter", "ensurepip", "config-*")
ENVIRONMENT = ("bin", "pyvenv.cfg", f"lib/{VERSION}")
PROJECT = ("LICENSE", "galaxy.yml", "meta", "playbooks", "plugins", "roles", "tcptune")


def bring(lab: Lab, machine: Machine, folder: Path, parts: tuple[str, ...], left_out: tuple[str, ...] = ()) -> None:
    """Let `machine` have a folder of this machine where it is here, unless it shows through."""
    found = sorted(str(path.relative_to(folder)) for part in parts for path in folder.glob(part))
    if lab.run(machine.name, ["test", "-e", str(folder / found[0])], check=False).returncode == 0:
        return
    pack = ["tar", "-c", "-C", str(folder), *(f"--exclude={name}" for name in left_out), *found]
    unpack = ["sh", "-c", 'mkdir -p "$1" && tar -x -C "$1"', "sh", str(folder)]
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        subprocess.run(
            lab.command(machine.name, unpack),
            stdin=packing.stdout,
            env=lab.environment,
            capture_output=True,
            check=True,
        )


@pytest.fixture
def inside(tcptune: Tcptune, machines: Machines, lab: Lab) -> tuple[Machine, Tcptune]:
    """Give a machine, and the command as it runs on it."""
    [machine] = machines(1)
    bring(lab, machine, Path(sys.base_prefix), PYTHON, NOT_OF_PYTHON)
    bring(lab, machine, Path(sys.prefix), ENVIRONMENT)
    bring(lab, machine, CHECKOUT, PROJECT)
    command = Tcptune(tcptune.folder, home=Path("/root"))
    # The folders of this machine cannot be written there.
    command.prefix = lab.command(machine.name, [])
    command.environment |= lab.environment | {"TMPDIR": "/tmp", "TCPTUNE_JOURNAL": "sqlite:////root/journal.sqlite"}  # noqa: S108
    lab.stop_sshd(machine.name)
    return machine, command


def a_list() -> str:
    return "localhost,"


def a_file() -> str:
    return "here ansible_connection=local ansible_host=192.0.2.1\n"


@pytest.mark.parametrize("inventory", [a_list, a_file])
def test_this_machine_is_audited_changed_and_restored_without_ssh(
    inside: tuple[Machine, Tcptune], inventory: Callable[[], str]
) -> None:
    machine, tcptune = inside
    source = inventory()
    if inventory is a_file:
        machine.write("/root/hosts.ini", source)
        source = "/root/hosts.ini"
    before = machine.state()

    tcptune("facts", "-i", source)
    tcptune("audit", PROFILE, "-i", source, expect=10)
    tcptune("plan", PROFILE, "-i", source, "-o", "/root/plan.json", expect=10)
    tcptune("apply", "/root/plan.json", "--auto-confirm", *ALLOWED)
    assert machine.values() == WANTED
    tcptune("verify", "last")
    tcptune("audit", PROFILE, "-i", source)
    tcptune("rollback", "last")
    assert machine.state() == before
