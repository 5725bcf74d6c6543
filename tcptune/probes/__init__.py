"""Family: what to read on a host, and what its answer means.

A probe is a module with SCRIPT (POSIX sh that prints lines) and parse(lines). All probes of a collection go to
the host as one script in one exec; `script.assemble` joins them and `script.parse` takes the answer apart.
"""

from __future__ import annotations

from tcptune.probes import sysctl, sysctl_files, system

PROBES = {"system": system, "sysctl": sysctl, "sysctl_files": sysctl_files}
"""Name of a section of the answer -> its probe."""
