"""Settings of a kernel module that is loaded after sysctl.d is read: what a file says of them is lost at every boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from tcptune.domain.changes import MODULES_PATH
from tcptune.domain.facts import HostFacts
from tcptune.domain.guards import Scope
from tcptune.domain.hosts import NOTHING_DECLARED
from tcptune.domain.parameters import Parameter
from tcptune.planning.own_files import text_now
from tcptune.planning.rules import situation

# The strongest first: a file hides those of the same name in the folders behind it, as modules-load.d(5) says.
_FOLDERS = (
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
)
_OLD_LIST = "/etc/modules"
"""Read where systemd is not PID 1; with systemd only through a link in modules-load.d."""
_KMOD = frozenset({"debian", "devuan", "ubuntu"})
"""Distributions whose kmod reads modules-load.d at boot without systemd, in /etc/init.d/kmod."""


def loaded_late(parameter: Parameter | None, facts: HostFacts) -> str | None:
    """Return the module by whose lateness files have no say in a setting, or None where they have.

    A module that is part of the kernel is never late, nor one that modules-load.d names: that is read first. A network
    namespace is not booted. Raises ValueError where it is not known what is loaded when.
    """
    if parameter is None or parameter.module is None:
        return None
    if situation(facts, NOTHING_DECLARED).scope is Scope.NAMESPACE:
        return None
    if facts.conntrack is not None and facts.conntrack.built_in:
        return None
    if facts.config_files is None:
        raise ValueError(
            f"when {parameter.module} is loaded is not known: {facts.gaps.get('config_files', 'not read')}"
        )
    if _plain(parameter.module) in set(_loaded_first(facts)):
        return None
    closed = [file.path for file in facts.config_files if file.content is None and "/modules" in file.path]
    if closed:
        raise ValueError(f"when {parameter.module} is loaded is not known: {', '.join(closed)} cannot be read")
    return parameter.module


def brought_up(parameter: Parameter | None, facts: HostFacts) -> str | None:
    """Return the late module of a setting that a list of ours brings up in time, or None.

    None too where it is not certain that a boot reads modules-load.d and loads what it names: no container does.
    """
    try:
        module = loaded_late(parameter, facts)
        text_now(MODULES_PATH, facts)
    except ValueError:
        return None
    here = facts.system
    whole = here.virtualization is not None and here.virtualization.container is None and not here.virtualization.unread
    reads = here.systemd is True or (here.systemd is False and here.distribution in _KMOD)
    return module if whole and reads else None


def remedy(module: str, *, planned: bool) -> str:
    """Say what brings a module up in time: a plan does it, or a person has to."""
    late = f"{module} is loaded after the files are read, so that a boot loses what they say"
    if planned:
        return f"{late}: plan writes {module} to {MODULES_PATH}"
    return f"{late}: write {module} to /etc/modules-load.d/{module}.conf first"


def _loaded_first(facts: HostFacts) -> Iterator[str]:
    seen: set[str] = set()
    files = {file.path: file for file in facts.config_files or ()}
    paths = [path for folder in _FOLDERS for path in sorted(files) if str(PurePosixPath(path).parent) == folder]
    if not facts.system.systemd:
        paths.append(_OLD_LIST)
    for path in paths:
        name = PurePosixPath(path).name
        if path not in files or (path != _OLD_LIST and name in seen):
            continue
        seen.add(name)
        for line in (files[path].content or "").splitlines():
            words = line.split()
            if words and not words[0].startswith(("#", ";")):
                yield _plain(words[0])


def _plain(module: str) -> str:
    # The kernel does not tell the two apart.
    return module.replace("-", "_")
