# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/kernel_log.py by tests/collection/copies.py: change it there.
"""Lines of the kernel's log that bear on TCP. Others never leave the host, and a log that may not be read is a gap.

`dmesg` first: it is the kernel's own memory, and bounded. Where it is not allowed (kernel.dmesg_restrict), the journal
of this boot. A kernel has always said something: no line at all means that none may be read, not that all is well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.strain import KernelLine, KernelLog, KernelMessage, MessageCount
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.closed import Closed

PATTERNS = {
    KernelMessage.POSSIBLE_SYN_FLOODING: "[Pp]ossible SYN flooding on port",
    KernelMessage.TOO_MANY_ORPHANS: "TCP: too many (of )?orphaned sockets",
    KernelMessage.TCP_OUT_OF_MEMORY: "TCP: out of memory -- consider tuning tcp_mem|Out of socket memory",
    KernelMessage.TW_OVERFLOW: "TCP: time wait bucket table overflow",
    KernelMessage.CONNTRACK_FULL: "nf_conntrack: table full",
    KernelMessage.NEIGHBOR_OVERFLOW: "neighbou?r table overflow",
    KernelMessage.FILE_MAX: "VFS: file-max limit [0-9]+ reached",
    KernelMessage.LINK_DOWN: "[Ll]ink is [Dd]own",
    KernelMessage.TX_TIMEOUT: "NETDEV WATCHDOG: .*transmit queue [0-9]+ timed out",
    KernelMessage.MARTIAN: "martian source",
    KernelMessage.PAGE_ALLOC: "page allocation failure: order:",
    KernelMessage.OOM_KILLER: "Out of memory: Killed process|oom-kill:",
    KernelMessage.SHRUNK_WINDOW: "TCP: Peer .* unexpectedly shrunk window",
}
"""Message -> what its lines hold, as an extended regular expression that awk and Python understand alike."""

_NEWEST = 3
_JOURNAL_LINES = 50_000
_BYTES = 300

_CASES = "\n".join(f'/{pattern}/ {{ note("{message}") }}' for message, pattern in PATTERNS.items())

_AWK = rf"""
function note(message) {{
  if (!(message in lines)) first[message] = at
  lines[message]++
  last[message] = at
  text[message, lines[message] % {_NEWEST}] = at " " substr($0, 1, {_BYTES})
}}
/^<[0-9]+>\[/ {{ sub(/^<[0-9]+>/, "") }}
/^\[ *[0-9]+\.[0-9]+\]/ {{
  match($0, /^\[ *[0-9]+\.[0-9]+\]/)
  at = substr($0, 2, RLENGTH - 2)
  gsub(/ /, "", at)
  $0 = substr($0, RLENGTH + 2)
}}
{{
  if (at == "") at = "-"
  if (all == 0) oldest = at
  all++
}}
{_CASES}
END {{
  if (all == 0) exit
  print "lines", all, oldest
  for (message in lines) {{
    print "count", message, lines[message], first[message], last[message]
    from = lines[message] < {_NEWEST} ? 1 : lines[message] - {_NEWEST - 1}
    for (i = from; i <= lines[message]; i++) print "line", message, text[message, i % {_NEWEST}]
  }}
}}
"""

SCRIPT = f"""
program='{_AWK}'
from=dmesg
said=$(dmesg 2>/dev/null | awk "$program")
if [ -z "$said" ] && command -v journalctl >/dev/null; then
  from=journal
  said=$(journalctl -k -b -q --no-pager -o short-monotonic -n {_JOURNAL_LINES} 2>/dev/null | awk "$program")
fi
if [ -n "$said" ]; then printf 'source %s\\n%s\\n' "$from" "$said"; else echo closed; fi
"""


def parse(lines: Sequence[str]) -> KernelLog:
    """Understand the section. Lines that none of PATTERNS knows are left out.

    Raises ValueError for a line that is none of ours, Closed where the log may not be read.
    """
    if "closed" in lines:
        raise Closed("this login may read neither dmesg nor the journal of the kernel, or both are empty")
    source: Any = None
    total, oldest = 0, "-"
    counts: list[MessageCount] = []
    newest: list[KernelLine] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "source":
            source = rest
        elif word == "lines":
            number, oldest = rest.split()
            total = int(number)
        elif word == "count":
            name, number, first, last = rest.split()
            counts.append(_count(name, int(number), first, last))
        elif word == "line":
            name, at, text = [*rest.split(" ", 2), ""][:3]
            message = KernelMessage(name)
            if re.search(PATTERNS[message], text):
                newest.append(KernelLine(message=message, at_s=_seconds(at), text=text))
        else:
            raise ValueError(f"unexpected line {line!r}")
    if source not in {"dmesg", "journal"} or not total:
        raise ValueError("the host did not say what its kernel's log holds")
    return KernelLog(
        source=source,
        lines=total,
        since_s=_seconds(oldest),
        counts=tuple(sorted(counts, key=lambda one: one.message)),
        newest=tuple(sorted(newest, key=lambda one: -1.0 if one.at_s is None else one.at_s)),
    )


def _count(name: str, number: int, first: str, last: str) -> MessageCount:
    return MessageCount(message=KernelMessage(name), lines=number, first_s=_seconds(first), last_s=_seconds(last))


def _seconds(text: str) -> float | None:
    return None if text == "-" else float(text)
