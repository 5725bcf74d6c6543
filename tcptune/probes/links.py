"""Network interfaces, by one `grep`, and their addresses, by one `ip`.

Names and counters come from /proc/net/dev, which always speaks of the network namespace the probe runs in. /sys speaks
of the namespace it was mounted in, which may be another: what it says counts only where both name the same links.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from tcptune.domain.state import Link, Links

MOST = 64
"""How many links are described; the rest is counted."""

_ROWS = 512
"""How many links the host names at most, so that a node full of containers does not fill the answer."""

_ADDRESSES = 256

_DEV = "/proc/net/dev:"
_SYS = "/sys/class/net/"

# Devices first, so that the limit never leaves out the links that carry the traffic.
SCRIPT = f"""
set -- /sys/class/net/*
[ -e "$1" ] || shift
printf 'total %s\\n' "$#"
set --
n=0
for link in /sys/class/net/*; do
  [ -e "$link/device" ] || continue
  n=$((n + 1)); [ "$n" -le {MOST} ] || break
  printf 'device %s\\n' "${{link##*/}}"
  set -- "$@" "$link/mtu" "$link/operstate" "$link/speed"
done
for link in /sys/class/net/*; do
  if [ ! -e "$link/mtu" ] || [ -e "$link/device" ]; then continue; fi
  n=$((n + 1)); [ "$n" -le {MOST} ] || break
  printf 'virtual %s\\n' "${{link##*/}}"
  set -- "$@" "$link/mtu" "$link/operstate" "$link/speed"
done
grep -s -m {_ROWS + 2} '' /proc/net/dev "$@"
ip -o addr show 2>/dev/null |
  sed -n -e 's/^[0-9]*: [^ ]* *inet6\\{{0,1\\}} \\([^ /]*\\).*/address \\1/p' -e {_ADDRESSES}q
"""


def parse(lines: Sequence[str]) -> Links:
    """Understand the section.

    Raises ValueError for a line that is none of ours, or where no link is named: every namespace has one.
    """
    total = 0
    kinds: dict[str, bool] = {}
    said: dict[tuple[str, str], str] = {}
    rows: dict[str, list[int]] = {}
    addresses: list[str] = []
    for line in lines:
        if line.startswith(_DEV):
            name, colon, numbers = line.removeprefix(_DEV).rpartition(":")
            # The two header lines have bars and no colon.
            if colon:
                rows[name.strip()] = [int(number) for number in numbers.split()]
        elif line.startswith(_SYS):
            path, _, text = line.removeprefix(_SYS).rpartition(":")
            link, _, attribute = path.rpartition("/")
            said[link, attribute] = text.strip()
        else:
            word, _, rest = line.partition(" ")
            if word == "total":
                total = int(rest)
            elif word in {"device", "virtual"}:
                kinds[rest] = word == "device"
            elif word == "address":
                addresses.append(str(ip_address(rest)))
            else:
                raise ValueError(f"unexpected line {line!r}")
    if not rows:
        raise ValueError("/proc/net/dev names no link")
    found = _links(rows, kinds, said, total)
    return found.model_copy(update={"addresses": tuple(dict.fromkeys(addresses))})


def _links(rows: dict[str, list[int]], kinds: dict[str, bool], said: dict[tuple[str, str], str], total: int) -> Links:
    cut = len(rows) >= _ROWS
    same = set(kinds) <= set(rows) and (cut or total == len(rows))
    if not same:
        why = "it shows another network namespace" if kinds else "there is no /sys/class/net"
        return Links(
            links=tuple(_link(name, row, None, {}) for name, row in list(rows.items())[:MOST]),
            left_out=max(0, len(rows) - MOST),
            notes=(f"MTU, state and speed are not known: {why}",),
        )
    attributes = {name: {a: said[name, a] for a in ("mtu", "operstate", "speed") if (name, a) in said} for name in rows}
    described = [name for name in kinds if name in rows]
    return Links(
        links=tuple(_link(name, rows[name], kinds[name], attributes[name]) for name in described),
        left_out=total - len(described),
    )


def _link(name: str, row: Sequence[int], physical: bool | None, attributes: dict[str, str]) -> Link:
    speed = int(attributes.get("speed") or -1)
    return Link(
        name=name,
        physical=physical,
        mtu=int(attributes["mtu"]) if "mtu" in attributes else None,
        operstate=attributes.get("operstate"),
        # Older kernels print -1 as an unsigned number.
        speed_mbps=speed if 0 < speed < 0xFFFFFFFF else None,
        rx_errors=row[2],
        rx_dropped=row[3],
        tx_errors=row[10],
        tx_dropped=row[11],
    )
