# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copied from tcptune/domain/limits.py by tests/collection/copies.py: change it there.
"""Limits of processes: RLIMIT_NOFILE, the number of open files, so far.

A process has a soft limit, which refuses it another file, and a hard one, up to which it may raise the soft one itself.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from ansible_collections.tcptune.linux.plugins.plugin_utils.copied.domain.values import Frozen

LIMIT_KEY = "limits.nofile"
"""How plans and waivers name the limit, beside the keys of settings."""

LEAST_NOFILE = 64
MOST_NOFILE = 2147483584
"""Bounds of fs.nr_open on 64 bits, and so of what may be asked for (include/linux/fs.h, fs/file.c)."""

UNIT_FOLDERS = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""Where systemd looks for units, the strongest first (systemd.unit, 'System Unit Search Path')."""

_NAME_CHARACTERS = 15
"""What the kernel keeps of a process's name."""


def is_about(pattern: str, name: str, unit: str | None) -> bool:
    """Say whether a name or wildcard means a process of this name, or this unit of systemd.

    >>> is_about("haproxy*", "haproxy", None), is_about("postgresql@*", "postgres", "postgresql@15-main.service")
    (True, True)
    """
    if fnmatchcase(name, pattern):
        return True
    if len(name) == _NAME_CHARACTERS and pattern.startswith(name):
        return True
    return unit is not None and any(fnmatchcase(text, pattern) for text in (unit, unit.rpartition(".")[0]))


class NextStart(Frozen):
    """What a process will be allowed when it is started again."""

    soft: int | None = None
    """No more than fs.nr_open. None where it is not known."""
    hard: int | None = None
    by: str
    """The file that decides, 'the default of systemd', or why it is not known."""


class LimitLayers(Frozen):
    """The three values that are always shown together."""

    wanted: int
    soft: int
    """The lowest of the processes that are judged together."""
    hard: int | None
    at_start: NextStart


class ByHand(Frozen):
    """What brings the limit about: the file a plan writes, where one of ours decides, and what a person has to do."""

    path: str | None = None
    """The file of ours; None where the plan can do nothing."""
    content: str | None = None
    """What it says, but for comments and for what else it holds."""
    steps: tuple[str, ...]
    """What is left to a person, in order: commands, or sentences."""

    def __str__(self) -> str:
        return "; ".join(self.steps)
