# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/probes/script.py by tests/collection/copies.py: change it there.
"""One script for one exec: join the probes, and take the answer apart again.

The command line is the constant BOOTSTRAP. Script and keys travel on standard input, so sudo's log holds no key and
no shell text is ever built from data. Lines before BEGIN are skipped: a password that sudo did not ask for is one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.facts import HostFacts
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import is_secret, key_path
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.errors import ProbeFailed
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes import ON_REQUEST, OPTIONAL, PROBES, sysctl, sysctl_files, system
from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.probes.closed import Closed

BEGIN = "#tcptune-begin"
END = "#tcptune-end"
_MARK = "@tcptune"
_DONE = "done"

BOOTSTRAP = (
    f"p=; while IFS= read -r l; do case $l in '{BEGIN}') p= ;; '{END}') eval \"$p\"; exit ;; "
    f'*) p="$p$l\n" ;; esac; done'
)
"""A POSIX sh program: reads the script from standard input up to END, runs it and ends; the keys follow.
A script that never arrives whole is not run."""


def assemble(keys: Iterable[str], sections: Collection[str] = PROBES.keys()) -> str:
    """Return what goes to the host's standard input: the script of those sections, then the keys to read.

    Raises ValueError for a secret: none is ever asked for.
    """
    asked = list(keys)
    if secrets := [key for key in asked if is_secret(key)]:
        raise ValueError(f"{', '.join(secrets)}: a secret is never read")
    # Gathered and printed at once: each line by itself would be a packet of its own, and packets are what costs here.
    lines = [BEGIN, "LC_ALL=C; export LC_ALL", "probe() {"]
    for name, probe in {**PROBES, **ON_REQUEST}.items():
        if name in sections:
            lines.append(f"printf '%s\\n' '{_MARK} {name}'")
            lines += [line.strip() for line in probe.SCRIPT.splitlines() if line.strip() and not _is_comment(line)]
    lines += [f"printf '%s\\n' '{_MARK} {_DONE}'", "}", "answer=$(probe)", "printf '%s\\n' \"$answer\"", END]
    lines += [key_path(key) for key in asked]
    # The sysctl probe reads keys up to the first empty line.
    return "\n".join(lines) + "\n\n"


def parse(host: str, answer: str, collected_at: datetime, sections: Collection[str] = PROBES.keys()) -> HostFacts:
    """Understand one host's whole answer. A section that makes no sense is a gap, unless nothing goes without it.

    Raises ProbeFailed where the answer is cut short or makes no sense.
    """
    said = _sections(host, answer)
    more, gaps = _optional(said, sections)
    try:
        return HostFacts(
            host=host,
            collected_at=collected_at,
            system=system.parse(said["system"]).model_copy(update={"hz": sysctl.timer_rate(said["sysctl"])}),
            sysctl=sysctl.parse(said["sysctl"]),
            sysctl_files=sysctl_files.parse(said["sysctl_files"]),
            gaps=gaps,
            **more,
        )
    except (KeyError, ValueError) as problem:
        raise ProbeFailed(
            f"{host}: the answer makes no sense: {problem}",
            hint="is the login shell of that account a POSIX shell?",
        ) from problem


def _optional(said: Mapping[str, Sequence[str]], asked: Collection[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the optional sections say, and why the others say nothing."""
    found: dict[str, Any] = {}
    gaps: dict[str, str] = {}
    requested = {name: probe for name, probe in ON_REQUEST.items() if name in asked}
    for name, probe in {**OPTIONAL, **requested}.items():
        if name not in asked:
            gaps[name] = "nobody asked"
            continue
        if name not in said:
            gaps[name] = "the answer has no such section"
            continue
        try:
            found[name] = probe.parse(said[name])
        except Closed as problem:
            gaps[name] = str(problem)
        except (LookupError, ValueError) as problem:
            gaps[name] = f"the answer makes no sense: {problem}"
    return found, gaps


def _sections(host: str, answer: str) -> dict[str, Sequence[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in answer.split("\n"):
        if line.startswith(f"{_MARK} "):
            name = line.removeprefix(f"{_MARK} ")
            if name == _DONE:
                return dict(sections)
            current = sections.setdefault(name, [])
        elif current is not None and line:
            current.append(line)
    raise ProbeFailed(f"{host}: the answer is cut short", hint="try again; a second cut means a broken login shell")


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")
