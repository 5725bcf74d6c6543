# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/drops.py by tests/collection/copies.py: change it there.
"""What was lost before TCP saw it: by each processor's backlog, and by each interface with the driver's own reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.strain import Drops, LinkDrops, SoftnetCpu

_LINKS = 64
_CPUS = 512
_COUNTS = (
    "rx_packets",
    "tx_packets",
    "rx_dropped",
    "rx_errors",
    "rx_missed_errors",
    "rx_fifo_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_length_errors",
    "rx_nohandler",
    "tx_dropped",
    "tx_errors",
    "tx_fifo_errors",
    "tx_carrier_errors",
    "tx_aborted_errors",
    "collisions",
)
_SYS = "/sys/class/net/"
_SOFTNET = "/proc/net/softnet_stat"
_CPU_COLUMN = 12

# Devices first, so that the limit never leaves out the links that carry the traffic.
SCRIPT = f"""
grep -s -m {_CPUS + 1} '' /dev/null {_SOFTNET}
sed -n 's/^ *\\([^ ]*\\):.*/here \\1/p' /proc/net/dev
set -- {_SYS}*/statistics
[ -e "$1" ] || shift
printf 'total %s\\n' "$#"
set --
n=0
for kind in device virtual; do
  for link in {_SYS}*; do
    [ -d "$link/statistics" ] || continue
    if [ -e "$link/device" ]; then is=device; else is=virtual; fi
    [ "$is" = "$kind" ] || continue
    n=$((n + 1)); [ "$n" -le {_LINKS} ] || break
    set -- "$@" "$link/carrier_changes"
    for count in {" ".join(_COUNTS)}; do set -- "$@" "$link/statistics/$count"; done
  done
done
grep -s '' /dev/null "$@"
"""


def parse(lines: Sequence[str]) -> Drops:
    """Understand the section.

    Raises ValueError for a line that is none of ours, or where the host tells neither processors nor interfaces.
    """
    total = 0
    here: set[str] = set()
    rows: list[str] = []
    links: dict[str, dict[str, int]] = {}
    for line in lines:
        if line.startswith(f"{_SOFTNET}:"):
            rows.append(line.partition(":")[2])
        elif line.startswith(_SYS):
            # An interface's name may hold a colon, and no slash.
            link, _, rest = line.removeprefix(_SYS).partition("/")
            name, _, number = rest.removeprefix("statistics/").partition(":")
            links.setdefault(link, {})[name] = int(number)
        elif line.startswith("total "):
            total = int(line.removeprefix("total "))
        elif line.startswith("here "):
            here.add(line.removeprefix("here "))
        else:
            raise ValueError(f"unexpected line {line!r}")
    ours = links.keys() <= here and total == len(here)
    if not rows and not here:
        raise ValueError(f"neither {_SOFTNET} nor /proc/net/dev can be read")
    return Drops(
        softnet=tuple(_cpu(place, row) for place, row in enumerate(rows[:_CPUS])),
        links=tuple(LinkDrops(name=name, counts=counts) for name, counts in links.items() if ours),
        links_left_out=max(0, total - len(links)) if ours else 0,
        cpus_left_out=max(0, len(rows) - _CPUS),
        notes=tuple(_notes(rows, links, ours=ours)),
    )


def _notes(rows: Sequence[str], links: dict[str, dict[str, int]], *, ours: bool) -> Iterator[str]:
    if not rows:
        yield f"drops of processors are not known: {_SOFTNET} cannot be read"
    if not ours:
        why = f"{_SYS[:-1]} shows another network namespace" if links else f"there is no {_SYS[:-1]}"
        yield f"drops of interfaces are not known: {why}"


def _cpu(place: int, row: str) -> SoftnetCpu:
    # No header names the columns, and older kernels end earlier: net/core/net-procfs.c.
    words = [int(word, 16) for word in row.split()]
    if len(words) < 3:
        raise ValueError(f"{row!r} is no row of {_SOFTNET}")
    return SoftnetCpu(
        cpu=words[_CPU_COLUMN] if len(words) > _CPU_COLUMN else place,
        processed=words[0],
        dropped=words[1],
        time_squeeze=words[2],
        received_rps=words[9] if len(words) > 9 else None,
        flow_limit_count=words[10] if len(words) > 10 else None,
    )
