"""Say what this machine lacks for a virtual machine."""

from __future__ import annotations

import os
import shutil

from tests.lab.errors import LabError

PACKAGES = {
    "apt-get": "apt",
    "chroot": "coreutils",
    "mkfs.ext4": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}


def missing() -> list[str]:
    """Give the reasons why no virtual machine can run here, each a line for a person; empty if one can."""
    if os.geteuid() != 0:
        return ["the virtual machine's image is built as root"]
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return [
        f"{program} is missing (Debian package {package})"
        for program, package in PACKAGES.items()
        if shutil.which(program, path=path) is None
    ]


def require() -> None:
    """Raise LabError where something is missing."""
    if reasons := missing():
        names = sorted({package for package in PACKAGES.values() if any(f"package {package})" in r for r in reasons)})
        raise LabError("; ".join(reasons), hint=f"apt-get install {' '.join(names)}" if names else "run it as root")
