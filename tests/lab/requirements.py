"""Say what this machine lacks for a lab, before a half-made lab says it worse."""

from __future__ import annotations

import os
import shutil
import subprocess

PACKAGES = {
    "/usr/sbin/sshd": "openssh-server",
    "/usr/bin/python3": "python3",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "sudo": "sudo",
    "sysctl": "procps",
    "chpasswd": "passwd",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}

# What the lab does, once, in namespaces that are gone right after.
TRIAL = """
set -e
mount -t tmpfs trial /mnt 2>&1
mkdir /mnt/upper /mnt/work
mount -t overlay trial -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc 2>&1 || exit 3
ip link add br0 type bridge 2>&1 || exit 4
ip link add eth0 type veth peer name lab1 2>&1 || exit 4
"""
FAILURES = {3: "this kernel has no overlayfs on tmpfs", 4: "this kernel makes no bridge or veth"}


def missing() -> list[str]:
    """Give the reasons why no lab can run here, each a line for a person; empty if one can."""
    if os.geteuid() != 0:
        return ["the lab needs root, to make namespaces"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    reasons = [
        f"{program} is missing (Debian package {package})"
        for program, package in PACKAGES.items()
        if shutil.which(program, path=path) is None
    ]
    return reasons or _trial()


def hint(reasons: list[str]) -> str:
    """Give the step that removes most of `reasons`."""
    if os.geteuid() != 0:
        return "run it again as root"
    packages = sorted({package for package in PACKAGES.values() if any(f"package {package})" in r for r in reasons)})
    return (
        f"apt-get install {' '.join(packages)}" if packages else "use a machine or container that may make namespaces"
    )


def _trial() -> list[str]:
    namespaces = ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    trial = subprocess.run(["unshare", *namespaces, "sh", "-c", TRIAL], capture_output=True, text=True, check=False)
    if trial.returncode == 0:
        return []
    said = (trial.stdout + trial.stderr).strip().replace("\n", "; ")
    return [f"{FAILURES.get(trial.returncode, 'cannot create namespaces')}: {said}"]
