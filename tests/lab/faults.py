"""Make a host as hosts sometimes are: down, cut off, not the one we know, or without sudo."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.lab import files, image, network
from tests.lab.hosts import LabHost
from tests.lab.processes import Process

SUDOERS = f"/etc/sudoers.d/{image.OPERATOR}"

# The processes that /proc shows here are this host's alone. Sessions end as well: a host that is down keeps none.
STOP_SSHD = """
for process in /proc/[0-9]*; do
    read -r name <"$process/comm" || continue
    case $name in sshd*) kill -KILL "${process#/proc/}" || : ;; esac
done 2>/dev/null
rm -f /run/sshd.pid
"""

# sshd goes to the background before it listens, and writes its pid after.
START_SSHD = """
! kill -0 "$(cat /run/sshd.pid)" || exit 0
rm -f /run/sshd.pid
/usr/sbin/sshd -E /var/log/sshd.log || exit
for _ in $(seq 500); do
    [ ! -s /run/sshd.pid ] || exit 0
    sleep 0.01
done
exit 1
"""


class Faults(ABC):
    """Faults of single hosts. `restore` takes back all of them, and so does `Lab.reset`."""

    directory: Path

    def deny_sudo(self, name: str | LabHost) -> None:
        """Let sudo know nothing of operator."""
        self.run(name, ["rm", "-f", SUDOERS])

    def sudo_with_password(self, name: str | LabHost, password: str) -> None:
        """Let sudo ask operator for `password`."""
        self.run(name, ["chpasswd", "--crypt-method", "SHA512"], input=f"{image.OPERATOR}:{password}\n")
        self._write_sudoers(name, image.WITH_PASSWORD)

    def stop_sshd(self, name: str | LabHost) -> None:
        """Refuse connections, and cut those there are."""
        self.run(name, ["sh", "-c", STOP_SSHD])

    def start_sshd(self, name: str | LabHost) -> None:
        """Accept connections again; do nothing where they are."""
        self.run(name, ["sh", "-c", START_SSHD])

    def link_down(self, name: str | LabHost) -> None:
        """Pull the host's cable out of the switch: packets vanish, nothing answers."""
        network.set_port(self._required_switch(), self.host(name).name, up=False)

    def link_up(self, name: str | LabHost) -> None:
        """Plug the cable in again."""
        network.set_port(self._required_switch(), self.host(name).name, up=True)

    def wrong_host_key(self, name: str | LabHost) -> None:
        """Let known_hosts have another key for the host than it shows."""
        with files.locked(self.directory):
            files.write_known_host(self.directory, self.host(name), wrong=True)

    def right_host_key(self, name: str | LabHost) -> None:
        """Let known_hosts have the host's own keys."""
        with files.locked(self.directory):
            files.write_known_host(self.directory, self.host(name), wrong=False)

    def restore(self, name: str | LabHost) -> None:
        """Take back every fault. What else was changed on the host stays."""
        self.run(name, ["chpasswd", "--encrypted"], input=f"{image.OPERATOR}:*\n")
        self.run(name, ["rm", "-rf", "/run/sudo/ts"])
        self._write_sudoers(name, image.NOPASSWD)
        self.link_up(name)
        self.start_sshd(name)
        self.right_host_key(name)

    @abstractmethod
    def host(self, name: str | LabHost) -> LabHost:
        """Give a host as it is now."""

    @abstractmethod
    def run(
        self,
        name: str | LabHost,
        argv: Sequence[str],
        *,
        input: str | None = None,  # noqa: A002
        check: bool = True,
        timeout_s: float = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` as root within a host."""

    @abstractmethod
    def _required_switch(self) -> Process: ...

    def _write_sudoers(self, name: str | LabHost, text: str) -> None:
        self.run(name, ["install", "-m", "0440", "/dev/stdin", SUDOERS], input=text)
