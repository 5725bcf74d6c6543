"""Real hosts on one machine, made of Linux namespaces.

Each host has its own network, mounts, processes, host name, sshd and keys; `/etc`, `/var/lib`, `/var/log` and the homes
are its own to write, all else is the machine's, read-only. The hosts share a switch that leads to this machine and
nowhere else. Needs root.

    python -m tests.lab up 3        then: ssh -F /run/tcptune-lab/ssh_config lab1
    python -m tests.lab down

Where a host differs from a real one: host-global keys (vm.*, kernel.*, most of net.core) are read-only or absent, as in
a container; kernel modules cannot be loaded; systemd does not run. `Lab.reboot` does what a boot does to sysctls.
"""

from tests.lab.errors import LabError
from tests.lab.hosts import LabHost
from tests.lab.lab import Lab
from tests.lab.requirements import missing

__all__ = ["Lab", "LabError", "LabHost", "missing"]
