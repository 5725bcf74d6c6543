"""The files between commands: what they say depends on the hosts alone, and what was edited is refused."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, SOMAXCONN
from tests.lab import Lab

pytestmark = pytest.mark.lab


def content(plan: Path) -> dict[str, object]:
    return {name: value for name, value in json.loads(plan.read_text()).items() if name != "made_at"}


def test_the_same_hosts_give_the_same_plan(tcptune: Tcptune, machines: Machines, on: On) -> None:
    detuned, *_ = fleet = machines(3)
    detuned.set({SOMAXCONN: "128"})
    once, again, from_facts = (tcptune.file(f"{name}.json") for name in ("once", "again", "from-facts"))
    facts = tcptune.file("facts.jsonl")

    tcptune("plan", PROFILE, *on(*fleet), "-o", once, expect=10)
    tcptune("plan", PROFILE, *on(*reversed(fleet)), "--forks", "1", "-o", again, expect=10)
    tcptune("facts", *on(*fleet), "-o", facts)
    tcptune("plan", PROFILE, "--facts", facts, *on(*fleet), "-o", from_facts, expect=10)

    assert content(again) == content(once)
    assert content(from_facts) == content(once)


def test_an_audit_of_facts_says_what_an_audit_of_hosts_says(tcptune: Tcptune, machines: Machines, on: On) -> None:
    detuned, other = machines(2)
    detuned.set({SOMAXCONN: "128"})
    facts = tcptune.file("facts.jsonl")
    tcptune("facts", *on(detuned, other), "-o", facts)

    for form in ("terminal", "json", "markdown"):
        of_hosts = tcptune("audit", PROFILE, *on(detuned, other), "--format", form, expect=10)
        of_facts = tcptune("audit", PROFILE, "--facts", facts, "--format", form, expect=10)
        assert of_facts.stdout == of_hosts.stdout


def test_a_plan_that_was_edited_is_refused(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    plan.write_text(plan.read_text().replace('"after": "8192"', '"after": "9000"'))
    before = machine.state()

    for command in (("show", plan), ("render", plan, "-d", tcptune.file("project")), ("apply", plan)):
        refused = tcptune(*command, expect=3)
        assert "changed after it was made" in refused.stderr
    assert machine.state() == before


@pytest.mark.parametrize("text", ["", "{}", "[]", "\0", '{"tcptune": "plan", "format_version": 99}', "no json"])
def test_what_is_no_plan_is_refused(tcptune: Tcptune, text: str) -> None:
    for command in ("show", "apply"):
        assert "plan.json" in tcptune(command, tcptune.file("plan.json", text), expect=3).stderr


@pytest.mark.parametrize("text", [None, "this is no database\n" * 100])
def test_without_a_journal_nothing_is_changed(tcptune: Tcptune, machines: Machines, on: On, text: str | None) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    state, traces = machine.state(), machine.traces()
    journal = "/proc/journal.sqlite" if text is None else str(tcptune.file("broken.sqlite", text))

    for command in (("apply", plan, *ALLOWED), ("verify", "last"), ("rollback", "last"), ("runs",)):
        refused = tcptune(*command, expect=1, TCPTUNE_JOURNAL=f"sqlite:///{journal}")
        assert f"{journal} cannot be used" in refused.stderr
        assert "TCPTUNE_JOURNAL" in refused.stderr
    assert (machine.state(), machine.traces()) == (state, traces)


def test_a_journal_that_cannot_be_named_is_explained(tcptune: Tcptune) -> None:
    refused = tcptune("runs", expect=1, TCPTUNE_JOURNAL="no url")

    assert "TCPTUNE_JOURNAL" in refused.stderr


def test_without_a_setting_the_journal_is_in_the_users_state_folder(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    del tcptune.environment["TCPTUNE_JOURNAL"]
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)

    tcptune("apply", plan, *ALLOWED)

    journal = tcptune.home / ".local/state/tcptune/journal.sqlite"
    assert stat.S_IMODE(journal.parent.stat().st_mode) == 0o700
    tcptune("rollback", "last")


@pytest.mark.parametrize("kind", ["device", "pipe", "link"])
def test_output_goes_into_what_is_named_and_does_not_replace_it(
    tcptune: Tcptune, machines: Machines, on: On, kind: str
) -> None:
    [machine] = machines(1)
    named, target = tcptune.file("named"), tcptune.file("target", "before\n")
    reader = None
    if kind == "device":
        os.mknod(named, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # what /dev/null is
    elif kind == "pipe":
        os.mkfifo(named)
        reader = os.open(named, os.O_RDONLY | os.O_NONBLOCK)
    else:
        named.symlink_to(target)
    before = stat.S_IFMT(named.lstat().st_mode)

    tcptune("audit", PROFILE, *on(machine), "-o", named, expect=10)

    assert stat.S_IFMT(named.lstat().st_mode) == before
    if kind == "link":
        assert "1 of 1 host deviate" in target.read_text()
    if reader is not None:
        assert "1 of 1 host deviate" in os.read(reader, 65536).decode()
        os.close(reader)


def test_each_wrong_file_or_name_has_its_message_and_code(tcptune: Tcptune, lab: Lab) -> None:
    inventory = str(lab.inventory)
    broken = str(tcptune.file("broken.yml", "all: [hosts\n"))
    nothing = str(tcptune.file("nothing.jsonl", "nothing\n"))

    for arguments, code, said in (
        (("audit", "no-such-profile", "-i", inventory), 3, "no-such-profile"),
        (("audit", broken, "-i", inventory), 3, "broken.yml"),
        (("audit", PROFILE, "-i", "/no/such/inventory"), 3, "/no/such/inventory"),
        (("audit", PROFILE, "-i", broken), 3, "broken.yml"),
        (("audit", PROFILE, "-i", inventory, "--limit", "nobody"), 2, "nobody"),
        (("audit", PROFILE, "--facts", nothing), 3, "nothing.jsonl:1"),
        (("audit", PROFILE, "--facts", "/no/such/facts"), 3, "/no/such/facts"),
        (("audit", PROFILE, "-i", inventory, "-o", "/no/such/folder/report"), 1, "/no/such/folder/report"),
        (("audit", PROFILE, "-i", inventory, "--format", "xml"), 2, "xml"),
        (("audit",), 2, "PROFILE"),
        (("show", "/no/such/plan"), 3, "/no/such/plan"),
        (("verify", "no-such-run"), 2, "no-such-run"),
        (("rollback", "last"), 2, "last"),
        (("confirm", "last"), 2, "last"),
        (("no-such-command",), 2, "no-such-command"),
    ):
        assert said in tcptune(*arguments, expect=code).stderr, arguments
