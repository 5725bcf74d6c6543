"""Every way to root: directly, by sudo without a password, and by sudo with one from wherever it may come."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Said, Tcptune
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import ALLOWED, DROPIN, PROFILE, WANTED, Machine
from tests.acceptance.watch import Watch
from tests.lab import Lab

pytestmark = pytest.mark.lab

PASSWORD = "correct {{ Horse }} 'battery' $7"  # of a user who lives as long as a test

Run = Callable[..., Said]


class Fleet:
    """One machine, an inventory for it, and how a test runs commands there."""

    def __init__(self, tcptune: Tcptune, lab: Lab, machine: Machine) -> None:
        self.tcptune = tcptune
        self.lab = lab
        self.machine = machine
        self.shown = ""
        """What the terminal has shown."""

    def inventory(self, **variables: Any) -> Path:
        known = f"-o UserKnownHostsFile={self.lab.known_hosts} -o GlobalKnownHostsFile=/dev/null"
        given = {
            "ansible_host": self.machine.address,
            "ansible_user": "operator",
            "ansible_ssh_private_key_file": str(self.lab.key),
            "ansible_ssh_common_args": known,
            "ansible_python_interpreter": "/usr/bin/python3",
            **variables,
        }
        inventory = {"all": {"hosts": {self.machine.name: None}, "vars": given}}
        return self.tcptune.file("inventory.yml", json.dumps(inventory))

    def ask_for_a_password(self) -> None:
        self.lab.sudo_with_password(self.machine.name, PASSWORD)

    def password_file(self, text: str = f"{PASSWORD}\n", mode: int = 0o600, name: str = "password") -> Path:
        path = self.tcptune.file(name, text)
        path.chmod(mode)
        return path

    def with_options(self, *options: str | Path) -> Run:
        """Run commands with these options behind them."""
        return lambda *words, expect=0: self.tcptune(*words, *options, expect=expect)

    def at_terminal(self, *options: str | Path, answer: str = PASSWORD) -> Run:
        def run(*words: str | Path, expect: int = 0) -> Said:
            said, shown = self.tcptune.at_terminal(*words, *options, answer=answer, expect=expect)
            self.shown += shown
            return said

        return run


@pytest.fixture
def fleet(tcptune: Tcptune, machines: Machines, lab: Lab) -> Fleet:
    [machine] = machines(1)
    return Fleet(tcptune, lab, machine)


def as_root(fleet: Fleet) -> tuple[Path, Run]:
    return fleet.inventory(ansible_user="root"), fleet.with_options()


def without_password(fleet: Fleet) -> tuple[Path, Run]:
    return fleet.inventory(ansible_become=True), fleet.with_options()


def without_password_and_with_become_on_the_command_line(fleet: Fleet) -> tuple[Path, Run]:
    return fleet.inventory(), fleet.with_options("-b")


def with_a_password_that_nobody_asks_for(fleet: Fleet) -> tuple[Path, Run]:
    source = fleet.inventory(ansible_become=True)
    return source, fleet.with_options("--become-password-file", fleet.password_file())


def from_the_inventory(fleet: Fleet) -> tuple[Path, Run]:
    fleet.ask_for_a_password()
    source = fleet.inventory(ansible_become=True)
    password = f"!unsafe {json.dumps(PASSWORD)}"
    secrets = fleet.tcptune.file("secrets.yml", f"all: {{vars: {{ansible_become_password: {password}}}}}\n")
    return source, fleet.with_options("-i", source, "-i", secrets)


def from_a_file(fleet: Fleet) -> tuple[Path, Run]:
    fleet.ask_for_a_password()
    source = fleet.inventory(ansible_become=True)
    return source, fleet.with_options("--become-password-file", fleet.password_file())


def from_a_file_with_become_on_the_command_line_and_the_inventory_every_time(fleet: Fleet) -> tuple[Path, Run]:
    fleet.ask_for_a_password()
    source = fleet.inventory()
    return source, fleet.with_options("-b", "--become-password-file", fleet.password_file(), "-i", source)


def from_a_program(fleet: Fleet) -> tuple[Path, Run]:
    fleet.ask_for_a_password()
    fleet.password_file()
    program = fleet.password_file(f"#!/bin/sh\ncat {fleet.tcptune.file('password')}\n", 0o755, "program")
    return fleet.inventory(ansible_become=True), fleet.with_options("--become-password-file", program)


def by_a_sudo_with_a_pty_of_its_own_and_a_lecture(fleet: Fleet) -> tuple[Path, Run]:
    """Debian's sudoers has `use_pty`."""
    fleet.ask_for_a_password()
    defaults = "Defaults use_pty, lecture=always, timestamp_timeout=0"
    fleet.machine.write("/etc/sudoers.d/operator", f"{defaults}\noperator ALL=(ALL:ALL) ALL\n", "0440")
    return fleet.inventory(ansible_become=True), fleet.with_options("--become-password-file", fleet.password_file())


