# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/system.py by tests/collection/copies.py: change it there.
"""The host itself: kernel, distribution, memory, processors, and what it is inside of.

Read with the shell's own `read`: no process per fact, one for the environment of PID 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.facts import System, kernel_version
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import NetNamespace, Virtualization

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
  # What follows the processors is one number for every interrupt there may be.
  case $name in cpu[0-9]*) n=$((n + 1)) ;; intr) break ;; esac
done </proc/stat
printf 'cpus %s\n' "$n"
while read -r name value _; do
  case $name in KernelPageSize:) printf 'page_kib %s\n' "$value"; break ;; esac
done </proc/self/smaps
while read -r name value _; do
  case $name in Uid:) printf 'user %s\n' "$value"; break ;; esac
done </proc/self/status
read -r line _ </proc/uptime && printf 'uptime_s %s\n' "${line%.*}"
if [ -r /run/systemd/container ]; then
  first /run/systemd/container 'container /run/systemd/container'
elif [ -e /run/.containerenv ]; then echo 'container /run/.containerenv podman'
elif [ -e /.dockerenv ]; then echo 'container /.dockerenv docker'
else
  line=$(grep -a -s -o 'container=[A-Za-z0-9_-]*' /proc/1/environ)
  case $? in
    0) printf 'container /proc/1/environ %s\n' "${line#container=}" ;;
    1) ;;
    *) echo 'closed /proc/1/environ' ;;
  esac
fi
first /sys/class/dmi/id/sys_vendor dmi
first /sys/class/dmi/id/product_name dmi
first /sys/hypervisor/type xen
while read -r name _ line; do
  case $name in
    flags) case " $line " in *' hypervisor '*) echo 'flag 1' ;; *) echo 'flag 0' ;; esac; break ;;
    Features|'') break ;;
  esac
done </proc/cpuinfo
for key in ipv4/tcp_keepalive_time core/netdev_max_backlog ipv4/tcp_mem; do
  if [ -e "/proc/sys/net/$key" ]; then echo "has $key"; else echo "lacks $key"; fi
done
"""

_VENDORS = (
    ("KVM", "kvm"),
    ("QEMU", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google", "google"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek GmbH", "virtualbox"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Virtual Machine", "hyper-v"),
    ("Hyper-V", "hyper-v"),
    ("Apple Virtualization", "apple"),
)
"""Part of what the firmware calls itself -> who runs the machine."""
_DMI = "/sys/class/dmi/id"
_FLAG = "the hypervisor flag in /proc/cpuinfo"


def parse(lines: Sequence[str]) -> System:
    """Understand the section.

    Raises KeyError or ValueError where a fact that every Linux has is missing.
    """
    said: dict[str, str] = {}
    release: dict[str, str] = {}
    listed: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(" ")
        listed.setdefault(name, []).append(value.strip())
        if name == "os":
            variable, _, text = value.partition("=")
            release[variable] = text.strip().strip("\"'")
        else:
            said[name] = value.strip()
    if not said["kernel"]:
        raise ValueError("the host told no kernel release")
    # Every verdict rests on it: a release that makes no sense is a host that was not understood.
    kernel_version(said["kernel"])
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
        uptime_s=int(said["uptime_s"]) if "uptime_s" in said else None,
        virtualization=_virtualization(listed),
        namespace=_namespace(listed),
    )


def _virtualization(said: Mapping[str, Sequence[str]]) -> Virtualization | None:
    if not said.keys() & {"container", "closed", "dmi", "flag"}:
        return None
    signs: list[str] = []
    container = None
    for line in said.get("container", ()):
        sign, _, name = line.partition(" ")
        container = name or "unnamed"
        signs.append(sign)
    machine = _machine(said, signs)
    return Virtualization(
        machine=machine, container=container, signs=tuple(signs), unread=tuple(said.get("closed", ()))
    )


def _machine(said: Mapping[str, Sequence[str]], signs: list[str]) -> str | None:
    flag = (said.get("flag") or [""])[0]
    if flag == "0":
        # A bare machine of a cloud has the cloud's name in its firmware, too. The processor knows better.
        signs.append(f"no {_FLAG.removeprefix('the ')}")
        return None
    if flag == "1":
        signs.append(_FLAG)
    firmware = " ".join(said.get("dmi", ()))
    named = next((name for part, name in _VENDORS if part in firmware), None)
    if named is not None:
        signs.append(f"{_DMI}: {firmware.strip()}")
        return named
    if any(said.get("xen", ())):
        signs.append("/sys/hypervisor/type")
        return "xen"
    return "unnamed" if flag == "1" else None


def _namespace(said: Mapping[str, Sequence[str]]) -> NetNamespace | None:
    has, lacks = said.get("has", ()), said.get("lacks", ())
    if not has and not lacks:
        return None
    if "ipv4/tcp_keepalive_time" not in has:
        return NetNamespace(child=None, sign="/proc/sys/net is not what a kernel shows")
    names = [f"net.{key.replace('/', '.')}" for key in lacks]
    if names:
        return NetNamespace(child=True, sign=f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} absent")
    return NetNamespace(child=False, sign="net.core.netdev_max_backlog and net.ipv4.tcp_mem are there")
