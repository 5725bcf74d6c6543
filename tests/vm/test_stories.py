"""From a fault to its cure, where that takes a kernel and a systemd of its own: a full tracking table, too few files.

The client is a network namespace of the machine. On the server's link to it a firewall of tc lets in what is tracked,
and nothing else. Other links have none: who looks at a host with a full table has to get in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.acceptance.machine import Machine
from tests.acceptance.storyteller import LONGEST_S, Story
from tests.faults import Load
from tests.faults.stage import PROGRAMS
from tests.lab.vm import VmLab
from tests.vm.wanted import Patient

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

SERVER, CLIENT = "10.99.0.1", "10.99.0.2"
SHOP = "shop.service"
DROP_IN = f"/etc/systemd/system/{SHOP}.d/99-tcptune.conf"
MODULES = "/etc/modules-load.d/99-tcptune.conf"
MAX = "net.netfilter.nf_conntrack_max"
FEW_FLOWS = 4096
FEW_FILES = 32
# Software emulation is slow: what is late by two seconds is an error here.
PATIENT = {"address": SERVER, "connect_timeout_s": 2.0, "answer_timeout_s": 2.0, "seconds": 6.0}
NETWORK = f"""
ip netns add client
ip link add shop type veth peer name eth0 netns client
ip address add {SERVER}/24 dev shop
ip link set shop up
ip -n client address add {CLIENT}/24 dev eth0
ip -n client link set eth0 up
"""
TRACKING = f"""
modprobe -a nf_conntrack nf_conntrack_netlink
sysctl -qw {MAX}={FEW_FLOWS}
tc qdisc add dev shop clsact
tc filter add dev shop egress protocol ip matchall action ct commit
tc filter add dev shop ingress chain 0 protocol ip matchall action ct commit pipe action goto chain 1
tc filter add dev shop ingress chain 1 prio 1 protocol ip flower ct_state +trk-inv action pass
tc filter add dev shop ingress chain 1 prio 2 protocol ip matchall action drop
"""


class VmSite:
    """A machine with a service on port 8080, and a client that asks it."""

    def __init__(self, machine: Machine, **load: object) -> None:
        self.machine = machine
        self.host = machine.name
        self.load = PATIENT | load
        machine.run("sh", "-ec", NETWORK)
        for name in ("flows", "load", "serve"):
            machine.write(f"/usr/local/lib/{name}.py", (PROGRAMS / f"{name}.py").read_text())
        # It ends when its standard input does.
        machine.write("/usr/local/bin/shop", "sleep infinity | python3 /usr/local/lib/serve.py '{}'\n", mode="0755")
        machine.write(
            f"/etc/systemd/system/{SHOP}", f"[Service]\nExecStart=sh /usr/local/bin/shop\nLimitNOFILE={FEW_FILES}\n"
        )
        self.restart()

    def restart(self) -> None:
        """Start the service again, as a plan asks for."""
        self.machine.run("systemctl", "restart", SHOP)
        self.machine.run("sh", "-c", "for _ in $(seq 60); do ss -Hltn sport = 8080 | grep -q . && exit; sleep 1; done")

    def measure(self) -> Load:
        """Put the load on it once."""
        said: dict[str, Any] = json.loads(self.machine.run(*self._argv(self.load)))
        return Load(said["seconds"], said["done"], said["errors"], tuple(said["by_second"]), said["slowest_s"])

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Keep the load going until the block ends."""
        argv = self._argv(self.load | {"seconds": 4 * LONGEST_S})
        self.machine.run("systemd-run", "--quiet", "--collect", "--unit=load", *argv)
        try:
            yield
        finally:
            self.machine.run("systemctl", "stop", "load.service")

    def _argv(self, load: dict[str, object]) -> tuple[str, ...]:
        return ("ip", "netns", "exec", "client", "python3", "/usr/local/lib/load.py", json.dumps(load))


def test_a_full_tracking_table_is_raised_and_its_module_comes_first(
    tcptune: Patient, machine: Machine, vm: VmLab
) -> None:
    site = VmSite(machine, per_s=10)
    story = Story("conntrack-full", site, tcptune, vm.inventory)
    machine.run("sh", "-ec", TRACKING)
    machine.run("python3", "/usr/local/lib/flows.py", json.dumps({"count": FEW_FLOWS, "assured": True}))
    before = story.measured("before")

    cause = story.diagnosed()
    assert (cause["cause"], cause["confidence"]) == ("drop.conntrack_full", "high")
    story.planned()
    assert story.kept() == []
    assert machine.value(MAX) == str(2 * FEW_FLOWS)
    assert "nf_conntrack" in machine.read(MODULES).splitlines()

    after = story.measured("after")
    found = story.verified()
    assert (found["outcome"], found["rates"]["conntrack-drops"]) == ("fixed", "fixed")
    story.well()
    assert before.error_rate > 0.9
    assert after.errors == {}
    story.back()
    assert machine.value(MAX) == str(FEW_FLOWS)


def test_a_service_with_too_few_files_gets_more_when_it_is_started_again(
    tcptune: Patient, machine: Machine, vm: VmLab
) -> None:
    site = VmSite(machine, shape="pool", per_s=60, gap_s=1.0, workers=60)
    story = Story("descriptor-limit", site, tcptune, vm.inventory)
    before = story.measured("before")

    cause = story.diagnosed()
    assert (cause["cause"], cause["confidence"]) == ("limit.emfile", "high")
    story.planned()
    left = story.kept()
    assert left == [f"systemctl restart {SHOP}"]
    assert "LimitNOFILE=65536" in machine.read(DROP_IN)

    # The limit is in a file, and the process that runs has the old one.
    assert story.verified(expect=10)["outcome"] == "unchanged"
    site.restart()
    after = story.measured("after")
    found = story.verified()
    assert (found["outcome"], found["rates"]["listen-overflows"]) == ("fixed", "fixed")
    story.well()
    assert before.error_rate > 0.2
    assert after.errors == {}
    story.back()
    assert "99-tcptune" not in machine.run("find", "/etc/systemd/system")
