"""What plans write beside settings: a limit of a service, and a list of modules. On real hosts."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.command import Tcptune
from tests.acceptance.conftest import Machines, On
from tests.acceptance.machine import Machine
from tests.acceptance.test_limits import listen

pytestmark = pytest.mark.lab

UNIT = "web.service"
WANTED = 4096
OURS = f"/etc/systemd/system/{UNIT}.d/99-tcptune.conf"
PROFILE = f"""\
profile: files
limits:
  nofile: {{at_least: {WANTED}, processes: [{UNIT}], why: each connection is a file, source: getrlimit(2)}}
"""

CONNTRACK = "net.netfilter.nf_conntrack_max"
MODULES = "/etc/modules-load.d/99-tcptune.conf"
TRACKING = f"""\
profile: tracking
settings:
  {CONNTRACK}: {{at_least: 262144, why: every flow is an entry, source: nf_conntrack-sysctl.rst}}
"""


class Service:
    """A web server in a control group that is called as its unit: that is how a process is known to belong to one."""

    def __init__(self, group: Path) -> None:
        self.group = group

    def processes(self) -> list[int]:
        """Give its processes, as this machine numbers them."""
        return [int(pid) for pid in (self.group / "cgroup.procs").read_text().split()]

    def start(self, machine: Machine, soft: int, hard: int) -> None:
        """Start it anew with these limits, as its service manager would."""
        self.stop()
        mine = Path("/proc/self/cgroup").read_text()
        (self.group / "cgroup.procs").write_text(str(os.getpid()))
        try:
            listen(machine, soft, hard)
        finally:
            _back_to(mine, self.group)

    def stop(self) -> None:
        """Kill it."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.processes():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _back_to(groups: str, group: Path) -> None:
    """Leave a control group for that of before, in the same hierarchy."""
    mount = group.parents[1]
    wanted = {"unified": "0::", "systemd": ":name=systemd:", "cgroup": "0::"}[mount.name]
    [line] = [line for line in groups.splitlines() if wanted in line]
    before = line.partition(wanted)[2] if wanted.startswith(":") else line.removeprefix(wanted)
    (mount / before.lstrip("/") / "cgroup.procs").write_text(str(os.getpid()))


@pytest.fixture
def service() -> Iterator[Service]:
    for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"):
        group = Path(mount) / f"tcptune-test-{os.getpid()}.slice" / UNIT
        if not Path(mount, "cgroup.procs").exists():
            continue
        try:
            group.mkdir(parents=True)
        except OSError:
            continue
        break
    else:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no control group can be made here")
    found = Service(group)
    yield found
    found.stop()
    group.rmdir()
    group.parent.rmdir()


@pytest.fixture
def machine(machines: Machines, service: Service) -> Machine:
    """Give a machine with the unit, which serves with too few files."""
    [found] = machines(1)
    found.run("mkdir", "-p", "/etc/systemd/system")
    found.write(f"/etc/systemd/system/{UNIT}", "[Service]\nExecStart=busybox httpd\n")
    service.start(found, 1024, 8192)
    return found


def test_a_limit_of_a_service_is_planned_as_a_drop_in_that_is_ours(tcptune: Tcptune, machine: Machine, on: On) -> None:
    profile, plan = tcptune.file("files.yml", PROFILE), tcptune.file("plan.json")
    before = machine.state()

    audit = " ".join(tcptune("audit", profile, *on(machine), expect=10).stdout.split())
    assert f"! plan writes {OURS}" in audit
    made = tcptune("plan", profile, *on(machine), "-o", plan, expect=10).stdout

    assert f"~  nofile  busybox ({UNIT})  {WANTED}    1024  1024 (the default of systemd)" in made
    assert f"+ {OURS}  (written when the run is confirmed)" in made
    assert f"LimitNOFILE={WANTED}:524288" in made
    assert f">  systemctl restart {UNIT}  {machine.name}  limits.nofile  once confirmed" in made
    assert "1 change on 1 of 1 host. Nothing has been changed." in made
    assert tcptune("show", plan).stdout == made
    assert machine.state() == before


def test_a_host_that_got_a_drop_in_since_the_plan_has_moved(tcptune: Tcptune, machine: Machine, on: On) -> None:
    profile, plan = tcptune.file("files.yml", PROFILE), tcptune.file("plan.json")
    tcptune("plan", profile, *on(machine), "-o", plan, expect=10)
    machine.run("mkdir", "-p", OURS.rpartition("/")[0])
    machine.write(OURS, "[Service]\nLimitNOFILE=2048\n")

    said = tcptune("apply", plan, *on(machine), expect=5).stderr

    assert f"{OURS} is not as tcptune wrote it" in said
    # Nor is what somebody else put there planned away.
    again = tcptune("plan", profile, *on(machine), expect=10).stdout
    assert f"Not planned: {OURS} is not as tcptune wrote it" in again


