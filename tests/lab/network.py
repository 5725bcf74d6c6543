"""The one cable from this machine to a lab's switch, and the addresses on it.

A lab's interface is `tcptune-labN` with 10.213.N.1/24. The kernel lets a name exist once, so whoever makes the
interface owns the network: labs need no common file to agree. No route but that /24, no forwarding, no NAT.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

from tests.lab import hosts
from tests.lab.errors import LabError
from tests.lab.processes import BOOT_ID, Process

POOL = ipaddress.IPv4Network("10.213.0.0/16")
NUMBERS = range(1, 255)


def claim(directory: Path, switch: Process, preferred: int | None) -> int:
    """Plug this machine into `switch` over a network that nothing here uses, and give its number.

    The same directory gets the same network as long as it is free.
    """
    used = _networks_in_use()
    first = preferred or NUMBERS[zlib.crc32(bytes(directory)) % len(NUMBERS)]
    for offset in range(len(NUMBERS)):
        network = NUMBERS[(NUMBERS.index(first) + offset) % len(NUMBERS)]
        if any(_subnet(network).overlaps(other) for other in used):
            continue
        cable = ["link", "add", _interface(network), "type", "veth", "peer", "name", "uplink", "netns", str(switch.pid)]
        made = subprocess.run(["ip", *cable], capture_output=True, text=True, check=False)
        if made.returncode == 0:
            _configure(directory, switch, network)
            return network
        if "File exists" not in made.stderr:
            raise LabError(f"cannot make the interface {_interface(network)}: {made.stderr.strip()}")
    raise LabError(
        f"every network in {POOL} is in use", hint="end labs that nobody needs: python -m tests.lab down --dir DIR"
    )


def plugged_in(network: int) -> bool:
    """Tell whether this machine's end of the cable is there and has its address."""
    shown = subprocess.run(["ip", "-j", "-4", "address", "show", _interface(network)], capture_output=True, check=False)
    if shown.returncode != 0:
        return False
    links: list[dict[str, Any]] = json.loads(shown.stdout or "[]")
    addresses = [entry["local"] for link in links for entry in link.get("addr_info", [])]
    return addresses == [hosts.address(network, 0)] and "LOWER_UP" in links[0]["flags"]


def orphans(directory: Path) -> list[Process]:
    """Find switches of this lab whose directory was deleted: the interface remembers whose it is."""
    found = []
    for link in _show("link"):
        kind, _, rest = link.get("ifalias", "").partition(" ")
        identity, _, owner = rest.partition(" ")
        pid, _, start_ticks = identity.partition("/")
        if kind == "tcptune-lab" and owner == str(directory) and pid.isdigit() and start_ticks.isdigit():
            found.append(Process(int(pid), int(start_ticks), BOOT_ID.read_text().strip()))
    return found


def unplug(directory: Path) -> None:
    """Remove this lab's interface now. It would go by itself, some time after the switch has gone."""
    for link in _show("link"):
        alias = link.get("ifalias", "")
        if alias.startswith("tcptune-lab ") and alias.split(" ", 2)[2:] == [str(directory)]:
            subprocess.run(["ip", "link", "delete", link["ifname"]], capture_output=True, check=False)


def unplug_hosts(switch: Process, names: list[str]) -> None:
    """Take dead hosts off the switch, so that others can have their ports at once."""
    _on_switch(switch, "".join(f"link delete {name}\n" for name in names), force=True)


def set_port(switch: Process, name: str, *, up: bool) -> None:
    """Plug in or pull out the cable of a host, at the switch."""
    _on_switch(switch, f"link set {name} {'up' if up else 'down'}\n")


def _configure(directory: Path, switch: Process, network: int) -> None:
    interface = _interface(network)
    alias = f"tcptune-lab {switch.pid}/{switch.start_ticks} {directory}"
    for command in (
        # IPv4 only: an interface that talks IPv6 by itself would be one more thing to explain.
        ["link", "set", interface, "alias", alias, "addrgenmode", "none"],
        ["address", "add", f"{hosts.address(network, 0)}/24", "dev", interface],
        ["link", "set", interface, "up"],
    ):
        subprocess.run(["ip", *command], capture_output=True, check=True)
    _on_switch(switch, "link set uplink master br0 addrgenmode none\nlink set uplink up\n")


def _on_switch(switch: Process, commands: str, *, force: bool = False) -> None:
    batch = ["ip", *(["-force"] if force else []), "-batch", "-"]
    inside = ["nsenter", "--target", str(switch.pid), "--net", *batch]
    subprocess.run(inside, input=commands, text=True, capture_output=True, check=not force)


def _interface(network: int) -> str:
    return f"tcptune-lab{network}"


def _subnet(network: int) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(f"{hosts.address(network, 0)}/24", strict=False)


def _networks_in_use() -> list[ipaddress.IPv4Network]:
    """List what this machine routes within our pool. A wider route, as of a VPN, may stay: ours is more specific."""
    found = []
    for route in _show("-4", "route", "show", "table", "all"):
        try:
            network = ipaddress.IPv4Network(route["dst"], strict=False)
        except (KeyError, ValueError):
            continue
        if network.subnet_of(POOL):
            found.append(network)
    return found


def _show(*arguments: str) -> list[dict[str, Any]]:
    shown = subprocess.run(["ip", "-j", *arguments], capture_output=True, check=True)
    links: list[dict[str, Any]] = json.loads(shown.stdout or "[]")
    return links