def from_the_prompt(fleet: Fleet) -> tuple[Path, Run]:
    fleet.ask_for_a_password()
    return fleet.inventory(ansible_become=True), fleet.at_terminal("-K")


@pytest.mark.parametrize(
    "way",
    [
        as_root,
        without_password,
        without_password_and_with_become_on_the_command_line,
        with_a_password_that_nobody_asks_for,
        from_the_inventory,
        from_a_file,
        from_a_file_with_become_on_the_command_line_and_the_inventory_every_time,
        from_a_program,
        by_a_sudo_with_a_pty_of_its_own_and_a_lecture,
        from_the_prompt,
    ],
)
def test_the_whole_way_there_and_back(fleet: Fleet, way: Callable[[Fleet], tuple[Path, Run]]) -> None:
    source, run = way(fleet)
    machine, plan, facts = fleet.machine, fleet.tcptune.file("plan.json"), fleet.tcptune.file("facts.jsonl")
    before = machine.state()
    # Where the password has to be written down by its owner, is none of our doing.
    watch = Watch(PASSWORD, fleet.tcptune.work, fleet.tcptune.home)
    said = []

    with watch.watching():
        said.append(run("facts", "-i", source, "-o", facts))
        said.append(run("plan", PROFILE, "-i", source, "-o", plan, expect=10))
        said.append(run("apply", plan, *ALLOWED))
        assert machine.values() == WANTED
        said.append(run("extend", "last", "20m"))
        said.append(run("confirm", "last"))
        assert "net.core.somaxconn = 8192" in machine.read(DROPIN)
        said.append(run("verify", "last"))
        said.append(run("doctor"))
        said.append(run("rollback", "last"))

    assert json.loads(facts.read_text().splitlines()[1])["system"]["user"] == "0"
    assert machine.state() == before
    assert watch.looks > 20
    assert watch.seen == set()
    kept = [facts, plan, fleet.tcptune.journal]
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]
    assert not [one for one in [*said, fleet.shown] if PASSWORD in str(one)]
    assert machine.run("sh", "-c", 'grep -rlsF -e "$0" /etc /var /root /home /tmp /run || true', PASSWORD) == ""


def test_a_host_with_a_password_of_its_own_is_not_told_the_prompts(
    tcptune: Tcptune, machines: Machines, lab: Lab
) -> None:
    one, other = machines(2)
    lab.sudo_with_password(one.name, PASSWORD)
    lab.sudo_with_password(other.name, "another")
    before = one.state(), other.state()
    own = {one.name: {}, other.name: {"ansible_become_password": "another"}}
    secrets = tcptune.file("secrets.yml", json.dumps({"all": {"hosts": own}}))
    fleet = ("-i", lab.inventory, "-i", secrets)
    plan = tcptune.file("plan.json")

    def run(*words: str | Path, expect: int = 0) -> None:
        tcptune.at_terminal(*words, *fleet, "-K", answer=PASSWORD, expect=expect)

    run("plan", PROFILE, "--limit", f"{one.name},{other.name}", "-o", plan, expect=10)
    run("apply", plan, *ALLOWED)
    assert one.values() == other.values() == WANTED
    run("rollback", "last")

    assert (one.state(), other.state()) == before
