# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/counters.py by tests/collection/copies.py: change it there.
"""The kernel's TCP counters, by name. Columns differ between kernels, so the header lines decide.

Sockets are counted by /proc/net/sockstat and Tcp.CurrEstab alone: that costs the same with ten connections as with a
million. What they cannot tell, CLOSE_WAIT above all, needs a walk over every socket and is left to a diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SCRIPT = """
set -- /proc/net/netstat /proc/net/snmp /proc/net/sockstat /proc/net/sockstat6
grep -s '' "$@" /proc/net/softnet_stat /proc/net/stat/nf_conntrack
"""

_FOLDER = "/proc/net/"
_SOFTNET = {
    "processed": 0,
    "dropped": 1,
    "time_squeeze": 2,
    "received_rps": 9,
    "flow_limit_count": 10,
}
"""Name of a column -> its place. The file has no header, and older kernels end earlier."""


def parse(lines: Sequence[str]) -> dict[str, int]:
    """Understand the section: name -> value, in the order of the files.

    Raises ValueError where names and numbers do not fit, or where there is no counter of TCP at all.
    """
    texts: dict[str, list[str]] = {}
    for line in lines:
        path, colon, text = line.partition(":")
        if not colon or not path.startswith(_FOLDER):
            raise ValueError(f"unexpected line {line!r}")
        texts.setdefault(path.removeprefix(_FOLDER), []).append(text)
    found: dict[str, int] = {}
    for name in ("netstat", "snmp"):
        found.update(_with_headers(texts.get(name, [])))
    for name in ("sockstat", "sockstat6"):
        found.update(_in_pairs(name, texts.get(name, [])))
    found.update(_softnet(texts.get("softnet_stat", [])))
    found.update(_conntrack(texts.get("stat/nf_conntrack", [])))
    if "Tcp.ActiveOpens" not in found:
        raise ValueError("/proc/net/snmp tells no counters of TCP")
    return found


def _with_headers(lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Read pairs of lines, 'Tcp: ActiveOpens PassiveOpens' above 'Tcp: 5 9'."""
    for head, row in zip(lines[::2], lines[1::2], strict=True):
        group, _, names = head.partition(":")
        same, _, values = row.partition(":")
        if group != same:
            raise ValueError(f"names of {group} above numbers of {same}")
        for name, value in zip(names.split(), values.split(), strict=True):
            yield f"{group}.{name}", int(value)


def _in_pairs(file: str, lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Read lines such as 'TCP: inuse 2 orphan 0'."""
    for line in lines:
        group, _, text = line.partition(":")
        words = text.split()
        for name, value in zip(words[::2], words[1::2], strict=True):
            yield f"{file}.{group}.{name}", int(value)


def _softnet(rows: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Add up the rows, one a processor, in hexadecimal."""
    table = [[int(word, 16) for word in row.split()] for row in rows]
    for name, column in _SOFTNET.items():
        if table and all(len(row) > column for row in table):
            yield f"softnet_stat.{name}", sum(row[column] for row in table)


def _conntrack(lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Add up the rows below the names, one a processor, in hexadecimal. There are none before the module is loaded."""
    names, rows = (lines[0].split(), [line.split() for line in lines[1:]]) if lines else ([], [])
    # Every row repeats the one number of entries there are: that is no count, and the section conntrack has it.
    for column, name in enumerate(names):
        if name != "entries" and all(len(row) == len(names) for row in rows):
            yield f"nf_conntrack.{name}", sum(int(row[column], 16) for row in rows)
