# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/runs.py by tests/collection/copies.py: change it there.
"""What a host knows of its runs: the records that the module and rollback.sh keep below /var/lib/tcptune.

Not part of what `facts` reads: only who looks for leftovers asks for it. It needs root, as the records do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.host_runs import HostRun, HostRuns
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.closed import Closed

_FOLDER = "/var/lib/tcptune/runs"

_LOCK = "/var/lib/tcptune/lock"

SCRIPT = f"""
top=0
for link in {_LOCK}/*; do
  case ${{link##*/}} in *[!0-9]*) ;; *) [ "${{link##*/}}" -le "$top" ] || top=${{link##*/}} ;; esac
done
if [ "$top" != 0 ] && holder=$(readlink {_LOCK}/"$top"); then
  read -r stat </proc/"${{holder%% *}}"/stat
  printf 'lock %s|%s|%s\n' "$holder" "${{stat##*) }}" "$(cat /proc/sys/kernel/random/boot_id)"
fi 2>/dev/null
if [ ! -e {_FOLDER} ]; then
  # What is below a folder that may not be passed through seems not to be there.
  seen=yes
  for above in /var /var/lib /var/lib/tcptune; do
    [ ! -e $above ] || [ -x $above ] || seen=
  done
  if [ -n "$seen" ]; then echo none; else echo closed; fi
elif [ -r {_FOLDER} ] && [ -x {_FOLDER} ]; then
  for run in {_FOLDER}/*/; do
    [ -d "$run" ] || continue
    [ -x "$run" ] || {{ echo closed; break; }}
    [ -e "$run"state ] || continue
    [ -r "$run"state ] || {{ echo closed; break; }}
    [ -s "$run"state ] || printf 'damaged %s\\n' "$run"
    grep -s '' "$run"state "$run"deadline /dev/null
    grep -s '"boot_id"' "$run"manifest.json /dev/null
    [ -e "$run"timer ] || continue
    read -r kind name rest < "$run"timer
    if [ "$kind" = process ]; then [ -d "/proc/$name" ]; else [ -e "/run/systemd/transient/$name.timer" ]; fi &&
      printf '%s\\n' "$run"alive:yes
  done
  :
else
  echo closed
fi
"""

_LINE = re.compile(rf"{_FOLDER}/([A-Za-z0-9._-]+)/([a-z.]+):(.*)")
_BOOT_ID = re.compile(r'"boot_id": *"([^"]*)"')


def parse(lines: Sequence[str]) -> HostRuns:
    """Understand the section.

    Raises ValueError for a line that is none of ours, Closed where records may not be read.
    """
    if "closed" in lines:
        raise Closed("this login may not read all of /var/lib/tcptune/runs")
    files: dict[str, dict[str, list[str]]] = {}
    busy = None
    for line in lines:
        if line == "none":
            continue
        if line.startswith("lock "):
            busy = _busy(line.removeprefix("lock "))
            continue
        if line.startswith("damaged "):
            raise ValueError(f"a record has no state: {line.removeprefix('damaged ')}")
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"unexpected line {line!r}")
        files.setdefault(found[1], {}).setdefault(found[2], []).append(found[3])
    return HostRuns(runs=tuple(_run(name, said) for name, said in sorted(files.items())), busy=busy)


def _busy(said: str) -> str | None:
    """Return the run in the lock's link if the process it names is still there.

    What the link says is written in plugins/module_utils/lock.py: a process is known by its id, its start and the boot.
    """
    holder, stat, boot_now = said.split("|")
    words, fields = holder.split(" "), stat.split()
    if len(words) != 5 or len(fields) < 20:
        return None
    _pid, began, boot, _namespace, run = words
    here = boot == boot_now and began == fields[19] and fields[0] not in ("Z", "X")
    return run if here else None


def _run(name: str, said: dict[str, list[str]]) -> HostRun:
    state, _, since = said["state"][-1].partition(" ")
    boot_id = _BOOT_ID.search("".join(said.get("manifest.json", ())))
    # Seconds since the boot, which boot, and the same moment in UTC.
    deadline = said.get("deadline", ())
    return HostRun(
        run=name,
        state=state,
        since=datetime.fromisoformat(since),
        boot_id=boot_id[1] if boot_id else None,
        deadline=datetime.fromisoformat(deadline[2]) if len(deadline) == 3 else None,
        timer_alive="alive" in said,
    )
