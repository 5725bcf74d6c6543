# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/sysctl_files.py by tests/collection/copies.py: change it there.
"""Every file that systemd-sysctl or procps may read at boot, whole, so that the next boot can be worked out."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.facts import SysctlFile

FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")

# A line of a file is printed behind '|'; the last one behind '+' where the file does not end with a newline.
SCRIPT = r"""
show() {
  link=0; [ -L "$1" ] && link=1
  if [ ! -e "$1" ]; then
    # A link to nowhere masks its namesakes, as an empty file does.
    printf 'file %s %s\n' "$link" "$1"
  elif [ -r "$1" ]; then
    # Not by `exec 3<`: a file it cannot open ends the whole shell.
    printf 'file %s %s\n' "$link" "$1"
    line=
    while IFS= read -r line; do printf '|%s\n' "$line"; done <"$1"
    [ -z "$line" ] || printf '+%s\n' "$line"
  else
    printf 'closed %s %s\n' "$link" "$1"
  fi
}
for folder in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
  # After the usr merge /lib is a link: the same files would be listed twice.
  if [ "$folder" = /lib/sysctl.d ] && [ -L /lib ]; then continue; fi
  [ -d "$folder" ] || continue
  if [ ! -r "$folder" ] || [ ! -x "$folder" ]; then printf 'closed 0 %s/*.conf\n' "$folder"; continue; fi
  # Hidden files too: procps reads them, systemd-sysctl does not.
  for file in "$folder"/*.conf "$folder"/.*.conf; do
    if [ -e "$file" ] || [ -L "$file" ]; then
      if [ -d "$file" ]; then continue; fi
      show "$file"
    fi
  done
done
[ ! -e /etc/sysctl.conf ] || show /etc/sysctl.conf
"""


def parse(lines: Sequence[str]) -> tuple[SysctlFile, ...]:
    """Understand the section: the files in the order read.

    Raises ValueError for a line that is none of ours.
    """
    found: list[SysctlFile] = []
    text: list[str] = []

    def settle() -> None:
        if found and text:
            found[-1] = found[-1].model_copy(update={"content": "".join(text)})
        text.clear()

    for line in lines:
        if line.startswith("|"):
            text.append(line[1:] + "\n")
        elif line.startswith("+"):
            text.append(line[1:])
        else:
            settle()
            kind, link, path = line.split(" ", 2)
            if kind not in {"file", "closed"}:
                raise ValueError(f"unexpected line {line!r}")
            found.append(SysctlFile(path=path, content="" if kind == "file" else None, link=link == "1"))
    settle()
    return tuple(found)
