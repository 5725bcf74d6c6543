"""What the next start of a process will give it: RLIMIT_NOFILE from units, drop-ins and defaults, or from PAM's files.

A model of systemd, of what systemd.unit and systemd.exec say of it and src/shared/dropin.c does: the unit file first,
then the drop-ins by name, of namesakes the one in the strongest folder; each LimitNOFILE= takes the place of the one
before. Values are measured on systemd 252: no suffixes (64K), no reset by an empty value; what is refused is passed
over, and the one before stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from tcptune.domain.limits import MOST_NOFILE, UNIT_FOLDERS, NextStart
from tcptune.domain.state import TextFile, UnitFile, UnitFiles

SYSTEMD_DEFAULT = (1024, 524288)
"""Soft and hard, since systemd 240; before, the hard one was the kernel's 4096."""

_CONF_FOLDERS = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")
_LIMITS_D = "/etc/security/limits.d"
_NUMBER = re.compile(
    r"\+?(?:0x(?P<hex>[0-9a-f]+)|0b(?P<binary>[01]+)|0o?(?P<octal>[0-7]+)|(?P<decimal>0|[1-9][0-9]*))", re.IGNORECASE
)
_INFINITY = 2**64 - 1


class _Found(NamedTuple):
    soft: int
    hard: int
    path: str


def unit_start(unit: str, files: UnitFiles, config: Sequence[TextFile], *, most: int | None) -> NextStart:
    """Return what systemd gives a service when it starts it again. `most`: fs.nr_open, which bounds both.

    It is not known where a file that may decide cannot be read, or there is no file of the unit.
    """
    by_path = {file.path: file for file in files.files}
    fragment = _fragment(unit, by_path)
    if fragment is None:
        return NextStart(by=f"no file of {unit} was found; it may belong to a user's own service manager")
    if fragment.mask:
        return NextStart(by=f"{fragment.path} masks it: systemd does not start it again")
    read = [fragment, *_drop_ins(unit, files, by_path)]
    if closed := [*_closed_folders(unit, files), *(file.path for file in read if file.content is None)]:
        return NextStart(by=f"{', '.join(closed)} cannot be read")
    found = _last((file.path, file.content or "") for file in read)
    return _bounded(found, most) if found else _default(config, most)


def has_file(unit: str, files: UnitFiles) -> bool:
    """Say whether the unit is one of the system's service manager, and may be started again."""
    found = _fragment(unit, {file.path: file for file in files.files})
    return found is not None and not found.mask


def without(files: UnitFiles, folders: Iterable[str]) -> UnitFiles:
    """Return the files without those below some folders."""
    gone = tuple(f"{folder}/" for folder in folders)
    return files.model_copy(update={"files": tuple(f for f in files.files if not f.path.startswith(gone))})


def adding(files: UnitFiles, path: str, content: str) -> UnitFiles:
    """Return the files with one more, or one replaced."""
    kept = tuple(file for file in files.files if file.path != path)
    return files.model_copy(update={"files": (*kept, UnitFile(path=path, content=content))})


def session_start(uid: int | None, config: Sequence[TextFile], *, most: int | None) -> NextStart:
    """Return what pam_limits gives a session of a user, which is what a process started by hand inherits.

    It is not known without a line that is certainly about the user: names and groups are not looked up.
    """
    if closed := [f.path for f in config if f.content is None and f.path.startswith("/etc/security/")]:
        return NextStart(by=f"{', '.join(closed)} cannot be read")
    # A wildcard is not about root (limits.conf).
    domain = "root" if uid == 0 else "*"
    soft: tuple[int, str] | None = None
    others = False
    for path, words in _pam_lines(config):
        if words[0] == domain:
            value = _pam_number(words[3])
            soft = (value, path) if value is not None else soft
        else:
            others = others or (uid != 0 and words[0] != "root")
    if others:
        return NextStart(by="lines of limits.conf or limits.d name users or groups, which are not looked up")
    if soft is None or uid is None:
        return NextStart(by="no line of limits.conf or limits.d is about it: whoever starts it decides")
    value, path = soft
    return NextStart(soft=min(value, most or MOST_NOFILE), by=f"{path}, in sessions of PAM alone")


def rlimit(text: str) -> tuple[int, int] | None:
    """Return soft and hard of a LimitNOFILE=, or None for what systemd refuses.

    >>> rlimit("1024:524288"), rlimit("0x1000"), rlimit("64K"), rlimit("")
    ((1024, 524288), (4096, 4096), None, None)
    """
    parts = [_number(part) for part in text.split(":")]
    if not 1 <= len(parts) <= 2 or parts[0] is None or parts[-1] is None:
        return None
    soft, hard = parts[0], parts[-1]
    return (soft, hard) if soft <= hard else None


