# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/conntrack.py by tests/collection/copies.py: change it there.
"""Connection tracking: is it there, is it a module, how full is it. No process where it is not loaded."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.state import Conntrack

_KEYS = "/proc/sys/net/netfilter/nf_conntrack_"

SCRIPT = f"""
if [ -e {_KEYS}max ]; then
  grep -s '' {_KEYS}count {_KEYS}max {_KEYS}buckets
  if [ -e /sys/module/nf_conntrack/initstate ]; then echo 'a module'
  elif [ -d /sys/module/nf_conntrack ]; then echo 'built in'
  fi
elif [ -d /sys/module/nf_conntrack ]; then
  echo loaded
elif [ -d /sys/module ]; then
  echo 'not loaded'
fi
"""


def parse(lines: Sequence[str]) -> Conntrack:
    """Understand the section.

    Raises ValueError for a line that is none of ours, and where the host shows neither keys nor modules.
    """
    said: dict[str, int] = {}
    built_in: bool | None = None
    for line in lines:
        if line in {"a module", "built in"}:
            # Only what can be unloaded has a state.
            built_in = line == "built in"
            continue
        if line in {"loaded", "not loaded"}:
            return Conntrack(loaded=line == "loaded")
        if not line.startswith(_KEYS):
            raise ValueError(f"unexpected line {line!r}")
        name, _, value = line.removeprefix(_KEYS).partition(":")
        said[name] = int(value)
    if not said:
        raise ValueError("neither /proc/sys/net/netfilter nor /sys/module can be read")
    return Conntrack(
        loaded=True, count=said.get("count"), max=said.get("max"), buckets=said.get("buckets"), built_in=built_in
    )
