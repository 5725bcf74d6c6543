# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/sysctl.py by tests/collection/copies.py: change it there.
"""Kernel settings, read straight from /proc/sys by one `grep` for all of them.

Not by the shell's `read`: dash reads byte by byte, and a number under /proc/sys ends after the first read(2), so that
4096 would arrive as 4. Absent, unreadable, empty and read-only are told apart. Writability is asked of access(2) by
`test -w`, never by writing: for root it is false in read-only trees and for keys a namespace only shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.facts import Absent, Reading, Unreadable, Value
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import kernel_text

_ROOT = "/proc/sys/"
_TICKS = "/proc//sys/net/ipv4/route/"
"""Spelled so that they are told from keys that were asked for."""

# The keys arrive on standard input after the script, one a line: no shell text is built from them.
SCRIPT = r"""
set --
while IFS= read -r key; do
  [ -n "$key" ] || break
  path=/proc/sys/$key
  if [ ! -e "$path" ]; then printf 'absent %s\n' "$key"; continue; fi
  if [ ! -r "$path" ]; then printf 'unreadable %s\n' "$key"; continue; fi
  if [ -w "$path" ]; then printf 'rw %s\n' "$key"; else printf 'ro %s\n' "$key"; fi
  set -- "$@" "$path"
done
for key in error_cost error_burst redirect_load redirect_silence; do
  path=/proc//sys/net/ipv4/route/$key
  [ ! -r "$path" ] || set -- "$@" "$path"
done
[ $# -eq 0 ] || grep '' /dev/null "$@" 2>&1
"""


def parse(lines: Sequence[str]) -> dict[str, Reading]:
    """Understand the section: dotted key -> reading, in the order asked.

    Raises ValueError for a line that is none of ours.
    """
    states: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    failed: set[str] = set()
    for line in lines:
        if line.startswith(_ROOT):
            path, text = _split(line.removeprefix(_ROOT), states)
            texts.setdefault(path, []).append(text)
        elif line.startswith(_TICKS):
            continue  # for `timer_rate`
        elif line.startswith("grep: "):
            # Exists, may be read by its mode, and the kernel refuses: stable_secret before it is set, for one.
            failed |= {path for path in states if f"{_ROOT}{path}:" in line}
        else:
            state, _, path = line.partition(" ")
            if state not in {"rw", "ro", "absent", "unreadable"}:
                raise ValueError(f"unexpected line {line!r}")
            states[path] = state
    return {_dotted(path): _reading(state, texts.get(path, ()), path in failed) for path, state in states.items()}


def timer_rate(lines: Iterable[str]) -> int | None:
    """Return the HZ that four limits of the routing code agree on, None where they do not, or are not there.

    They are in ticks and start as one second, five seconds, and so on; hardly anybody writes them: net/ipv4/route.c.
    A child network namespace has none of them.
    """
    ticks = dict(line.removeprefix(_TICKS).split(":", 1) for line in lines if line.startswith(_TICKS))
    try:
        hz, burst, load, silence = (
            int(ticks[name]) for name in ("error_cost", "error_burst", "redirect_load", "redirect_silence")
        )
    except (KeyError, ValueError):
        return None
    agreed = burst == 5 * hz and load == hz // 50 and silence == load << 10
    return hz if agreed and 100 <= hz <= 1024 else None


def _reading(state: str, text: Iterable[str], failed: bool) -> Reading:
    if state == "absent":
        return Absent()
    if state == "unreadable" or failed:
        return Unreadable()
    return Value(text=kernel_text(" ".join(text)), writable=state == "rw")


def _split(line: str, asked: Iterable[str]) -> tuple[str, str]:
    # An interface alias has a colon in its name, so the first colon need not end the path.
    path, _, text = line.partition(":")
    if path in asked:
        return path, text
    for candidate in asked:
        if line.startswith(f"{candidate}:"):
            return candidate, line[len(candidate) + 1 :]
    raise ValueError(f"unexpected line {line!r}")


def _dotted(path: str) -> str:
    return path.translate(str.maketrans("/.", "./"))
