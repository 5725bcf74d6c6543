"""A host of the lab: what it has of its own, what it cannot do, the ways in, and faults that are taken back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import Lab, LabError, LabHost
from tests.lab.pytest_plugin import Hosts

CHECKOUT = Path(__file__).parents[2]
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
SWAPPINESS = Path("/proc/sys/vm/swappiness")

pytestmark = pytest.mark.lab


def test_hosts_are_plain_values(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)

    assert isinstance(host, LabHost)
    assert host == lab.host("lab1")
    with pytest.raises(LabError, match="no host lab99"):
        lab.host("lab99")


# What a host has of its own


def test_a_sysctl_belongs_to_one_host(lab: Lab, hosts: Hosts) -> None:
    _, changed, other = hosts(3)
    machine = SOMAXCONN.read_text()

    lab.ssh(changed, "sysctl -w net.core.somaxconn=1234", user="root")

    assert lab.ssh(changed, f"cat {SOMAXCONN}").stdout == "1234\n"
    assert lab.ssh(other, f"cat {SOMAXCONN}").stdout == "4096\n"
    assert SOMAXCONN.read_text() == machine != "1234\n"


@pytest.mark.parametrize("path", ["/etc/sysctl.d/60-lab.conf", "/var/lib/lab-test", "/root/lab-test", "/tmp/lab-test"])  # noqa: S108
def test_a_file_belongs_to_one_host(lab: Lab, hosts: Hosts, path: str) -> None:
    _, changed, other = hosts(3)

    lab.ssh(changed, f"echo here > {path}", user="root")

    assert lab.ssh(changed, f"cat {path}", user="root").stdout == "here\n"
    assert lab.ssh(other, f"cat {path}", user="root", check=False).returncode == 1
    assert not Path(path).exists()


def test_names_processes_and_listeners_are_the_hosts_own(lab: Lab, hosts: Hosts) -> None:
    one, two = hosts(2)

    assert [lab.ssh(host, "hostname").stdout.strip() for host in (one, two)] == ["lab1", "lab2"]
    assert lab.run(one, ["cat", "/proc/1/comm"]).stdout == "sleep\n"
    assert one.address in lab.run(one, ["ss", "-Hltn"]).stdout
    assert two.address not in lab.run(one, ["ss", "-Hltn"]).stdout


def test_a_process_whose_parent_has_ended_leaves_no_zombie(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)

    lab.run(host, ["sh", "-c", "(sleep 0.2 & exec true)"])
    time.sleep(0.5)

    said = lab.run(host, ["sh", "-c", "cat /proc/[0-9]*/stat"], check=False).stdout
    assert "(sshd)" in said
    assert ") Z " not in said


def test_sysctl_d_is_that_of_a_fresh_debian(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)

    listed = lab.run(host, ["ls", "/etc/sysctl.d"]).stdout.split()
    lines = lab.run(host, ["cat", "/etc/sysctl.d/99-sysctl.conf"]).stdout.splitlines()

    assert listed == ["99-sysctl.conf", "README.sysctl"]
    assert [line for line in lines if not line.startswith("#")] == []
    # The machine's has at least the README of the package.
    assert lab.run(host, ["ls", "/etc/sudoers.d"]).stdout.split() == ["operator"]


def test_a_reboot_keeps_files_and_forgets_runtime_values(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    values = "cat /proc/sys/net/ipv4/tcp_keepalive_time /proc/sys/net/ipv4/tcp_keepalive_probes"
    before = lab.ssh(host, "cat /proc/sys/kernel/random/boot_id").stdout
    lab.ssh(host, "echo net.ipv4.tcp_keepalive_time=77 > /etc/sysctl.d/60-lab.conf", user="root")
    lab.ssh(host, "sysctl -w net.ipv4.tcp_keepalive_probes=3", user="root")
    assert lab.ssh(host, values).stdout == "7200\n3\n"

    lab.reboot(host)

    assert lab.ssh(host, values).stdout == "77\n9\n"
    assert lab.ssh(host, "cat /proc/sys/kernel/random/boot_id").stdout != before


def test_a_reset_host_is_as_new_and_still_the_one_we_know(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    lab.ssh(host, "touch /etc/lab-test; sysctl -w net.core.somaxconn=1234", user="root")

    [again] = lab.reset(host)

    assert again.init_pid != host.init_pid
    assert lab.ssh(host, f"ls /etc/lab-test; cat {SOMAXCONN}", check=False).stdout == "4096\n"


@pytest.mark.parametrize("turn", ["first", "second"])
def test_what_a_test_did_to_its_hosts_the_next_does_not_see(lab: Lab, hosts: Hosts, turn: str) -> None:
    assert turn
    one, _ = hosts(2)
    assert lab.run(one, ["test", "-e", "/etc/lab-test"], check=False).returncode == 1

    lab.run(one, ["touch", "/etc/lab-test"])

    assert hosts(2)[0] == one  # asked again in the same test: the same as it is


# What a host cannot do


def test_a_host_cannot_write_the_machines_sysctls(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    machine = SWAPPINESS.read_text()
    try:
        done = lab.ssh(host, f"sysctl -w vm.swappiness={int(machine) + 1}", user="root", check=False)
        assert done.returncode != 0
        assert SWAPPINESS.read_text() == machine
    finally:
        if SWAPPINESS.read_text() != machine:
            SWAPPINESS.write_text(machine)


@pytest.mark.parametrize("path", ["/usr/lab-test", "/usr/local/bin/lab-test", "/opt/lab-test"])
def test_a_host_cannot_write_the_machines_files(lab: Lab, hosts: Hosts, path: str) -> None:
    [host] = hosts(1)
    try:
        assert "Read-only" in lab.ssh(host, f"touch {path}", user="root", check=False).stderr
        assert not Path(path).exists()
    finally:
        Path(path).unlink(missing_ok=True)


def test_a_host_cannot_write_the_checkout(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    path = CHECKOUT / "lab-test"
    seen = lab.ssh(host, f"test -e {CHECKOUT}/pyproject.toml", user="root", check=False).returncode == 0
    try:
        done = lab.ssh(host, f"mkdir -p {CHECKOUT} && touch {path}", user="root", check=False)
        # Below a folder that each host has of its own, such as /tmp, what it writes is its own, too.
        assert not seen or "Read-only" in done.stderr
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)


def test_a_host_can_write_no_sysfs_but_that_of_its_interfaces(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)

    assert lab.run(host, ["sh", "-c", "echo 77 > /sys/class/net/eth0/tx_queue_len"]).returncode == 0
    assert "Read-only" in lab.run(host, ["sh", "-c", "echo 1 > /sys/kernel/profiling"], check=False).stderr


@pytest.mark.parametrize("how", ["ssh", "run"])
def test_a_host_has_no_power_to_load_modules_or_set_the_clock(lab: Lab, hosts: Hosts, how: str) -> None:
    [host] = hosts(1)
    line = ["sed", "-n", "s/^CapBnd://p", "/proc/self/status"]

    done = lab.ssh(host, "sed -n s/^CapBnd://p /proc/self/status", user="root") if how == "ssh" else lab.run(host, line)

    sys_module, sys_time, net_admin = 16, 25, 12
    assert [int(done.stdout, 16) >> bit & 1 for bit in (sys_module, sys_time, net_admin)] == [0, 0, 1]


def test_a_host_reaches_the_other_hosts_and_nothing_else(lab: Lab, hosts: Hosts) -> None:
    one, two = hosts(2)

    assert lab.run(one, ["ip", "route", "show", "default"]).stdout == ""
    assert "unreachable" in lab.run(one, ["ip", "route", "get", "192.0.2.77"], check=False).stderr
    assert lab.run(one, ["ssh-keyscan", "-t", "ed25519", two.address]).stdout.startswith(two.address)


# Ways in


@pytest.mark.parametrize("user", ["operator", "root"])
def test_both_users_may_become_root(lab: Lab, hosts: Hosts, user: str) -> None:
    [host] = hosts(1)

    assert lab.ssh(host, "whoami", user=user).stdout == f"{user}\n"
    assert lab.ssh(host, "sudo -n id -u", user=user).stdout == "0\n"


def test_a_terminal_can_be_had(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)

    done = subprocess.run(
        ["ssh", "-tt", "-F", lab.ssh_config, host.name, "tty"], capture_output=True, text=True, check=True, timeout=30
    )

    assert done.stdout.startswith("/dev/pts/")


def test_ansible_pings_over_the_inventory(lab: Lab, hosts: Hosts, tmp_path: Path) -> None:
    asked = hosts(2)
    ansible = Path(sys.executable).with_name("ansible")
    if not ansible.exists():
        pytest.fail(f"{ansible} is missing; install requirements/dev.txt")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",  # leaves no process behind
    }

    done = subprocess.run(
        [ansible, "-i", lab.inventory, ":".join(host.name for host in asked), "-m", "ping"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"ping": "pong"') == len(asked)


# Faults and the way back


def test_sudo_can_be_denied(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    lab.deny_sudo(host)
    assert lab.ssh(host, "sudo -n id -u", check=False).returncode != 0

    lab.restore(host)

    assert lab.ssh(host, "sudo -n id -u").stdout == "0\n"


def test_sudo_can_ask_for_a_password(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    lab.sudo_with_password(host, "correct horse")
    assert lab.ssh(host, "sudo -n id -u", check=False).returncode != 0
    assert lab.ssh(host, "sudo -S id -u", input="wrong\n", check=False).returncode != 0
    assert lab.ssh(host, "sudo -S id -u", input="correct horse\n").stdout == "0\n"

    lab.restore(host)

    assert lab.ssh(host, "sudo -n id -u").stdout == "0\n"
    assert lab.run(host, ["grep", "^operator:", "/etc/shadow"]).stdout.startswith("operator:*:")


def test_a_host_can_be_down(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    session = subprocess.Popen(["ssh", "-F", lab.ssh_config, host.name, "echo in; sleep 60"], stdout=subprocess.PIPE)
    assert session.stdout is not None
    assert session.stdout.readline() == b"in\n"

    lab.stop_sshd(host)

    assert session.wait(timeout=10) == 255  # no session survives
    session.stdout.close()
    assert "Connection refused" in lab.ssh(host, "true", check=False).stderr
    lab.start_sshd(host)
    lab.start_sshd(host)
    assert lab.ssh(host, "hostname").stdout == "lab1\n"


def test_a_host_can_be_cut_off(lab: Lab, hosts: Hosts) -> None:
    [host] = hosts(1)
    lab.link_down(host)
    probe = ["ssh", "-F", str(lab.ssh_config), "-o", "ConnectTimeout=1", host.name, "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 255
    assert "timed out" in done.stderr or "No route to host" in done.stderr

    lab.link_up(host)

    assert lab.ssh(host, "hostname").stdout == "lab1\n"


def test_a_wrong_host_key_makes_ssh_refuse(lab: Lab, hosts: Hosts) -> None:
    one, two = hosts(2)
    lab.wrong_host_key(one)
    assert "Host key verification failed" in lab.ssh(one, "true", check=False).stderr
    assert lab.ssh(two, "hostname").stdout == "lab2\n"

    lab.restore(one)

    assert lab.ssh(one, "hostname").stdout == "lab1\n"
