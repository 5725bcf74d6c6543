"""Settings of a module that is loaded late: a boot loses them unless modules-load.d brings the module up in time."""

from __future__ import annotations

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.machine import Machine
from tests.vm.conftest import On
from tests.vm.wanted import TRACKED, profile

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

MODULE = "nf_conntrack"
BY_HAND = f"/etc/modules-load.d/{MODULE}.conf"
OURS = "/etc/modules-load.d/99-tcptune.conf"


@pytest.fixture
def tracking(machine: Machine) -> Machine:
    """Give a machine that has loaded the module since its boot, as the first rule of a firewall does."""
    machine.run("modprobe", MODULE)
    return machine


def test_where_the_operator_loads_the_module_at_boot_what_is_confirmed_is_live_after_a_reboot(
    tcptune: Tcptune, tracking: Machine, on: On
) -> None:
    tracking.write(BY_HAND, f"{MODULE}\n")
    before, values, plan = tracking.state(), tracking.values(*TRACKED), tcptune.file("plan.json")
    wanted = profile(tcptune, TRACKED)
    assert not values.items() & TRACKED.items()

    said = tcptune("plan", wanted, *on(), "-o", plan, expect=10)
    assert "loses" not in said.stdout
    tcptune("apply", plan)
    tcptune("confirm", "last")
    tracking.reboot()

    assert tracking.values(*TRACKED) == TRACKED
    tcptune("verify", "last")
    tcptune("audit", wanted, *on())
    tcptune("rollback", "last")
    assert (tracking.state(), tracking.values(*TRACKED)) == (before, values)
    tracking.reboot()
    assert (tracking.state(), tracking.values(*TRACKED)) == (before, values)


def test_where_nobody_loads_the_module_at_boot_the_confirmed_change_does(
    tcptune: Tcptune, tracking: Machine, on: On
) -> None:
    before, values, plan = tracking.state(), tracking.values(*TRACKED), tcptune.file("plan.json")
    wanted = profile(tcptune, TRACKED)

    tcptune("plan", wanted, *on(), "-o", plan, expect=10)
    assert OURS in tcptune("show", plan).stdout
    tcptune("apply", plan)
    assert not [path for path in tracking.state() if path.startswith("/etc/modules-load.d/") and path not in before]
    tcptune("confirm", "last")
    assert MODULE in tracking.read(OURS).splitlines()
    tracking.reboot()

    assert tracking.values(*TRACKED) == TRACKED
    tcptune("verify", "last")
    tcptune("audit", wanted, *on())
    tcptune("rollback", "last")
    assert (tracking.state(), tracking.values(*TRACKED)) == (before, values)
    tracking.reboot()
    assert tracking.state() == before
    assert MODULE not in tracking.read("/proc/modules").split()
