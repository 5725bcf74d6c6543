"""A lab host as a test sees it: what it holds, and what somebody does to it by hand."""

from __future__ import annotations

import json

from tests.lab import Lab, LabHost

PROFILE = "web-frontend"
DROPIN = "/etc/sysctl.d/99-tcptune.conf"
SOMAXCONN = "net.core.somaxconn"

# What has to be allowed on every host: PROFILE widens the port range.
RISK = "net.ipv4.ip_local_port_range"
ALLOWED = ("--allow-risk", RISK)
GRANTED = ("-e", json.dumps({"tcp_settings_allow_risk": [RISK]}))
"""The same, said to plain Ansible."""

# What a fresh host lacks to meet PROFILE.
WANTED = {
    SOMAXCONN: "8192",
    "net.ipv4.ip_local_port_range": "10240 65535",
    "net.ipv4.tcp_keepalive_intvl": "30",
    "net.ipv4.tcp_keepalive_probes": "3",
    "net.ipv4.tcp_keepalive_time": "300",
    "net.ipv4.tcp_mtu_probing": "1",
    "net.ipv4.tcp_notsent_lowat": "131072",
    "net.ipv4.tcp_slow_start_after_idle": "0",
}

# Secrets and places to write alone are not read; nothing in here moves by itself.
_VALUES = "grep -rs --exclude=tcp_fastopen_key '' /proc/sys/net/core /proc/sys/net/ipv4 || true"
_FILES = r"""
find /etc \( -type f -o -type l \) -printf '%p\tis %y %m %U:%G %l\n'
find /etc -type f -exec sha256sum {} + | while read -r digest path; do printf '%s\t%s\n' "$path" "$digest"; done
"""
_TRACES = r"""
find /etc -type f -printf '%p\t%i %T@ %C@\n'
find /etc -type d -printf '%p\t%T@\n'
find /var/lib/tcptune -printf '%p\t%T@\n' 2>/dev/null || true
"""


class Machine:
    """One host."""

    def __init__(self, lab: Lab, host: LabHost) -> None:
        self.lab = lab
        self.name = host.name
        self.address = host.address

    def __repr__(self) -> str:
        return self.name

    def run(self, *argv: str, text: str | None = None) -> str:
        """Run a command as root, and give what it said."""
        return self.lab.run(self.name, argv, input=text).stdout

    def value(self, key: str) -> str:
        """Give the kernel's value, with single spaces."""
        return " ".join(self.run("cat", f"/proc/sys/{key.replace('.', '/')}").split())

    def values(self, *keys: str) -> dict[str, str]:
        """Give some of the kernel's values."""
        return {key: self.value(key) for key in keys or WANTED}

    def set(self, values: dict[str, str]) -> None:
        """Set values at runtime."""
        for key, value in values.items():
            self.run("tee", f"/proc/sys/{key.replace('.', '/')}", text=value)

    def read(self, path: str) -> str:
        """Give the text of a file."""
        return self.run("cat", path)

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file."""
        self.run("tee", path, text=text)
        self.run("chmod", mode, path)

    def answer_nobody_here(self) -> None:
        """Let no packet go back to the machine that the tests run on; the other hosts have their answers."""
        self.run("ip", "route", "add", "blackhole", f"{self.address.rpartition('.')[0]}.1/32")

    def reboot(self) -> None:
        """Do what a power cut does."""
        self.lab.reboot(self.name)

    def state(self) -> dict[str, str]:
        """Give every TCP setting, and every file of /etc with its bytes' digest, mode and owner."""
        said = self.run("sh", "-c", _VALUES).splitlines()
        values: dict[str, str] = {}
        for line in said:
            path, _, text = line.partition(":")
            values[path] = " ".join(f"{values.get(path, '')} {text}".split())
        return values | _table(self.run("sh", "-c", _FILES))

    def traces(self) -> dict[str, str]:
        """Give what any write would leave: times and inodes of /etc, and tcptune's own records."""
        return _table(self.run("sh", "-c", _TRACES))


def lines(values: dict[str, str]) -> str:
    """Give the text of a sysctl.d file."""
    return "".join(f"{key} = {value}\n" for key, value in values.items())


def _table(said: str) -> dict[str, str]:
    table: dict[str, str] = {}
    for line in said.splitlines():
        path, _, text = line.partition("\t")
        table[path] = f"{table.get(path, '')} {text}".strip()
    return table
