"""A host without Python, SSH or a network of its own: a folder with busybox, and a connection plugin that enters it.

It is what Ansible's chroot connection does, and near enough to a container: every command goes through another program.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path


def jail(folder: Path, dropin: str) -> Path:
    """Make the host below `folder`, and the plugin in folder/connection_plugins. Return the host's root."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    root = folder / "root"
    for name in ("bin", "proc", "sys", "etc/sysctl.d", "tmp", "root", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(busybox, root / "bin/busybox")
    for library in re.findall(r"(/\S+) \(", subprocess.check_output(["ldd", busybox], text=True)):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    for name in subprocess.check_output([busybox, "--list"], text=True).split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    os.mknod(root / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    # Without it busybox makes "~root" of "~root/.ansible".
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/sysctl.d/99-tcptune.conf").write_text(dropin)
    # Without it, busybox 1.35 makes ~root of ~root/.ansible where that stands in backquotes.
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    plugin = folder / "connection_plugins/lab_chroot.py"
    plugin.parent.mkdir()
    plugin.write_text(_CHROOT)
    return root


_CHROOT = '''
import os, shutil, subprocess
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: lab_chroot
short_description: A folder as a host
description: Runs every command through chroot.
options:
  root:
    description: The folder.
    vars: [{name: ansible_host}]
"""


class Connection(ConnectionBase):
    transport = "lab_chroot"
    has_pipelining = False

    def _connect(self):
        self._connected = True
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        root = self.get_option("root")
        script = f"mount -t proc proc {root}/proc && exec chroot {root} /bin/sh -c \\"$1\\""
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", cmd], input=in_data, capture_output=True)
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path, out_path):
        shutil.copy(in_path, self.get_option("root") + out_path)

    def fetch_file(self, in_path, out_path):
        shutil.copy(self.get_option("root") + in_path, out_path)

    def close(self):
        self._connected = False
'''
