"""The virtual machine itself: what a power cut, a reboot and a pulled cable do is what the other tests stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.machine import Machine
from tests.lab import processes
from tests.lab.errors import LabError
from tests.lab.vm import VmLab

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]


@pytest.fixture
def here(vm: VmLab, used: set[str]) -> Machine:
    """Give the machine as it is: none of these tests needs a clean disk."""
    used.add(vm.name)
    return Machine(vm, vm.host())


def test_it_runs_the_kernel_of_its_release_under_systemd(vm: VmLab, here: Machine) -> None:
    assert here.run("uname", "-r").startswith(f"{vm.release.kernel}.")
    assert here.read("/proc/1/comm") == "systemd\n"
    assert here.run("systemctl", "--failed", "--no-legend") == ""


def test_a_power_cut_loses_what_was_not_synced_and_nothing_else(vm: VmLab, here: Machine) -> None:
    boot = vm.boot_id()
    here.set({"net.core.somaxconn": "1234"})
    # A busy machine may take longer to the cut than the kernel waits with what is not synced.
    here.set({"vm.dirty_writeback_centisecs": "0"})
    here.run("sh", "-c", "echo kept >/root/synced && sync /root/synced /root && echo lost >/root/unsynced")

    vm.power_cut()
    assert vm.host().init_pid is None
    vm.boot()

    assert vm.boot_id() != boot
    assert here.read("/root/synced") == "kept\n"
    # The name may have reached the disk; the bytes were in the guest's memory.
    assert vm.run(None, ["cat", "/root/unsynced"], check=False).stdout == ""
    assert here.value("net.core.somaxconn") != "1234"


def test_a_reboot_keeps_files_and_forgets_values(vm: VmLab, here: Machine) -> None:
    here.run("sh", "-c", "echo kept >/root/file")
    here.set({"net.core.somaxconn": "1234"})
    boot, qemu = vm.boot_id(), vm.host().init_pid

    vm.reboot()

    assert (vm.boot_id() != boot, vm.host().init_pid) == (True, qemu)
    assert here.read("/root/file") == "kept\n"
    assert here.value("net.core.somaxconn") != "1234"


def test_a_reset_brings_the_first_disk_back(vm: VmLab, here: Machine) -> None:
    here.run("sh", "-c", "echo mine >/etc/sysctl.d/50-mine.conf; sync")

    vm.reset()

    assert vm.run(None, ["test", "-e", "/etc/sysctl.d/50-mine.conf"], check=False).returncode == 1


def test_a_pulled_cable_hangs_connections_and_the_plugged_one_has_them_again(vm: VmLab, here: Machine) -> None:
    vm.link_down()
    with pytest.raises(subprocess.TimeoutExpired):
        vm.run(None, ["true"], timeout_s=5)

    vm.link_up()

    assert here.run("cat", "/sys/class/net/eth0/operstate") == "up\n"


def test_it_dies_with_the_process_that_it_is_tied_to_and_what_is_left_is_cleaned_up(tmp_path: Path, vm: VmLab) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.lab.vm import VmLab;"
        "VmLab(Path(sys.argv[1]), sys.argv[2], tied=True).up()"
    )
    folder = tmp_path / "lab"
    with subprocess.Popen([sys.executable, "-c", script, str(folder), vm.name], start_new_session=True) as child:
        while (process := processes.read(folder / "qemu")) is None:
            assert child.poll() is None
        handle = os.pidfd_open(process.pid)
        child.send_signal(signal.SIGKILL)
    try:
        processes.end([process])  # waits until it is gone, and would find nothing to kill
        assert processes.read(folder / "qemu") is None
    finally:
        os.close(handle)

    VmLab(folder, vm.name).down()
    assert not folder.exists()


def test_a_name_it_does_not_know_is_refused(vm: VmLab) -> None:
    with pytest.raises(LabError, match="no host web1"):
        vm.run("web1", ["true"])
    with pytest.raises(LabError, match="is on already"):
        vm.boot()
