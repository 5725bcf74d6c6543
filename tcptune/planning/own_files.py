"""The files that are ours: their form, which facts tell their text, and what a host is once they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from tcptune.domain.changes import LIMITS_PATH, MODULES_PATH, FileChange
from tcptune.domain.facts import HostFacts, SysctlFile
from tcptune.domain.state import TextFile, UnitFile

UNIT_FOLDER = "/etc/systemd/system"
"""Where our drop-ins of units are: below UNIT.d, in the strongest folder that an administrator has."""
DROP_IN = "99-tcptune.conf"

_OWNED = (
    "# Written by tcptune, which owns this file: a change made here by hand is reported, and undone by the next plan.\n"
)
_BACK = "# To take it back: tcptune rollback RUN.\n"
_MODULES = (
    f"{_OWNED}# These modules are loaded before sysctl.d is read, so that what it says of them counts. {_BACK[2:]}"
)
_LIMITS = f"{_OWNED}# They count from the next login on. {_BACK[2:]}"
# What else is in it cannot be seen from here, so that a plan leaves it alone then.
_UNIT = (
    "# Written by tcptune, which owns this file. Lines of your own belong in another: no plan writes this one then.\n"
    f"# It counts from the next start of the service on. {_BACK[2:]}"
)
_LIMIT_LINE = re.compile(r"\[Service\]\nLimitNOFILE=([0-9]+(?::[0-9]+)?)\n")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_PLAIN = re.compile(r"[1-9][0-9]{3,9}")


def unit_path(unit: str) -> str:
    """Return where our drop-in of a unit is."""
    return f"{UNIT_FOLDER}/{unit}.d/{DROP_IN}"


def is_unit_path(path: str) -> bool:
    """Say whether a file of ours is a drop-in of a unit."""
    return path.startswith(f"{UNIT_FOLDER}/")


def limit_value(soft: int, hard: int) -> str:
    """Return a LimitNOFILE=. One number sets both limits."""
    return str(soft) if soft == hard else f"{soft}:{hard}"


def unit_text(value: str) -> str:
    """Return our drop-in of a unit."""
    return f"{_UNIT}[Service]\nLimitNOFILE={value}\n"


def modules_text(before: str | None, modules: Iterable[str]) -> str:
    """Return our list of modules: what it names already, and these. Nothing else that somebody put there stays."""
    named = [line.strip() for line in (before or "").splitlines() if _MODULE.fullmatch(line.strip())]
    return _MODULES + "".join(f"{module}\n" for module in dict.fromkeys([*named, *modules]))


def limits_text(before: str | None, domain: str, soft: int, hard: int) -> str:
    """Return our limits of logins: the plain ones that the file has of others, and these of `domain`."""
    lines: dict[tuple[str, str], str] = {}
    for line in (before or "").splitlines():
        words = line.partition("#")[0].split()
        if (
            len(words) == 4
            and words[1] in {"soft", "hard", "-"}
            and words[2] == "nofile"
            and _PLAIN.fullmatch(words[3])
        ):
            lines[words[0], words[1]] = " ".join(words)
    kept = [text for (whose, _), text in lines.items() if whose != domain]
    return _LIMITS + "".join(
        f"{line}\n" for line in [*kept, f"{domain} hard nofile {hard}", f"{domain} soft nofile {soft}"]
    )


def text_now(path: str, facts: HostFacts) -> str | None:
    """Return the text of a file of ours, or None where there is none.

    Raises ValueError with the reason where it is not known: what was not read is not unchanged.
    """
    if is_unit_path(path):
        return _unit_text_now(path, facts)
    if path in {MODULES_PATH, LIMITS_PATH}:
        if facts.config_files is None:
            raise ValueError(f"{path} is not known: {facts.gaps.get('config_files', 'these facts do not hold it')}")
        found: dict[str, str | None] = {file.path: file.content for file in facts.config_files}
    else:
        if facts.boot_gap is not None:
            raise ValueError(f"{path} is not known: {facts.boot_gap}")
        found = {file.path: file.content for file in facts.sysctl_files}
    return _of(path, found)


def with_files(facts: HostFacts, files: Iterable[FileChange]) -> HostFacts:
    """Return the facts of a host on which these files are written."""
    after: Mapping[str, str] = {file.path: file.after for file in files}
    units = {path: text for path, text in after.items() if is_unit_path(path)}
    config = {path: text for path, text in after.items() if path in {MODULES_PATH, LIMITS_PATH}}
    sysctl = {path: text for path, text in after.items() if path not in units and path not in config}
    update: dict[str, object] = {
        "sysctl_files": (
            *(file for file in facts.sysctl_files if file.path not in sysctl),
            *(SysctlFile(path=path, content=text) for path, text in sysctl.items()),
        )
    }
    if facts.config_files is not None:
        update["config_files"] = (
            *(file for file in facts.config_files if file.path not in config),
            *(TextFile(path=path, content=text) for path, text in config.items()),
        )
    if facts.unit_files is not None:
        kept = tuple(file for file in facts.unit_files.files if file.path not in units)
        added = tuple(UnitFile(path=path, content=text) for path, text in units.items())
        update["unit_files"] = facts.unit_files.model_copy(update={"files": (*kept, *added)})
    return facts.model_copy(update=update)


def _unit_text_now(path: str, facts: HostFacts) -> str | None:
    if facts.unit_files is None:
        raise ValueError(f"{path} is not known: {facts.gaps.get('unit_files', 'these facts do not hold it')}")
    if not facts.unit_files.units:
        # The drop-ins of all services are looked at together, where at least one listens.
        raise ValueError(f"{path} is not known: no service listens, so that its drop-ins were not looked at")
    found = next((file for file in facts.unit_files.files if file.path == path), None)
    if found is None:
        return _of(path, {file.path: file.content for file in facts.unit_files.files})
    if found.content is None:
        raise ValueError(f"{path} cannot be read")
    # Comments stay on the host, so the text is known where it is of our own form and nothing is left over.
    limit = _LIMIT_LINE.fullmatch(found.content)
    text = unit_text(limit[1]) if limit and not found.mask else None
    if text is None or found.size_bytes != len(text.encode()):
        raise ValueError(f"{path} is not as tcptune wrote it: remove what was changed there by hand")
    return text


def _of(path: str, found: Mapping[str, str | None]) -> str | None:
    folder = PurePosixPath(path).parent
    # How the probe spells a folder that the login may not list, or one of the folders around it.
    closed = [f"{folder}/*.conf", f"{folder.parent}/*"]
    for one in (path, *closed):
        if one in found and found[one] is None:
            raise ValueError(f"{one} cannot be read")
    return found.get(path)
