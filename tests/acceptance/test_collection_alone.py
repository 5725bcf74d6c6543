"""The collection, as Ansible Galaxy would give it: no command line, no Python package, a playbook of one task."""

from __future__ import annotations

import json
import re

import pytest

from tests.acceptance.alone import Alone, importing
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import DROPIN, SOMAXCONN
from tests.lab import Lab

pytestmark = pytest.mark.lab

# 25 settings of a network namespace, each with a value that a fresh host does not have.
WANTED = {
    SOMAXCONN: "8192",
    "net.ipv4.ip_local_port_range": "10240 65535",
    "net.ipv4.ip_local_reserved_ports": "11211,12000-12002",
    "net.ipv4.tcp_abort_on_overflow": "1",
    "net.ipv4.tcp_autocorking": "0",
    "net.ipv4.tcp_base_mss": "1220",
    "net.ipv4.tcp_early_retrans": "0",
    "net.ipv4.tcp_ecn": "1",
    "net.ipv4.tcp_fastopen": "3",
    "net.ipv4.tcp_fin_timeout": "30",
    "net.ipv4.tcp_keepalive_intvl": "30",
    "net.ipv4.tcp_keepalive_probes": "3",
    "net.ipv4.tcp_keepalive_time": "300",
    "net.ipv4.tcp_max_syn_backlog": "4096",
    "net.ipv4.tcp_mtu_probing": "1",
    "net.ipv4.tcp_no_metrics_save": "1",
    "net.ipv4.tcp_notsent_lowat": "131072",
    "net.ipv4.tcp_orphan_retries": "2",
    "net.ipv4.tcp_retries2": "8",
    "net.ipv4.tcp_rfc1337": "1",
    "net.ipv4.tcp_rmem": "4096 131072 16777216",
    "net.ipv4.tcp_slow_start_after_idle": "0",
    "net.ipv4.tcp_syn_retries": "4",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.ipv4.tcp_wmem": "4096 65536 16777216",
}
ONE_TASK = {"settings": WANTED, "persist": True, "confirm": True}


@pytest.fixture(scope="module")
def alone(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    made = Alone(tmp_path_factory.mktemp("alone"), lab.inventory)
    made.install()
    return made


def recap(said: str) -> dict[str, tuple[int, int]]:
    """Map each host to how many tasks changed something there, and how many failed."""
    rows = re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+) +unreachable=\d+ +failed=(\d+)", said, re.MULTILINE)
    return {host: (int(changed), int(failed)) for host, changed, failed in rows}


def test_the_environment_knows_nothing_of_the_python_package(alone: Alone) -> None:
    assert "No module named 'tcptune" in importing(alone)
    assert "ansible" in alone.run("python", "-c", "import ansible; print(ansible.__name__)").stdout


def test_what_is_installed_is_what_was_built_and_its_documentation_is_there(alone: Alone) -> None:
    installed = alone.run("ansible-galaxy", "collection", "list", "tcptune.linux").stdout
    assert "tcptune.linux 0.1.0" in installed
    alone.run("ansible-galaxy", "collection", "verify", "--offline", "tcptune.linux")
    for role in ("conntrack", "nginx_timeouts", "nofile_limits", "rollback", "tcp_settings"):
        assert role in alone.run("ansible-doc", "--type", "role", "--list", "tcptune.linux").stdout


