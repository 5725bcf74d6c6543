# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/config_files.py by tests/collection/copies.py: change it there.
"""Other files that bear on TCP, whole: limits, the service manager's defaults, modules to load, ufw's own settings."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import TextFile

# One grep for all files. A path is named before, so that a colon in it does not end it.
SCRIPT = r"""
set --
for file in /etc/security/limits.conf /etc/security/limits.d/*.conf /etc/systemd/system.conf \
/etc/systemd/system.conf.d/*.conf /run/systemd/system.conf.d/*.conf /usr/local/lib/systemd/system.conf.d/*.conf \
/usr/lib/systemd/system.conf.d/*.conf /etc/modules /etc/modules-load.d/*.conf /run/modules-load.d/*.conf \
/usr/local/lib/modules-load.d/*.conf /usr/lib/modules-load.d/*.conf /etc/default/ufw /etc/ufw/sysctl.conf; do
  [ -f "$file" ] || continue
  if [ -r "$file" ]; then
    printf 'file %s\n' "$file"
    set -- "$@" "$file"
  else
    printf 'closed %s\n' "$file"
  fi
done
for folder in /etc/security/limits.d /etc/systemd/system.conf.d /etc/modules-load.d /etc/ufw; do
  [ -d "$folder" ] || continue
  if [ ! -r "$folder" ] || [ ! -x "$folder" ]; then printf 'closed %s/*.conf\n' "$folder"; fi
done
[ $# -eq 0 ] || grep -a -s '' /dev/null "$@"
"""


def parse(lines: Sequence[str]) -> tuple[TextFile, ...]:
    """Understand the section: the files in the order read.

    Raises ValueError for a line that is none of ours.
    """
    texts: dict[str, list[str] | None] = {}
    current = ""
    for line in lines:
        word, _, rest = line.partition(" ")
        if line.startswith("/"):
            # Lines of a file come together; only a colon in a name makes it worth a look at the others.
            if not (current and line.startswith(f"{current}:")):
                current = next((path for path in texts if line.startswith(f"{path}:")), "")
            text = texts.get(current)
            if text is None:
                raise ValueError(f"unexpected line {line!r}")
            text.append(line[len(current) + 1 :] + "\n")
        elif word in {"file", "closed"}:
            texts[rest] = [] if word == "file" else None
        else:
            raise ValueError(f"unexpected line {line!r}")
    return tuple(TextFile(path=path, content=None if text is None else "".join(text)) for path, text in texts.items())
