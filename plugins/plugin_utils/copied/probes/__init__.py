# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/__init__.py by tests/collection/copies.py: change it there.
"""Family: what to read on a host, and what its answer means.

A probe is a module with SCRIPT (POSIX sh that prints lines) and parse(lines). All probes of a collection go to
the host as one script in one exec; `script.assemble` joins them and `script.parse` takes the answer apart.
"""

from __future__ import annotations

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes import (
    config_files,
    conntrack,
    counters,
    drops,
    kernel_log,
    links,
    listeners,
    pressure,
    rivals,
    runs,
    sockets,
    sysctl,
    sysctl_files,
    system,
    unit_files,
)

REQUIRED = {"system": system, "sysctl": sysctl, "sysctl_files": sysctl_files}
"""Name of a section -> its probe. Without one of these a host counts as not read."""

OPTIONAL = {
    "config_files": config_files,
    "counters": counters,
    "links": links,
    "listeners": listeners,
    # Behind the listeners, whose processes it asks about.
    "unit_files": unit_files,
    "conntrack": conntrack,
    "rivals": rivals,
}
"""The others: where one says nothing that makes sense, the facts have a gap with the reason."""

PROBES = {**REQUIRED, **OPTIONAL}
"""Name of a section of the answer -> its probe, in the order of the script."""

EVIDENCE = {
    # The first, close behind the counters: the host's clock comes with it.
    "pressure": pressure,
    "drops": drops,
    "sockets": sockets,
    "kernel_log": kernel_log,
}
"""What a diagnosis needs beside the facts: a walk over every socket, and the kernel's log."""

ON_REQUEST = {**EVIDENCE, "runs": runs}
"""Sections that are no part of facts: whoever needs one names it."""

WHEN_LOADED = ("config_files", "conntrack")
"""Sections that tell whether a module is there before sysctl.d is read."""

LISTS = ("config_files",)
"""Where our lists of modules and of limits are."""

LISTENING = ("listeners", "unit_files")
"""Who listens, and what decides its limits. The second asks about the processes of the first."""