def test_a_limit_is_held_kept_waited_for_and_taken_back(
    tcptune: Tcptune, machine: Machine, service: Service, on: On
) -> None:
    profile, plan = tcptune.file("files.yml", PROFILE), tcptune.file("plan.json")
    before = machine.state()
    tcptune("plan", profile, *on(machine), "-o", plan, expect=10)

    held = tcptune("apply", plan, *on(machine)).stdout
    assert "1 host held" in held
    assert "systemctl restart" not in held
    assert machine.state() == before
    tcptune("verify", "last", *on(machine))

    kept = tcptune("confirm", "last", *on(machine)).stdout
    assert f">  systemctl restart {UNIT}" in kept
    assert f"LimitNOFILE={WANTED}:524288" in machine.read(OURS)
    waits = tcptune("verify", "last", *on(machine), expect=10).stdout
    assert "waits for a restart" in waits
    assert "on 1 host a service waits for a restart" in waits

    service.start(machine, WANTED, 8192)
    tcptune("verify", "last", *on(machine))
    tcptune("audit", profile, *on(machine))
    assert "0 changes" in tcptune("plan", profile, *on(machine)).stdout

    tcptune("rollback", "last", *on(machine))
    assert machine.state() == before


def test_a_folder_that_stays_behind_is_told_with_the_host(tcptune: Tcptune, machine: Machine, on: On) -> None:
    profile, plan = tcptune.file("files.yml", PROFILE), tcptune.file("plan.json")
    tcptune("plan", profile, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *on(machine), "--auto-confirm")
    folder = OURS.rpartition("/")[0]
    machine.write(f"{folder}/local.conf", "[Service]\n")

    done = json.loads(tcptune("rollback", "last", *on(machine), "--format", "json").stdout)

    [result] = done["results"]
    assert result["state"] == "rolled back"
    assert result["warnings"] == [f"{folder} was made by run {done['run_id']} and stays: it is not empty"]


def test_a_drop_in_that_was_added_since_the_plan_is_told_when_the_run_is_confirmed(
    tcptune: Tcptune, machine: Machine, on: On
) -> None:
    profile, plan = tcptune.file("files.yml", PROFILE), tcptune.file("plan.json")
    tcptune("plan", profile, *on(machine), "-o", plan, expect=10)
    tcptune("apply", plan, *on(machine))
    late = f"/etc/systemd/system/{UNIT}.d/zz-local.conf"
    machine.run("mkdir", "-p", late.rpartition("/")[0])
    machine.write(late, "[Service]\nLimitNOFILE=2048\n")

    said = " ".join(tcptune("confirm", "last", *on(machine), expect=10).stdout.split())

    assert f"busybox ({UNIT}): {late} gives 2048 at the next start, not {WANTED}" in said


def test_a_module_that_comes_late_is_put_on_our_list_before_its_settings(
    tcptune: Tcptune, machines: Machines, on: On
) -> None:
    [machine] = machines(1)
    facts, plan = tcptune.file("facts.jsonl"), tcptune.file("plan.json")
    profile = tcptune.file("tracking.yml", TRACKING)
    tcptune("facts", *on(machine), "-o", facts)
    # The lab's hosts are namespaces: none of them is booted, so the rest of what they say is of a whole machine.
    head, line = facts.read_text().splitlines()
    said = json.loads(line)
    said["sysctl"][CONNTRACK] = {"state": "value", "text": "65536", "writable": True}
    said["conntrack"] = {"loaded": True, "built_in": False}
    said["system"]["namespace"] = {"child": False, "sign": "test"}
    said["system"]["virtualization"] = {"machine": "kvm", "container": None, "signs": ["test"]}
    said["system"]["distribution"] = "debian"
    facts.write_text(f"{head}\n{json.dumps(said)}\n")

    made = tcptune("plan", profile, "--facts", facts, *on(machine), "-o", plan, expect=10).stdout

    [cohort] = json.loads(plan.read_text())["cohorts"]
    assert [file["path"] for file in cohort["files"]] == [MODULES, "/etc/sysctl.d/99-tcptune.conf"]
    assert cohort["files"][0]["after"].endswith("\nnf_conntrack\n")
    assert "nf_conntrack is loaded in time from then on" in made
    assert "lasts until the next boot only" not in made
