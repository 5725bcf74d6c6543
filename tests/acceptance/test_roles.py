"""The roles on real hosts: there and back, predicted by check mode, and stopped where they would do harm."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.acceptance.alone import Alone
from tests.acceptance.conftest import Machines
from tests.acceptance.machine import DROPIN, PROFILE, RISK, SOMAXCONN, WANTED, Machine
from tests.acceptance.test_collection_alone import recap
from tests.lab import Lab

pytestmark = pytest.mark.lab

VALUES = {SOMAXCONN: "8192"}
CHECKED = {"tcp_settings_values": VALUES, "tcp_settings_persist": True, "tcp_settings_revert_after_s": 60}
UNIT = "/etc/systemd/system/web.service.d/99-tcptune.conf"
LOGINS = "/etc/security/limits.d/99-tcptune.conf"
MODULES = "/etc/modules-load.d/99-tcptune-conntrack.conf"
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"
CONF = "/etc/nginx/conf.d/99-tcptune.conf"
NGINX = """\
user root;
worker_processes 1;
pid /run/nginx-role.pid;
error_log /tmp/nginx-error.log;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path /tmp/nginx-body;
  include /etc/nginx/conf.d/*.conf;
  server { listen 8080 default_server; return 204; }
  server { listen 8081; return 204; }
}
"""


@pytest.fixture(scope="module")
def alone(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    made = Alone(tmp_path_factory.mktemp("roles"), lab.inventory)
    made.install()
    return made


def no_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_checks_that_pass_confirm_and_one_that_fails_takes_back_at_once(alone: Alone, machines: Machines) -> None:
    well, ill = fleet = machines(2)
    ill.run("touch", "/root/ill")
    before = ill.state()
    look = {"name": "The application answers", "ansible.builtin.command": {"argv": ["test", "!", "-e", "/root/ill"]}}
    alone.write("is_well.yml", [look])

    said = alone.role(fleet, "tcp_settings", **CHECKED, tcp_settings_checks="is_well.yml", expect=2).stdout

    assert "The application answers: non-zero return code. Run " in said
    assert recap(said)[well.name] == (3, 0)
    assert recap(said)[ill.name][1] == 1
    assert well.values(SOMAXCONN) == VALUES
    assert no_comments(well.read(DROPIN)) == [f"{SOMAXCONN} = 8192"]
    assert ill.state() == before
    # Nothing is left that would take the confirmed one back, or that would wait on the other.
    states = [machine.run("sh", "-c", "tail -qn1 /var/lib/tcptune/runs/*/state") for machine in fleet]
    assert [state.split()[0] for state in states] == ["confirmed", "rolled_back"]

    ill.run("rm", "/root/ill")
    again = alone.role(fleet, "tcp_settings", **CHECKED, tcp_settings_checks="is_well.yml").stdout
    assert recap(again)[well.name] == (0, 0)
    assert ill.values(SOMAXCONN) == VALUES


