"""A Debian machine of its own kernel, under qemu's software emulation.

For what namespaces cannot show: reboots, power cuts, systemd as PID 1, kernel modules, host-global keys, other kernels.
One virtual machine is one lab of one host, named by its Debian release; sshd answers at a loopback address and the
machine reaches nothing else. Needs root to build the image, which is kept in a cache.

    python -m tests.lab.vm up bookworm     then: ssh -F /var/tmp/tcptune-vm-bookworm/ssh_config bookworm
    python -m tests.lab.vm down bookworm
"""

from tests.lab.vm.lab import VmLab
from tests.lab.vm.releases import RELEASES, Release
from tests.lab.vm.requirements import missing

__all__ = ["RELEASES", "Release", "VmLab", "missing"]