def test_one_task_sets_25_keys_once_and_predicts_each(alone: Alone, machines: Machines) -> None:
    assert len(WANTED) == 25
    fleet = machines(2)
    before = {machine: machine.state() for machine in fleet}
    found = {machine: machine.values(*WANTED) for machine in fleet}
    traces = {machine: machine.traces() for machine in fleet}
    task = {"name": "Set the running kernel and the next boot", "tcptune.linux.tcp_settings": ONE_TASK}
    site = alone.write("site.yml", [{"hosts": "all", "gather_facts": False, "tasks": [task]}])

    predicted = alone.play(fleet, site, "--check", "--diff").stdout
    assert recap(predicted) == {machine.name: (1, 0) for machine in fleet}
    shown = [line.strip() for line in predicted.splitlines()]
    for machine in fleet:
        for key, value in WANTED.items():
            assert value != found[machine][key]
            assert f"-{key} = {found[machine][key]}".strip() in shown
            # Once for each host's running kernel, once for its file.
            assert shown.count(f"+{key} = {value}") == 2 * len(fleet)
    assert {machine: machine.state() for machine in fleet} == before
    assert {machine: machine.traces() for machine in fleet} == traces

    first = alone.play(fleet, site).stdout
    assert recap(first) == {machine.name: (1, 0) for machine in fleet}
    for machine in fleet:
        assert machine.values(*WANTED) == WANTED
        said = [line for line in machine.read(DROPIN).splitlines() if not line.startswith("#")]
        assert said == [f"{key} = {value}" for key, value in WANTED.items()]

    traces = {machine: machine.traces() for machine in fleet}
    second = alone.play(fleet, site).stdout
    assert recap(second) == {machine.name: (0, 0) for machine in fleet}
    assert {machine: machine.traces() for machine in fleet} == traces

    alone.role(fleet, "rollback")
    assert {machine: machine.state() for machine in fleet} == before
    assert recap(alone.role(fleet, "rollback").stdout) == {machine.name: (0, 0) for machine in fleet}


def test_what_needs_the_package_says_so_and_changes_nothing(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    before, traces = machine.state(), machine.traces()

    for said in (
        alone.role([machine], "tcp_settings", tcp_settings_profile="baseline", expect=2).stdout,
        alone.play([machine], "tcptune.linux.audit", "-e", "tcp_settings_profile=baseline", expect=2).stdout,
    ):
        assert "needs the Python package tcptune beside Ansible on the controller" in said
        assert "Traceback" not in said
    assert (machine.state(), machine.traces()) == (before, traces)


def test_each_playbook_is_found_by_name_and_does_its_part(alone: Alone, machines: Machines) -> None:
    fleet = machines(2)
    before = {machine: machine.state() for machine in fleet}
    values = {SOMAXCONN: "8192"}
    said = {"tcp_settings_run": "run-1", "tcp_settings_values": values, "tcp_settings_persist": True}

    def play(name: str, expect: int = 0, **more: object) -> str:
        extra = json.dumps({**said, "tcptune_serial": 1, "tcptune_max_fail_percentage": 0, **more})
        return alone.play(fleet, f"tcptune.linux.{name}", "-e", extra, expect=expect).stdout

    play("verify", expect=2)
    shown = play("apply")
    # In batches of one: the play begins once for each.
    assert shown.count("PLAY [Apply TCP settings and hold them]") == 2
    assert [machine.values(*values) for machine in fleet] == [values, values]
    # The next boot does not give it yet.
    assert "the host is not as its variables say" in play("verify", expect=2)
    play("confirm")
    assert "changed=0" in play("verify")
    fleet[0].set({SOMAXCONN: "1000"})
    assert f"-{SOMAXCONN} = 1000" in play("verify", expect=2)
    fleet[0].set(values)
    play("rollback")
    assert {machine: machine.state() for machine in fleet} == before


def test_a_host_that_fails_stops_the_batches_behind_it_where_that_was_said(alone: Alone, machines: Machines) -> None:
    fleet = machines(2)
    fleet[0].set({SOMAXCONN: "1000"})
    behind = fleet[1].state()
    extra = {
        "tcp_settings_values": {SOMAXCONN: "8192"},
        "tcp_settings_before": {SOMAXCONN: "4096"},
        "tcptune_serial": 1,
        "tcptune_max_fail_percentage": 0,
    }

    alone.play(fleet, "tcptune.linux.apply", "-e", json.dumps(extra), expect=2)

    assert fleet[1].state() == behind