def test_a_tag_of_the_role_runs_all_of_it(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    alone.write("looks.yml", [{"name": "Look", "ansible.builtin.command": {"argv": ["touch", "/root/looked"]}}])

    alone.role([machine], "tcp_settings", "--tags", "tcp_settings", **CHECKED, tcp_settings_checks="looks.yml")

    assert machine.values(SOMAXCONN) == VALUES
    assert no_comments(machine.read(DROPIN)) == [f"{SOMAXCONN} = 8192"]
    machine.run("test", "-e", "/root/looked")


def test_a_host_that_its_checks_cut_off_comes_back_by_itself(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    before = machine.state()
    cut = {
        "name": "Lose the network, and what the checks would say",
        "ansible.builtin.shell": {"cmd": f"sleep 2; ip route add blackhole {machine.address.rpartition('.')[0]}.1/32"},
        "async": 10,
        "poll": 0,
    }
    reach = {"name": "Reach it anew", "ansible.builtin.wait_for_connection": {"timeout": 5, "connect_timeout": 2}}
    wait = {"name": "Wait until it is lost", "ansible.builtin.pause": {"seconds": 4}}
    alone.write("cut.yml", [cut, {"ansible.builtin.meta": "reset_connection"}, wait, reach])

    variables = {**CHECKED, "tcp_settings_revert_after_s": 25, "tcp_settings_checks": "cut.yml"}
    alone.role([machine], "tcp_settings", "--timeout", "5", **variables, expect=4)
    machine.run("ip", "route", "del", "blackhole", f"{machine.address.rpartition('.')[0]}.1/32")

    for _ in range(60):
        if machine.run("sh", "-c", "tail -qn1 /var/lib/tcptune/runs/*/state").startswith("reverted"):
            break
        time.sleep(1)
    assert machine.state() == before


def test_checks_need_a_timer_and_are_refused_before_anything_is_written(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    before, traces = machine.state(), machine.traces()

    said = alone.role([machine], "tcp_settings", tcp_settings_values=VALUES, tcp_settings_checks="x.yml", expect=2)

    assert "tcp_settings_checks is given and tcp_settings_revert_after_s is not" in said.stdout
    assert (machine.state(), machine.traces()) == (before, traces)


def test_what_an_inventory_says_of_checks_does_not_stand_in_the_way_of_a_roll_back(
    alone: Alone, machines: Machines
) -> None:
    [machine] = machines(1)
    before = machine.state()
    run = {"tcp_settings_run": "try", "tcp_settings_values": VALUES}
    alone.role([machine], "tcp_settings", **run)

    alone.role([machine], "tcp_settings", **run, tcp_settings_state="rolled_back", tcp_settings_checks="x.yml")

    assert machine.state() == before


def test_limits_go_there_and_back_and_name_what_has_to_be_restarted(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    before = machine.state()
    variables = {
        "nofile_limits_units": [{"unit": "web", "soft": 4096, "hard": 8192}, {"unit": "db", "soft": 2048}],
        "nofile_limits_logins": [{"domain": "@deploy", "soft": 2048, "hard": 4096}],
    }

    predicted = alone.role([machine], "nofile_limits", "--check", "--diff", **variables).stdout
    assert "+LimitNOFILE=4096:8192" in predicted
    assert "To be restarted: web.service, db.service" in predicted
    assert machine.state() == before

    said = alone.role([machine], "nofile_limits", **variables).stdout
    assert recap(said) == {machine.name: (1, 0)}
    assert "To be restarted: web.service, db.service" in said
    assert no_comments(machine.read(UNIT)) == ["[Service]", "LimitNOFILE=4096:8192"]
    assert no_comments(machine.read(LOGINS)) == ["@deploy hard nofile 4096", "@deploy soft nofile 2048"]

    again = alone.role([machine], "nofile_limits", **variables).stdout
    assert recap(again) == {machine.name: (0, 0)}
    assert "To be restarted" not in again

    variables["nofile_limits_units"][1]["soft"] = 3072
    changed = alone.role([machine], "nofile_limits", **variables).stdout
    assert "To be restarted: db.service" in changed

    # There is no service manager here: one that it tried to restart would fail.
    db = UNIT.replace("web", "db")
    off = {**variables, "nofile_limits_units": variables["nofile_limits_units"][:1], "nofile_limits_restart": True}
    alone.role([machine], "nofile_limits", **{**off, "nofile_limits_exclusive": False})
    assert no_comments(machine.read(db)) == ["[Service]", "LimitNOFILE=3072"]
    predicted = alone.role([machine], "nofile_limits", "--check", "--diff", **off).stdout
    assert "-LimitNOFILE=3072" in predicted
    assert "-LimitNOFILE=4096" not in predicted
    left = alone.role([machine], "nofile_limits", **off).stdout
    assert "To be restarted: db.service" in left
    assert machine.run("sh", "-c", f"ls {db} 2>/dev/null || true") == ""
    assert recap(alone.role([machine], "nofile_limits", **off).stdout) == {machine.name: (0, 0)}

    for _ in range(3):
        alone.role([machine], "rollback")
    assert machine.state() == before


def test_what_is_let_go_of_goes_and_comes_back(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    before = machine.state()
    alone.role([machine], "nofile_limits", nofile_limits_units=[{"unit": "web", "soft": 4096}])
    alone.role(
        [machine], "tcp_settings", tcp_settings_values=VALUES, tcp_settings_persist=True, tcp_settings_confirm=True
    )
    ours = machine.state()
    gone = {"tcp_settings_state": "absent", "tcp_settings_keys": [SOMAXCONN, UNIT], "tcp_settings_confirm": True}

    predicted = alone.role([machine], "tcp_settings", "--check", "--diff", **gone).stdout
    assert "-LimitNOFILE=4096" in predicted
    assert f"-{SOMAXCONN} = 8192" in predicted
    assert machine.state() == ours
    assert recap(alone.role([machine], "tcp_settings", **gone).stdout) == {machine.name: (1, 0)}
    assert machine.run("sh", "-c", f"ls {DROPIN} {UNIT} 2>/dev/null || true") == ""
    assert recap(alone.role([machine], "tcp_settings", **gone).stdout) == {machine.name: (0, 0)}

    alone.role([machine], "rollback")
    assert machine.state() == ours
    for _ in range(2):
        alone.role([machine], "rollback")
    assert machine.state() == before


def test_the_newest_run_is_taken_back_also_where_it_died_in_the_middle(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    for run, value in (("first", "8192"), ("second", "16384")):
        settings = {"tcp_settings_run": run, "tcp_settings_values": {SOMAXCONN: value}}
        alone.role([machine], "tcp_settings", **settings, tcp_settings_persist=True, tcp_settings_confirm=True)
    # As it is when the power goes between the last file and the record of it.
    machine.run("sed", "-i", "/^confirmed/d", "/var/lib/tcptune/runs/second/state")

    alone.role([machine], "rollback")

    assert machine.values(SOMAXCONN) == VALUES
    states = machine.run("sh", "-c", "cd /var/lib/tcptune/runs && tail -qn1 first/state second/state")
    assert [line.split()[0] for line in states.splitlines()] == ["confirmed", "rolled_back"]


def unable(why: str) -> NoReturn:
    """End a test that this machine cannot run: CI has to be able to."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def test_the_connection_tracker_is_set_kept_and_given_back(alone: Alone, machines: Machines) -> None:
    [machine] = machines(1)
    if machine.run("sh", "-c", f"ls /proc/sys/{ESTABLISHED.replace('.', '/')} || true") == "":
        unable("nf_conntrack is not loaded in this kernel")
    before = machine.state()
    found = machine.value(ESTABLISHED)
    variables = {"conntrack_values": {"nf_conntrack_tcp_timeout_established": "86401"}}

    predicted = alone.role([machine], "conntrack", "--check", "--diff", **variables).stdout
    assert f"+{ESTABLISHED} = 86401" in predicted
    assert machine.value(ESTABLISHED) == found

    assert recap(alone.role([machine], "conntrack", **variables).stdout) == {machine.name: (1, 0)}
    assert machine.value(ESTABLISHED) == "86401"
    assert no_comments(machine.read(DROPIN)) == [f"{ESTABLISHED} = 86401"]
    assert no_comments(machine.read(MODULES)) == ["nf_conntrack"]
    assert recap(alone.role([machine], "conntrack", **variables).stdout) == {machine.name: (0, 0)}

    # The sizes are the whole machine's. A host that only sees them is refused whole: the timeout stays as it is.
    refused = alone.role([machine], "conntrack", **variables | {"conntrack_max": 4711}, expect=2).stdout
    assert "net.netfilter.nf_conntrack_max" in refused

    alone.role([machine], "rollback")
    assert machine.value(ESTABLISHED) == found
    assert machine.state() == before


def test_a_profile_is_carried_out_by_the_same_code_as_the_command_line(
    lab: Lab, machines: Machines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    beside = Alone(tmp_path_factory.mktemp("package"), lab.inventory, package=True)
    beside.install()
    plain, waived = fleet = machines(2)
    before = {machine: machine.state() for machine in fleet}
    waiver = {"key": SOMAXCONN, "hosts": waived.name, "who": "ops", "until": "2099-12-31", "why": "its queue is short"}
    variables = {
        "tcp_settings_profile": PROFILE,
        "tcp_settings_waivers": str(beside.write("waivers.yml", [waiver])),
        "tcp_settings_confirm": True,
    }

    refused = beside.role(fleet, "tcp_settings", **variables, expect=2).stdout
    assert f'tcp_settings_allow_risk=["{RISK}"]' in refused.replace('\\"', '"')
    assert {machine: machine.state() for machine in fleet} == before

    variables["tcp_settings_allow_risk"] = [RISK]
    said = beside.role(fleet, "tcp_settings", **variables).stdout
    assert recap(said) == {machine.name: (1, 0) for machine in fleet}
    assert plain.values() == WANTED
    assert waived.values() == WANTED | {SOMAXCONN: "4096"}
    again = beside.role(fleet, "tcp_settings", **variables).stdout
    assert recap(again) == {machine.name: (0, 0) for machine in fleet}
    beside.role(fleet, "rollback")
    assert {machine: machine.state() for machine in fleet} == before


@pytest.fixture
def nginx(machines: Machines) -> Iterator[Machine]:
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        unable("nginx is missing (Debian package nginx-light)")
    [machine] = machines(1)
    machine.run("mkdir", "-p", "/etc/nginx/conf.d")
    machine.write("/etc/nginx/nginx.conf", NGINX)
    machine.run("nginx")
    try:
        yield machine
    finally:
        machine.run("sh", "-c", "rm -f /etc/nginx/conf.d/*; nginx -s stop")


def backlog(machine: Machine, port: int) -> int:
    """Give the length of the queue, as the kernel says."""
    [line] = machine.run("ss", "-Hltn", f"sport = :{port}").splitlines()
    return int(line.split()[2])


def test_nginx_reloads_what_it_takes_and_never_sees_what_it_does_not(alone: Alone, nginx: Machine) -> None:
    before, master = nginx.state(), nginx.read("/run/nginx-role.pid")
    variables = {
        "nginx_timeouts_keepalive_timeout": "75s",
        "nginx_timeouts_keepalive_requests": 1000,
        "nginx_timeouts_proxy_connect": "3s",
        "nginx_timeouts_proxy_read": "65s",
        "nginx_timeouts_upstreams": [
            {"name": "app", "servers": ["127.0.0.1:9000"], "keepalive": 32, "keepalive_timeout": "55s"}
        ],
        "nginx_timeouts_listens": [{"address": "8080", "backlog": 1234}],
    }
    predicted = alone.role([nginx], "nginx_timeouts", "--check", "--diff", **variables).stdout
    assert "+keepalive_timeout 75s;" in predicted
    assert nginx.state() == before

    assert recap(alone.role([nginx], "nginx_timeouts", **variables).stdout) == {nginx.name: (1, 0)}
    read = nginx.run("sh", "-c", "nginx -T 2>/dev/null")
    for line in ("keepalive_requests 1000;", "proxy_read_timeout 65s;", "upstream app {", "    keepalive 32;"):
        assert line in read.splitlines()
    for _ in range(50):
        if backlog(nginx, 8080) == 1234:
            break
        time.sleep(0.1)
    assert backlog(nginx, 8080) == 1234
    assert nginx.read("/run/nginx-role.pid") == master
    written = nginx.state()
    assert recap(alone.role([nginx], "nginx_timeouts", **variables).stdout) == {nginx.name: (0, 0)}

    wrong = variables | {"nginx_timeouts_proxy_read": "65 parsecs"}
    refused = alone.role([nginx], "nginx_timeouts", **wrong, expect=2).stdout
    assert "invalid number of arguments" in refused
    assert "the file was not touched" in refused
    other = variables | {"nginx_timeouts_listens": [{"address": "8081", "backlog": 1234}]}
    refused = alone.role([nginx], "nginx_timeouts", **other, expect=2).stdout
    assert "no server has `listen 8081 default_server`" in refused
    assert nginx.state() == written

    alone.role([nginx], "nginx_timeouts", nginx_timeouts_state="absent")
    assert nginx.state() == before
    for _ in range(50):
        if backlog(nginx, 8080) != 1234:
            break
        time.sleep(0.1)
    assert backlog(nginx, 8080) == 511


def test_a_file_that_nginx_does_not_read_is_not_left_there(alone: Alone, nginx: Machine) -> None:
    nginx.write("/etc/nginx/nginx.conf", re.sub(r" *include .*\n", "", NGINX))
    before = nginx.state()

    said = alone.role([nginx], "nginx_timeouts", nginx_timeouts_keepalive_timeout="75s", expect=2).stdout

    assert f"nginx does not read {CONF}; the file was not touched" in said
    assert nginx.state() == before
