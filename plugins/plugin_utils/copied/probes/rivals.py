# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/rivals.py by tests/collection/copies.py: change it there.
"""Who else may write these settings: by process name in one `grep`, by unit, and by files.

A process is known by the first 15 letters of its name, all that the kernel keeps.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import Rival, Rivals

COMMS = {
    "tuned": "tuned",
    "kubelet": "kubelet",
    "kube-proxy": "kube-proxy",
    "k3s-server": "k3s",
    "k3s-agent": "k3s",
    "dockerd": "docker",
    "NetworkManager": "NetworkManager",
    "systemd-network": "systemd-networkd",
    "bpftune": "bpftune",
}
"""Name of a process -> rival."""

FILES = {
    "tuned": ("/etc/tuned/active_profile",),
    "sapconf": ("/etc/sysconfig/sapconf", "/var/lib/sapconf/act_profile"),
    "saptune": ("/etc/sysconfig/saptune", "/etc/saptune"),
    "kubelet": ("/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet.conf"),
    "kube-proxy": ("/var/lib/kube-proxy",),
    "k3s": ("/etc/rancher/k3s",),
    "docker": ("/etc/docker/daemon.json",),
    "ufw": ("/etc/ufw/ufw.conf", "/etc/ufw/sysctl.conf"),
    "NetworkManager": ("/etc/NetworkManager/NetworkManager.conf",),
    "cloud-init": ("/etc/cloud/cloud.cfg", "/etc/cloud/cloud-init.disabled", "/run/cloud-init"),
    "bpftune": ("/etc/bpftune.conf",),
}
"""Rival -> files that tell of it."""

UNITS = ("tuned", "sapconf", "saptune", "kubelet", "kube-proxy", "k3s", "docker", "ufw", "NetworkManager",
         "systemd-networkd", "cloud-init", "bpftune")  # fmt: skip
"""Rivals with a unit of the same name."""

_PROCESSES = 4000
"""With more than these their names are not read: each costs the host some microseconds."""

SCRIPT = rf"""
set -- /proc/[0-9]*/comm
printf 'processes %s\n' "$#"
[ -r /proc/1/comm ] || echo hidden
[ $# -gt {_PROCESSES} ] || grep -h -s -x -E '{"|".join(COMMS)}' "$@"
for file in {" ".join(file for files in FILES.values() for file in files)}; do
  [ ! -e "$file" ] || printf 'file %s\n' "$file"
done
for link in /etc/systemd/system/*.wants/*.service; do
  case ${{link##*/}} in {"|".join(f"{unit}.service" for unit in UNITS)}) printf 'enabled %s\n' "$link" ;; esac
done
{{
  line=
  IFS= read -r line </etc/tuned/active_profile
  [ -z "$line" ] || printf 'tuned_profile %s\n' "$line"
  while IFS= read -r line; do
    case $line in ENABLED=*) printf 'ufw_enabled %s\n' "$line" ;; esac
  done </etc/ufw/ufw.conf
}} 2>/dev/null
"""


def parse(lines: Sequence[str]) -> Rivals:
    """Understand the section: the rivals by name.

    Raises ValueError for a line that is none of ours.
    """
    running: set[str] = set()
    enabled: set[str] = set()
    files: dict[str, list[str]] = {}
    details: dict[str, str] = {}
    notes: list[str] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "processes":
            if int(rest) > _PROCESSES:
                notes.append(f"names of processes were not read: there are {rest}")
        elif line == "hidden":
            notes.append("processes of other users are hidden from this login")
        elif word == "file":
            name = next((name for name, paths in FILES.items() if rest in paths), None)
            if name is None:
                raise ValueError(f"unexpected line {line!r}")
            files.setdefault(name, []).append(rest)
        elif word == "enabled":
            enabled.add(rest.rpartition("/")[2].removesuffix(".service"))
        elif word == "tuned_profile":
            details["tuned"] = rest.strip()
        elif word == "ufw_enabled":
            details["ufw"] = rest.strip()
        elif line in COMMS:
            running.add(COMMS[line])
        else:
            raise ValueError(f"unexpected line {line!r}")
    return Rivals(
        found=tuple(
            Rival(
                name=name,
                running=True if name in running else None if notes else False,
                enabled=name in enabled,
                files=tuple(files.get(name, ())),
                detail=details.get(name),
            )
            for name in sorted(running | enabled | set(files))
        ),
        notes=tuple(notes),
    )
