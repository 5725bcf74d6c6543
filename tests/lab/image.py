"""The files that every host has in place of the machine's: a fresh Debian's, not those of whoever runs the lab.

Written as layers for overlayfs. A layer's folder marked opaque hides the machine's folder of the same name whole.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from tests.lab import keys
from tests.lab.hosts import LabHost

OPERATOR = "operator"
OPERATOR_ID = 1000
# Debian has a group called operator, so the user's own group cannot be.
USERS_GROUP_ID = 100
NOBODY_ID = 65534

NOPASSWD = f"{OPERATOR} ALL=(ALL:ALL) NOPASSWD: ALL\n"
WITH_PASSWORD = f"{OPERATOR} ALL=(ALL:ALL) ALL\n"

# Folders in which tcptune writes or which it reads to know the next boot.
OPAQUE = ("etc/modules-load.d", "etc/security/limits.d", "etc/sudoers.d", "etc/sysctl.d")

FILES = {
    "etc/resolv.conf": "",
    "etc/sudoers": """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
@includedir /etc/sudoers.d
""",
    "etc/sudoers.d/operator": NOPASSWD,
    "etc/sysctl.conf": """\
#
# /etc/sysctl.conf - Configuration file for setting system variables
# See /etc/sysctl.d/ for additional system variables.
# See sysctl.conf (5) for information.
#
""",
    "etc/sysctl.d/README.sysctl": """\
Kernel system variables configuration files

Files found under the /etc/sysctl.d directory that end with .conf are
parsed within sysctl(8) at boot time.
""",
}

SSHD_CONFIG = """\
ListenAddress {address}
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
PidFile /run/sshd.pid
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
# A controller opens sessions to all hosts at once, and tests open many to one.
MaxStartups 200:30:400
MaxSessions 200
# An agent may offer its own keys first.
MaxAuthTries 30
AcceptEnv LANG LC_*
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
"""


def write_common(layer: Path, directory: Path) -> None:
    """Write the layer `layer` that all hosts share; `directory` has the keys."""
    shutil.rmtree(layer, ignore_errors=True)
    for folder in OPAQUE:
        (layer / folder).mkdir(parents=True)
        os.setxattr(layer / folder, "trusted.overlay.opaque", b"y")
    (layer / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    for path, text in FILES.items():
        (layer / path).write_text(text)
    for path in ("etc/sudoers", "etc/sudoers.d/operator"):
        (layer / path).chmod(0o440)
    _write_accounts(layer / "etc")
    (layer / "etc/ssh").mkdir()
    shutil.copyfile(keys.user_key(directory).with_suffix(".pub"), layer / "etc/ssh/authorized_keys")


def write_host(disk: Path, directory: Path, host: LabHost) -> None:
    """Write `host`'s own layer and empty all that it has written; `disk` is its folder."""
    shutil.rmtree(disk, ignore_errors=True)
    ssh = disk / "etc/ssh"
    ssh.mkdir(parents=True)
    for kind in keys.HOST_KEY_TYPES:
        key = keys.host_key(directory, host.name, kind)
        for path in (key, key.with_suffix(".pub")):
            shutil.copy2(path, ssh / path.name)
    (ssh / "sshd_config").write_text(SSHD_CONFIG.format(address=host.address) + _sshd_extras())
    (disk / "etc/hostname").write_text(f"{host.name}\n")
    (disk / "etc/hosts").write_text(f"127.0.0.1 localhost\n::1 localhost\n{host.address} {host.name}\n")
    (disk / "etc/machine-id").write_text(f"{uuid.uuid5(uuid.NAMESPACE_URL, f'{directory}/{host.name}').hex}\n")
    for tree in ("etc", "var/lib", "var/log"):
        (disk / "upper" / tree).mkdir(parents=True)
        (disk / "work" / tree).mkdir(parents=True)
    for tree, mode in (("root", 0o700), ("home", 0o755), ("var/tmp", 0o1777)):
        (disk / tree).mkdir(parents=True)
        (disk / tree).chmod(mode)
    home = disk / "home" / OPERATOR
    home.mkdir(mode=0o700)
    os.chown(home, OPERATOR_ID, USERS_GROUP_ID)


def _write_accounts(etc: Path) -> None:
    """Write the machine's system accounts and operator; no password opens any of them.

    A `*` is no password; a `!` would lock the account against keys as well.
    """
    users = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines() if line.count(":") == 6]
    users = [user for user in users if _is_system(user[2]) and user[0] != OPERATOR]
    users.append([OPERATOR, "x", str(OPERATOR_ID), str(USERS_GROUP_ID), "", f"/home/{OPERATOR}", "/bin/bash"])
    groups = [line.split(":") for line in Path("/etc/group").read_text().splitlines() if line.count(":") == 3]
    groups = [group for group in groups if _is_system(group[2])]
    shadow_group = next((int(group[2]) for group in groups if group[0] == "shadow"), 0)

    (etc / "passwd").write_text("".join(":".join(user) + "\n" for user in users))
    (etc / "group").write_text("".join(":".join([*group[:3], ""]) + "\n" for group in groups))
    (etc / "shadow").write_text("".join(f"{user[0]}:*:19000:0:99999:7:::\n" for user in users))
    (etc / "gshadow").write_text("".join(f"{group[0]}:*::\n" for group in groups))
    for secret in ("shadow", "gshadow"):
        os.chown(etc / secret, 0, shadow_group)
        (etc / secret).chmod(0o640)


def _is_system(number: str) -> bool:
    return int(number) < OPERATOR_ID or int(number) == NOBODY_ID


def _sshd_extras() -> str:
    # From 9.8 on sshd shuts out an address that failed too often. Here all of them are ours, and tests fail on purpose.
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", version)
    return "PerSourcePenalties no\n" if found and (int(found[1]), int(found[2])) >= (9, 8) else ""
