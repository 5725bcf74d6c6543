"""What the tests want of a virtual machine: settings that only a kernel of one's own has, beside namespaced ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.acceptance.command import Tcptune

# No release has any of these by default.
WANTED = {
    "net.core.netdev_max_backlog": "5000",
    "net.core.somaxconn": "8192",
    "net.ipv4.tcp_mem": "12000 16000 24000",
    "net.ipv4.tcp_rmem": "4096 131072 8388608",
    "net.ipv4.tcp_slow_start_after_idle": "0",
}


# The connection tracker is a module that nobody loads before a rule of a firewall does. No release has any of these.
TRACKED = {
    "net.netfilter.nf_conntrack_max": "30000",
    "net.netfilter.nf_conntrack_tcp_be_liberal": "1",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "7200",
}


class Patient(Tcptune):
    """The command, for a host that runs in software on a busy machine: its sudo alone may take more than 10 s."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment |= {"ANSIBLE_TIMEOUT": "90"}
        self.timeout_s = 600.0

    def argv(self, arguments: Sequence[str | Path]) -> list[str]:
        """Give the whole command line, with time for hosts to be read."""
        reads = arguments[0] in {"apply", "audit", "diagnose", "facts", "plan", "verify"}
        more = ["--timeout", "120"] if reads else []
        if arguments[0] == "apply":
            more += ["--allow-risk", "net.ipv4.tcp_mem", "--allow-risk", "net.netfilter.nf_conntrack_max"]
            # Long enough for a test that confirms, and short enough to wait for in one that does not.
            more += [] if "--confirm-within" in arguments else ["--confirm-within", "1h"]
        return super().argv([*arguments, *more])


def profile(tcptune: Tcptune, wanted: Mapping[str, str] = WANTED) -> Path:
    """Write a profile that wants exactly `wanted`."""
    entries = "".join(
        f'  {key}:\n    exactly: "{value}"\n    why: the test looks for it\n    source: the test\n'
        for key, value in wanted.items()
    )
    return tcptune.file(
        "vm.yml", f"profile: vm\nformat_version: 1\nsummary: What the tests want.\nsettings:\n{entries}"
    )
