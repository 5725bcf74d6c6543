# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/unit_files.py by tests/collection/copies.py: change it there.
"""Unit files and drop-ins of the services that listen: that they are there, and what they say of LimitNOFILE.

No other line leaves the host: Environment= may hold a password. sed joins continued lines first, so that the end of one
is not taken for a line of its own, and passes on a value only where it is a word of letters and digits. Section headers
come along, since a line counts in [Service] alone. Nothing is asked of systemctl, which would talk to PID 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.limits import UNIT_FOLDERS
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import UnitAlias, UnitFile, UnitFiles

_OURS = "99-tcptune.conf"
"""Name of a drop-in that tcptune writes."""

# $pids comes from the section before, listeners. Drop-ins of every service are named: there are few, and which of them
# count for a unit is worked out later.
SCRIPT = rf"""
set -f
units=
for pid in $pids; do
  [ -r "/proc/$pid/cgroup" ] || continue
  while IFS= read -r line; do
    line=${{line#*:*:}}
    case $line in *.service|*.service/*) ;; *) continue ;; esac
    line=${{line%.service*}}.service unit=${{line##*/}}
    case "$units " in *" $unit "*) ;; *) units="$units $unit"; printf 'unit %s\n' "$unit" ;; esac
  done <"/proc/$pid/cgroup"
done 2>/dev/null
set +f
folders=
for folder in {" ".join(UNIT_FOLDERS)}; do
  if [ "$folder" = /lib/systemd/system ] && [ -L /lib ]; then continue; fi
  [ ! -d "$folder" ] || folders="$folders $folder"
done
[ -n "$units" ] || folders=
set --
told() {{
  if [ -d "$1" ]; then return 1
  elif [ ! -s "$1" ]; then
    # Empty, or a link to /dev/null or to nowhere: it masks its namesakes.
    [ -e "$1" ] || [ -L "$1" ] || return 1
    printf 'mask %s\n' "$1"
    return 1
  elif [ -r "$1" ]; then
    printf 'file %s\n' "$1"
    case $1 in */{_OURS}) printf 'bytes %s %s\n' "$(($(wc -c <"$1")))" "$1" ;; esac
  else printf 'closed %s\n' "$1"; return 1
  fi
}}
for folder in $folders; do
  if [ ! -r "$folder" ] || [ ! -x "$folder" ]; then printf 'closed %s/*\n' "$folder"; continue; fi
  for file in "$folder"/*.service.d/*.conf "$folder"/service.d/*.conf; do
    if told "$file"; then set -- "$@" "$file"; fi
  done
  for name in "$folder"/*.service.d "$folder/service.d"; do
    if [ -d "$name" ] && {{ [ ! -r "$name" ] || [ ! -x "$name" ]; }}; then printf 'closed %s/*.conf\n' "$name"; fi
  done
  set -f
  for unit in $units; do
    if told "$folder/$unit"; then set -- "$@" "$folder/$unit"; fi
    case $unit in *@?*.service)
      file=$folder/${{unit%%@*}}@.service
      # Two instances have one template.
      case " $* " in *" $file "*) ;; *) if told "$file"; then set -- "$@" "$file"; fi ;; esac
    esac
  done
  set +f
done
for folder in $folders; do
  for name in "$folder"/*.service.d; do
    name=${{name##*/}} name=${{name%.d}}
    for other in $folders; do
      if [ ! -L "$other/$name" ] || [ ! -s "$other/$name" ]; then continue; fi
      set -f
      for unit in $units; do
        for each in $folders; do
          if [ "$name" = "$unit" ] || [ ! "$other/$name" -ef "$each/$unit" ]; then continue; fi
          printf 'alias %s %s\n' "$unit" "$name"
        done
      done
      set +f
    done
  done
done
[ $# -eq 0 ] || grep -l -s -a LimitNOFILE /dev/null "$@" | while IFS= read -r file; do
  printf 'in %s\n' "$file"
  sed -n -e '/^[[:space:]]*[#;]/d' \
    -e ':a' -e '/\\$/{{' -e '$!{{' -e N -e 's/\\\n[[:space:]]*[#;].*$/\\/' -e 's/\\\n/ /' -e ba -e '}}' -e '}}' \
    -e tb -e :b -e 's/^[[:space:]]*\(\[[A-Za-z]*\]\)[[:space:]]*$/|\1/p' -e t \
    -e 's/^[[:space:]]*\[.*\][[:space:]]*$/|[]/p' -e t \
    -e 's/^[[:space:]]*LimitNOFILE[[:space:]]*=[[:space:]]*\([0-9A-Za-z:+]*\)[[:space:]]*$/|LimitNOFILE=\1/p' -e t \
    -e 's/^[[:space:]]*LimitNOFILE[[:space:]]*=.*/|LimitNOFILE=?/p' "$file"
done
"""


def parse(lines: Sequence[str]) -> UnitFiles:
    """Understand the section.

    Raises ValueError for a line that is none of ours.
    """
    units: list[str] = []
    files: dict[str, UnitFile] = {}
    aliases: dict[UnitAlias, None] = {}
    current = ""
    for line in lines:
        word, _, rest = line.partition(" ")
        if line.startswith("|") and current:
            before = files[current]
            files[current] = before.model_copy(update={"content": f"{before.content or ''}{line[1:]}\n"})
        elif word == "unit" and rest:
            units.append(rest)
        elif word in {"file", "mask", "closed"} and rest.startswith("/"):
            files[rest] = UnitFile(path=rest, content=None if word == "closed" else "", mask=word == "mask")
        elif word == "bytes" and len(rest.split(" ", 1)) == 2 and rest.split(" ", 1)[1] in files:
            size, path = rest.split(" ", 1)
            files[path] = files[path].model_copy(update={"size_bytes": int(size)})
        elif word == "in" and rest in files:
            current = rest
        elif word == "alias" and len(rest.split()) == 2:
            unit, name = rest.split()
            aliases[UnitAlias(unit=unit, name=name)] = None
        else:
            raise ValueError(f"unexpected line {line!r}")
    return UnitFiles(units=tuple(units), files=tuple(files.values()), aliases=tuple(aliases))
