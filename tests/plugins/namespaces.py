"""Commands in network and mount namespaces of their own: real settings, and none of this machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# The child checks that it really is elsewhere before anything is written.
_GUARD = """
set -eu
[ "$(readlink /proc/self/ns/net)" != "$1" ] && [ "$(readlink /proc/self/ns/mnt)" != "$2" ] || exit 99
shift 2
# An /etc of their own, so that folders can be made and taken away anywhere in it.
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc
mkdir -p /etc/sysctl.d /etc/security /etc/modules-load.d /etc/systemd/system
mount -t tmpfs -o mode=0755 tmpfs /etc/sysctl.d
mount -t tmpfs -o mode=0755 tmpfs /var/lib
exec "$@"
"""

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"
)


def elsewhere(command, **more):
    """Run `command` in namespaces of its own, with its own /etc and an empty /var/lib. Return what it did.

    /etc/sysctl.d is empty too, and all that it leaves in /etc is gone with it.
    """
    here = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("net", "mnt")]
    unshare = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _GUARD, "sh", *here]
    done = subprocess.run([*unshare, *command], capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode != 99, "not in namespaces of its own"
    return done
