# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/listeners.py by tests/collection/copies.py: change it there.
"""What listens, with the backlog it really got, and the limits of who listens.

One `ss` where it is installed. It finds the processes by a look at every open file of every process, about 30 us each,
so it is not asked for them where there are very many. Without ss, /proc/net/tcp tells the sockets, not backlog or
process; it lists listeners first, so reading stops at the first other socket.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import Listener, Listeners
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.processes import ABOUT, is_about, process, told

_LINES = 512
"""How many listeners are described; the rest is counted."""
_PIDS = 64
"""How many processes are described. Workers of one service have the same limits."""
_PIDS_EACH = 4
_SOCKETS = 20000
_PROCESSES = 3000
"""With more than these, ss is not asked for processes."""

_USER = re.compile(r'\("(.*?)",pid=(\d+),fd=\d+\)')

SCRIPT = rf"""
pids=
set -- /proc/[0-9]*
read -r _ _ used _ </proc/net/sockstat
if [ "$#" -gt {_PROCESSES} ]; then why="many $# processes" flags=-Hltn
elif [ "${{used:-0}}" -gt {_SOCKETS} ]; then why="many $used open sockets" flags=-Hltn
else why=owners flags=-Hltnp
fi
if said=$(echo "$why"; ss "$flags" 2>/dev/null); then
  echo 'source ss'
  n=0 known=0
  set -f
  IFS='
'
  for line in $said; do
    n=$((n + 1)); [ "$n" -le {_LINES + 1} ] || continue
    printf '%s\n' "$line"
    each=0
    while case $line in *,pid=*) [ "$each" -lt {_PIDS_EACH} ] ;; *) false ;; esac do
      line=${{line#*,pid=}} each=$((each + 1)) pid=${{line%%,*}}
      case $pid in ''|*[!0-9]*) continue ;; esac
      case "$pids " in *" $pid "*) continue ;; esac
      known=$((known + 1)); [ "$known" -le {_PIDS} ] || break
      pids="$pids $pid"
    done
  done
  unset IFS
  set +f
  printf 'total %s\n' "$((n - 1))"
else
  echo 'source proc'
  for file in /proc/net/tcp /proc/net/tcp6; do
    [ ! -r "$file" ] || sed -n -e 1d -e '/^ *[0-9]*: [0-9A-F]*:[0-9A-F]* [0-9A-F]*:[0-9A-F]* 0A /!q' -e p "$file"
  done
fi
{ABOUT}"""


def parse(lines: Sequence[str]) -> Listeners:
    """Understand the section.

    Raises ValueError for a line that is none of ours, or where the section is empty.
    """
    source = lines[0].partition(" ")[2] if lines else ""
    if source not in {"ss", "proc"}:
        raise ValueError("the host did not say what listens")
    if source == "proc":
        return Listeners(
            source="proc",
            listeners=tuple(_from_proc(line) for line in lines[1:]),
            notes=("backlogs and processes are not known: ss is not installed or refuses",),
        )
    listeners: list[Listener] = []
    names: dict[int, str] = {}
    about: dict[int, dict[str, str]] = {}
    total, many = 0, ""
    for line in lines[1:]:
        word, _, rest = line.partition(" ")
        if word == "total":
            total = int(rest)
        elif word == "many":
            many = rest
        elif is_about(line):
            pid, name, text = told(line)
            about.setdefault(pid, {})[name] = text
        elif word != "owners":
            users = _USER.findall(line)
            names.update({int(pid): name for name, pid in users})
            listeners.append(_from_ss(line, [int(pid) for _, pid in users]))
    return Listeners(
        source="ss",
        listeners=tuple(listeners),
        left_out=max(0, total - len(listeners)),
        processes=tuple(process(pid, names[pid], said) for pid, said in about.items() if pid in names),
        notes=tuple(_notes(listeners, many)),
    )


def _notes(listeners: Iterable[Listener], many: str) -> Iterable[str]:
    without = sum(1 for listener in listeners if not listener.pids)
    if many:
        yield f"processes were not looked for: there are {many}, and ss would look at all of them"
    elif without:
        yield f"listeners without a process: {without} (another user's, another namespace's, or the kernel's own)"


def _from_ss(line: str, pids: Sequence[int]) -> Listener:
    """Read 'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:((...))'."""
    words = line.split(None, 5)
    if words and not words[0].isdigit():
        words = words[1:]
    try:
        queue, backlog, local = int(words[0]), int(words[1]), words[2]
        address, _, port = local.rpartition(":")
        number = int(port)
    except (ValueError, IndexError):
        raise ValueError(f"unexpected line {line!r}") from None
    distinct = tuple(dict.fromkeys(pids))
    return Listener(
        address=address.replace("[", "").replace("]", ""),
        port=number,
        queue=queue,
        backlog=backlog,
        pids=distinct[:_PIDS_EACH],
        pids_left_out=max(0, len(distinct) - _PIDS_EACH),
    )


def _from_proc(line: str) -> Listener:
    """Read '0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 ...': the last number is the queue."""
    words = line.split()
    try:
        address, _, port = words[1].partition(":")
        queue = words[4].partition(":")[2]
        return Listener(address=decoded(address), port=int(port, 16), queue=int(queue, 16), backlog=None)
    except (ValueError, IndexError):
        raise ValueError(f"unexpected line {line!r}") from None


def decoded(text: str) -> str:
    """Return an address of /proc/net/tcp or tcp6 as people write it. Raises ValueError for anything else."""
    # The kernel prints each group of four bytes as a number of its own byte order; all common machines are
    # little-endian.
    octets = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    return str(ipaddress.ip_address(octets))
