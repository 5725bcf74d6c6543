"""What the next boot will give, and who decides it."""

from __future__ import annotations

import json

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, PROFILE, SOMAXCONN, WANTED, lines
from tests.demo import FINE

pytestmark = pytest.mark.lab

LATER = "/etc/sysctl.d/99-zz-local.conf"


def test_a_later_file_that_beats_ours_is_named_and_never_fought(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    text = f"# ours, hands off\n{SOMAXCONN} = 128\n"
    machine.write(LATER, text)
    plan = tcptune.file("plan.json")

    audit = tcptune("audit", PROFILE, *on(machine), expect=10)
    made = tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)

    assert f"128 ({LATER}:2)" in audit.stdout
    assert f"{LATER}:2 wins at boot even over our own file" in _joined(audit.stdout)
    assert f"lasts until the next boot only: {LATER}:2 wins over our file" in _joined(made.stdout)

    tcptune("apply", plan, *ALLOWED, "--auto-confirm")
    assert machine.values() == WANTED
    assert machine.read(LATER) == text
    tcptune("verify", "last")  # it was in the plan, so it is no news
    after = json.loads(tcptune("audit", PROFILE, *on(machine), "--format", "json", expect=10).stdout)
    deviations = [one for one in after["hosts"][0]["findings"] if one["outcome"] == "deviates"]
    assert [(one["key"], one["where"], one["shadowed_by"]) for one in deviations] == [
        (SOMAXCONN, "at boot", f"{LATER}:2")
    ]

    machine.reboot()
    assert machine.values() == WANTED | {SOMAXCONN: "128"}


def test_what_is_right_now_and_wrong_at_boot_is_planned_without_a_write_to_the_kernel(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    machine.set(FINE)
    machine.write("/etc/sysctl.d/50-old.conf", lines(FINE | {SOMAXCONN: "512"}))
    before = machine.values()
    plan = tcptune.file("plan.json")

    made = tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    assert f"{FINE[SOMAXCONN]} (stays)" in made.stdout
    tcptune("apply", plan, *ALLOWED, "--auto-confirm")
    assert machine.values() == before

    machine.reboot()
    assert machine.values() == before
    tcptune("audit", PROFILE, *on(machine))


def test_files_that_the_login_may_not_read_leave_the_next_boot_unknown_not_fine(
    tcptune: Tcptune, machines: Machines
) -> None:
    [machine] = machines(1)
    machine.set(FINE)
    machine.write("/etc/sysctl.d/60-web.conf", lines(FINE), mode="0600")
    inventory = tcptune.file("inventory.yml", machine.lab.inventory.read_text().replace("ansible_become: true", ""))

    audit = tcptune("audit", PROFILE, "-i", inventory, "--limit", machine.name, expect=4)

    assert "60-web.conf cannot be read" in _joined(audit.stdout)


def _joined(text: str) -> str:
    """Undo the line breaks of a report."""
    return " ".join(text.split())
