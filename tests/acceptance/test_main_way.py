"""Plan, apply, confirm, roll back, on real hosts."""

from __future__ import annotations

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import ALLOWED, DROPIN, PROFILE, SOMAXCONN, WANTED, lines
from tests.demo import DETUNED, FINE

pytestmark = pytest.mark.lab


def test_what_is_planned_is_applied_kept_over_a_reboot_and_taken_back(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    detuned, half, fine = fleet = machines(3)
    detuned.set(DETUNED)
    half.set(FINE | {SOMAXCONN: "256"})
    half.write("/etc/sysctl.d/10-tuning.conf", lines(FINE))
    half.write("/etc/sysctl.d/60-legacy.conf", f"# from an old guide\n{SOMAXCONN} = 256\n")
    fine.set(FINE)
    fine.write("/etc/sysctl.d/60-web.conf", lines(FINE))
    before = {machine: machine.state() for machine in fleet}
    traces = {machine: machine.traces() for machine in fleet}
    facts, plan = tcptune.file("facts.jsonl"), tcptune.file("plan.json")

    tcptune("facts", *on(*fleet), "-o", facts)
    assert len(facts.read_text().splitlines()) == 1 + 3
    audit = tcptune("audit", PROFILE, *on(*fleet), expect=10)
    assert "2 of 3 hosts deviate" in audit.stdout
    made = tcptune("plan", PROFILE, *on(*fleet), "-o", plan, expect=10)
    assert tcptune("show", plan).stdout == made.stdout
    assert {machine: machine.state() for machine in fleet} == before

    held = tcptune("apply", plan, *ALLOWED)
    assert "2 held" in held.stdout
    assert detuned.values() == WANTED
    assert half.value(SOMAXCONN) == "8192"
    for machine in fleet:
        etc = {path: trace for path, trace in machine.traces().items() if path.startswith("/etc")}
        assert etc.items() <= traces[machine].items(), "a boot reads something else than before"
    tcptune("verify", "last")
    tcptune("audit", PROFILE, *on(*fleet), expect=10)  # the next boot still gives the values from before

    tcptune("confirm", "last")
    tcptune("verify", "last")
    assert "0 of 3 hosts deviate" in tcptune("audit", PROFILE, *on(*fleet)).stdout
    for machine in fleet:
        machine.reboot()
    assert detuned.values() == WANTED
    assert "0 of 3 hosts deviate" in tcptune("audit", PROFILE, *on(*fleet)).stdout
    tcptune("verify", "last")

    tcptune("rollback", "last")
    # The fine one had its values from its own file, so the boot gave them again.
    assert {machine: machine.state() for machine in fleet} == before
    tcptune("verify", "last")


def test_what_nobody_confirmed_is_lost_at_the_next_boot(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    before = machine.state()
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    assert machine.values() == WANTED

    machine.reboot()

    assert machine.state() == before
    assert SOMAXCONN in tcptune("verify", "last", expect=10).stdout
    # A run that the boot undid stands in nobody's way once it is taken back.
    tcptune("rollback", "last")
    assert machine.state() == before
    tcptune("apply", plan, *ALLOWED)
    assert machine.values() == WANTED


def test_a_run_that_a_boot_undid_cannot_be_confirmed(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    machine.reboot()
    before = machine.state()

    refused = tcptune("confirm", "last", expect=4)

    assert "is lost: the host was booted before it was confirmed" in refused.stdout
    assert "1 lost" in refused.stdout
    assert machine.state() == before


def test_a_plan_is_stale_once_it_was_applied(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [machine] = machines(1)
    plan = tcptune.file("plan.json")
    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED)
    state, traces = machine.state(), machine.traces()

    refused = tcptune("apply", plan, *ALLOWED, expect=5)

    assert f"{machine.name}: {SOMAXCONN} is 8192, the plan was made for 4096" in refused.stderr
    assert (machine.state(), machine.traces()) == (state, traces)


def test_a_fine_host_is_not_touched(tcptune: Tcptune, machines: Machines, on: On) -> None:
    needy, fine = machines(2)
    fine.set(FINE)
    fine.write("/etc/sysctl.d/60-web.conf", lines(FINE))
    state, traces = fine.state(), fine.traces()
    plan = tcptune.file("plan.json")

    tcptune("plan", PROFILE, *on(needy, fine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED, "--auto-confirm")
    tcptune("rollback", "last")

    assert (fine.state(), fine.traces()) == (state, traces)


def test_a_fleet_that_is_fine_needs_no_plan(tcptune: Tcptune, machines: Machines, on: On) -> None:
    [fine] = machines(1)
    fine.set(FINE)
    fine.write("/etc/sysctl.d/60-web.conf", lines(FINE))
    plan = tcptune.file("plan.json")

    tcptune("plan", PROFILE, *on(fine), "-o", plan)
    applied = tcptune("apply", plan, *ALLOWED)

    assert "changes nothing" in applied.stderr
    assert "No runs yet" in tcptune("runs").stdout


def test_a_run_that_is_held_keeps_the_next_one_away(tcptune: Tcptune, machines: Machines, on: On) -> None:
    busy, free = machines(2)
    first, second = tcptune.file("first.json"), tcptune.file("second.json")
    tcptune("plan", "baseline", *on(busy), "-o", first, expect=10)
    tcptune("apply", first, *ALLOWED)
    tcptune("plan", PROFILE, *on(busy, free), "-o", second, expect=10)
    state, traces = busy.state(), busy.traces()

    done = tcptune("apply", second, *ALLOWED, expect=4)

    assert f"{busy.name}: failed" in done.stderr, "nothing was changed, and that is known"
    assert "confirm or roll back" in done.stdout
    assert (busy.state(), busy.traces()) == (state, traces)
    assert free.values() == WANTED
    # What was never begun needs no way back.
    tcptune("rollback", "last")
    assert (busy.state(), busy.traces()) == (state, traces)


def test_an_earlier_file_of_ours_is_merged_and_given_back_to_the_byte(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    machine.write(DROPIN, "# by an earlier run\nnet.ipv4.tcp_fin_timeout=30\nnet.core.somaxconn = 4096", mode="0640")
    machine.set({"net.ipv4.tcp_fin_timeout": "30"})
    before = machine.state()
    plan = tcptune.file("plan.json")

    tcptune("plan", PROFILE, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *ALLOWED, "--auto-confirm")
    kept = [line for line in machine.read(DROPIN).splitlines() if not line.startswith("#")]
    assert kept == sorted(lines(WANTED | {"net.ipv4.tcp_fin_timeout": "30"}).splitlines())
    assert machine.run("stat", "-c", "%a", DROPIN) == "640\n"

    tcptune("rollback", "last")
    assert machine.state() == before
