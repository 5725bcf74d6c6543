"""The host itself: kernel, distribution, memory, processors. Read with the shell's own `read`, no process per fact."""

from __future__ import annotations

from collections.abc import Sequence

from tcptune.domain.facts import System

SCRIPT = r"""
first() { line=; [ -r "$1" ] && IFS= read -r line <"$1"; printf '%s\n' "$2 $line"; }
first /proc/sys/kernel/osrelease kernel
first /proc/sys/kernel/random/boot_id boot_id
first /proc/sys/kernel/hostname hostname
if [ -d /run/systemd/system ]; then echo 'systemd 1'; else echo 'systemd 0'; fi
while IFS= read -r line; do
  case $line in ID=*|VERSION_ID=*) printf 'os %s\n' "$line" ;; esac
done 2>/dev/null </etc/os-release
while read -r name value _; do
  case $name in MemTotal:) printf 'memory_kib %s\n' "$value"; break ;; esac
done </proc/meminfo
n=0
while read -r name _; do
  case $name in cpu[0-9]*) n=$((n + 1)) ;; esac
done </proc/stat
printf 'cpus %s\n' "$n"
while read -r name value _; do
  case $name in KernelPageSize:) printf 'page_kib %s\n' "$value"; break ;; esac
done </proc/self/smaps
while read -r name value _; do
  case $name in Uid:) printf 'user %s\n' "$value"; break ;; esac
done </proc/self/status
"""


def parse(lines: Sequence[str]) -> System:
    """Understand the section.

    Raises KeyError or ValueError where a fact that every Linux has is missing.
    """
    said: dict[str, str] = {}
    release: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(" ")
        if name == "os":
            variable, _, text = value.partition("=")
            release[variable] = text.strip().strip("\"'")
        else:
            said[name] = value.strip()
    if not said["kernel"]:
        raise ValueError("the host told no kernel release")
    return System(
        kernel=said["kernel"],
        distribution=release.get("ID", "unknown"),
        version=release.get("VERSION_ID", ""),
        memory_bytes=int(said["memory_kib"]) * 1024,
        cpus=int(said["cpus"]),
        # Absent only where /proc/self/smaps is closed off; then the usual size.
        page_size_bytes=int(said.get("page_kib", "4")) * 1024,
        boot_id=said["boot_id"],
        hostname=said["hostname"],
        systemd=said["systemd"] == "1",
        user=said["user"],
    )