def _number(text: str) -> int | None:
    if text == "infinity":
        return _INFINITY
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    kind = found.lastgroup or "decimal"
    value = int(found[kind], {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}[kind])
    return value if value < _INFINITY else None


def _fragment(unit: str, by_path: dict[str, UnitFile]) -> UnitFile | None:
    # The instance's own file, wherever it is, goes before any template.
    for name in dict.fromkeys((unit, _template(unit))):
        for folder in UNIT_FOLDERS:
            if (found := by_path.get(f"{folder}/{name}")) is not None:
                return found
    return None


def _drop_ins(unit: str, files: UnitFiles, by_path: dict[str, UnitFile]) -> list[UnitFile]:
    chosen: dict[str, UnitFile] = {}
    for folder in _drop_in_folders(unit, files):
        for path, file in by_path.items():
            if PurePosixPath(path).parent.as_posix() == folder:
                chosen.setdefault(PurePosixPath(path).name, file)
    return [file for _, file in sorted(chosen.items()) if not file.mask and not file.path.endswith("/*.conf")]


def _closed_folders(unit: str, files: UnitFiles) -> list[str]:
    looked_at = {f"{folder}/*.conf" for folder in _drop_in_folders(unit, files)}
    return [f.path for f in files.files if f.content is None and (f.path in looked_at or f.path.endswith("/*"))]


def _drop_in_folders(unit: str, files: UnitFiles) -> list[str]:
    names = [unit, *(alias.name for alias in files.aliases if alias.unit == unit)]
    own = [f"{folder}/{each}.d" for name in names for folder in UNIT_FOLDERS for each in _names(name)]
    return list(dict.fromkeys([*own, *(f"{folder}/service.d" for folder in UNIT_FOLDERS)]))


def _names(unit: str) -> Iterator[str]:
    """Give the names whose drop-ins count for a unit, the nearest first: foo-bar@x, foo-bar@, foo-, foo-@x, foo-@."""
    yield unit
    stem = unit.removesuffix(".service")
    prefix, at, instance = stem.partition("@")
    if instance:
        yield from _names(_template(unit))
    shorter = re.match(r"(.+-).+", prefix[:-1] if prefix.endswith("-") else prefix)
    if shorter:
        yield from _names(f"{shorter[1]}{at + instance if instance else ''}.service")


def _template(unit: str) -> str:
    prefix, at, _ = unit.partition("@")
    return f"{prefix}@.service" if at else unit


def _last(texts: Iterable[tuple[str, str]], key: str = "LimitNOFILE", section: str = "[Service]") -> _Found | None:
    found = None
    for path, text in texts:
        here = ""
        for line in text.splitlines():
            stripped = line.strip()
            name, sign, value = stripped.partition("=")
            if stripped.startswith("["):
                here = stripped
            elif sign and here == section and name.strip() == key and (limits := rlimit(value.strip())):
                found = _Found(*limits, path)
    return found


def _default(config: Sequence[TextFile], most: int | None) -> NextStart:
    main = "/etc/systemd/system.conf"
    by_path = {file.path: file for file in config}
    chosen: dict[str, TextFile] = {}
    for folder in _CONF_FOLDERS:
        for path, file in by_path.items():
            if PurePosixPath(path).parent.as_posix() == f"{folder}/system.conf.d":
                chosen.setdefault(PurePosixPath(path).name, file)
    read = [*([by_path[main]] if main in by_path else []), *(file for _, file in sorted(chosen.items()))]
    if closed := [file.path for file in read if file.content is None]:
        return NextStart(by=f"{', '.join(closed)} cannot be read")
    found = _last(((file.path, file.content or "") for file in read), "DefaultLimitNOFILE", "[Manager]")
    return _bounded(found or _Found(*SYSTEMD_DEFAULT, "the default of systemd"), most)


def _bounded(found: _Found, most: int | None) -> NextStart:
    # systemd sets as much of it as the kernel lets it.
    bound = most or MOST_NOFILE
    return NextStart(soft=min(found.soft, bound), hard=min(found.hard, bound), by=found.path)


def _pam_lines(config: Sequence[TextFile]) -> Iterator[tuple[str, list[str]]]:
    """Yield the lines about the soft limit of open files, in the order in which pam_limits reads them."""
    files = {file.path: file.content or "" for file in config}
    folder = sorted(path for path in files if path.startswith(f"{_LIMITS_D}/"))
    for path in ("/etc/security/limits.conf", *folder):
        for line in files.get(path, "").splitlines():
            words = line.partition("#")[0].split()
            if len(words) == 4 and words[1] in {"soft", "-"} and words[2] == "nofile":
                yield path, words


def _pam_number(text: str) -> int | None:
    if text in {"unlimited", "infinity", "-1"}:
        return _INFINITY
    return int(text) if text.isascii() and text.isdecimal() else None
