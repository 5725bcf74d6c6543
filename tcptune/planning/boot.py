"""Say what value each key gets at the next boot, from the files alone. Pure.

Two programs load them, and a host may run either: systemd-sysctl, and procps' `sysctl --system`. Both take a file of
the strongest folder per name, read by name, and let an explicit key beat a glob anywhere. They part ways here:

    what                                    systemd-sysctl                      sysctl --system
    /etc/sysctl.conf                        only through a link in sysctl.d     always, last
    a key twice                             merged: the last one is written     each is written in turn
    `tcp_rmem = 8192` after a full triple   only 8192 is written                changes the first of three numbers
    a last value that the kernel refuses    nothing is written                  the one before stays
    `-key` after `key = 1`                  takes the assignment back           takes it out of globs only
    `-net.ipv4.conf.*.rp_filter`            takes back that very pattern        does nothing (newer: excludes matches)
    two globs for one key                   a repeated line keeps its place     the later one wins
    braces in a glob                        are expanded                        are ordinary characters
    `- key`, `key/ =`                       are `key`                           name nothing
    `--key`, `a/../key`                     name nothing                        are `key`
    a carriage return or NUL in a line      ends it                             belongs to it; hides the rest
    .hidden.conf                            is passed over                      is read

As systemd 252 and procps 4.0.2 do it, checked against both programs. Older procps (before 3.3.17) let /run win over
/etc and knew no globs. Not modelled: one key that changes another in the kernel (conf.all.forwarding), a value of more
than a page, credentials, what udev and networkd write later, and a link to nowhere beside a file called `*.conf`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from tcptune.domain.boot import AtBoot, BootValue, Definition, Loader, LoadOrder
from tcptune.domain.facts import SysctlFile
from tcptune.domain.values import key_path, sysctl_key
from tcptune.planning.boot_files import Opened
from tcptune.planning.boot_globs import braced, expansion, is_glob, matches
from tcptune.planning.boot_lines import Line, procps_lines, systemd_lines

Accepts = Callable[[str, str], bool]
"""Does the kernel take this value, a text with single spaces, for this key?"""

_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+)")
# The kernel stores the leading numbers of a list even where it refuses a later one. These two it checks first.
_ALL_OR_NOTHING = frozenset({"net.ipv4.ip_local_port_range", "net.ipv4.ping_group_range"})


class BootModel:
    """The files of one host, and what they will do.

    `accepts` says what the kernel refuses (without it, nothing); `widths` how many numbers a key holds, for keys that
    hold numbers: it lets a value say that it is `partial`.
    """

    def __init__(
        self,
        files: Iterable[SysctlFile],
        *,
        accepts: Accepts = lambda _key, _value: True,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        self._files = {file.path: file for file in files}
        self._accepts = accepts
        self._widths = widths or {}
        self._opened = {loader: Opened(loader, self._files) for loader in Loader}
        self._systemd = _Systemd(_entries(self._opened[Loader.SYSTEMD], systemd_lines))
        self._procps = _Procps(_entries(self._opened[Loader.PROCPS], procps_lines))

    def at_boot(self, key: str) -> AtBoot:
        """Return what the next boot gives `key`, provided the kernel has it.

        Raises ValueError for what is no key, or is a secret.
        """
        key = sysctl_key(key)
        return AtBoot(systemd=self._under_systemd(key), procps=self._under_procps(key))

    def all_keys(self, existing: Iterable[str]) -> dict[str, AtBoot]:
        """Return what the next boot gives each of the `existing` keys, those that no file speaks of included."""
        return {key: self.at_boot(key) for key in existing}

    def definitions(self, key: str) -> tuple[Definition, ...]:
        """Return every line that speaks of `key`, globs and exclusions included, in the order they are read."""
        path = key_path(sysctl_key(key))
        entries = [*self._procps.speaking_of(path), *self._systemd.speaking_of(path)]
        rank = {name: at for at, name in reversed(list(enumerate(self.load_order(Loader.PROCPS).read)))}
        found = {(entry.source, entry.number): entry.definition for entry in entries}
        return tuple(found[at] for at in sorted(found, key=lambda at: (rank.get(at[0], len(rank)), at[1])))

    def load_order(self, loader: Loader) -> LoadOrder:
        """Return the files that `loader` opens, in order, and those it passes over."""
        return self._opened[loader].order

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The files a loader will read and we could not, in the order they are read."""
        both = self.load_order(Loader.PROCPS).unreadable + self.load_order(Loader.SYSTEMD).unreadable
        return tuple(dict.fromkeys(both))

    def replacing(self, path: str, content: str | None) -> BootModel:
        """Return the model of a host where the file `path` holds `content`; None removes it."""
        files = {name: file for name, file in self._files.items() if name != path}
        if content is not None:
            files[path] = SysctlFile(path=path, content=content)
        return BootModel(files.values(), accepts=self._accepts, widths=self._widths)

    def _under_systemd(self, key: str) -> BootValue:
        writes, explicit = self._systemd.writes(key_path(key))
        value, winner, _ = self._fold(key, writes)
        if explicit is not None and explicit.value is None:
            winner = explicit.definition
        certain = self._certain(Loader.SYSTEMD, explicit.file if explicit else None)
        return BootValue(value=value, winner=winner, partial=self._partial(key, value), certain=certain)

    def _under_procps(self, key: str) -> BootValue:
        path = key_path(key)
        writes = list(self._procps.writes(path))
        value, winner, base = self._fold(key, writes)
        if not writes:
            winner = self._procps.exclusion_of(path)
        globbed = any(is_glob(entry.path) for entry in writes)
        certain = self._certain(Loader.PROCPS, None if globbed else base) and not self._procps.depends_on_version(path)
        return BootValue(value=value, winner=winner, partial=self._partial(key, value), certain=certain)

    def _certain(self, loader: Loader, decided: int | None) -> bool:
        """Say whether no unread file can change what the explicit line in the file `decided` gives.

        Without such a line any unread file can: an explicit key beats a glob wherever it stands.
        """
        unread = self._opened[loader].unread
        return not unread or (decided is not None and decided > max(unread))

    def _partial(self, key: str, value: str | None) -> bool:
        return value is not None and len(value.split()) < self._widths.get(key, 0)

    def _fold(self, key: str, writes: Iterable[_Entry]) -> tuple[str | None, Definition | None, int | None]:
        """Return what the writes leave, the last that took effect, and the file of the last to set the whole value."""
        value, winner, base = None, None, None
        width = self._widths.get(key, 0)
        for entry in writes:
            written = _single_spaced(entry.value or "")
            after = self._after(key, value, written)
            if after is None:
                continue
            if after == self._after(key, None, written) and len(after.split()) >= width:
                base = entry.file
            value, winner = after, entry
        return value, winner.definition if winner else None, base

    def _after(self, key: str, before: str | None, written: str) -> str | None:
        """Return what the kernel holds after one write; None where it refuses all of it."""
        width = self._widths.get(key, 0)
        if width and not written:
            return None  # an empty line is no number
        after = _overlaid(before, written, width)
        if self._accepts(key, written) and (after == written or self._accepts(key, after)):
            return after
        tokens = written.split(" ") if width > 1 and key not in _ALL_OR_NOTHING else []
        for taken in range(len(tokens) - 1, 0, -1):
            leading = " ".join(tokens[:taken])
            if _numbers(tokens[:taken]) and self._accepts(key, leading):
                return _overlaid(before, leading, width)
        return None


class _Entry(NamedTuple):
    """A line, and where it stands in the whole of what one loader reads."""

    file: int
    source: str
    number: int
    path: str
    value: str | None

    @property
    def definition(self) -> Definition:
        return Definition(path=self.source, line=self.number, value=self.value)


def _entries(opened: Opened, lines: Callable[[str], Iterable[Line]]) -> Iterator[_Entry]:
    for at, file in enumerate(opened.files):
        for line in lines(file.content or ""):
            yield _Entry(at, file.path, line.number, line.path, line.value)


class _Systemd:
    """All lines merged into one value per path or pattern, as in systemd's ordered hashmap."""

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self._all = tuple(entries)
        self._merged: dict[str, _Entry] = {}
        for entry in self._all:
            known = self._merged.get(entry.path)
            # Only a value that differs moves to the end, which matters between globs.
            if known is not None and known.value != entry.value:
                del self._merged[entry.path]
            self._merged[entry.path] = entry
        self._globs = [entry for path, entry in self._merged.items() if is_glob(path)]

    def writes(self, path: str) -> tuple[list[_Entry], _Entry | None]:
        """Return what reaches the kernel in turn, and the explicit line that decides, if one does."""
        explicit = self._merged.get(path)
        if explicit is not None:
            return ([] if explicit.value is None else [explicit]), explicit
        return [e for e in self._globs if e.value is not None and self._finds(e.path, path)], None

    def speaking_of(self, path: str) -> Iterator[_Entry]:
        return (e for e in self._all if e.path == path or (is_glob(e.path) and self._finds(e.path, path)))

    @staticmethod
    def _finds(pattern: str, path: str) -> bool:
        return any(expansion(plain, path) is not None for plain in braced(pattern))


class _Procps:
    """All lines in turn. Paths are compared as they are spelled, but written wherever they lead."""

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self._all = tuple(entries)
        self._spelled = {entry.path for entry in self._all}
        self._exclusions = [entry for entry in self._all if entry.value is None]
        self._globs: list[tuple[int, _Entry]] = []
        self._plain: dict[str, list[tuple[int, _Entry]]] = {}
        for rank, entry in enumerate(self._all):
            if is_glob(entry.path):
                self._globs.append((rank, entry))
            else:
                self._plain.setdefault(_leads_to(entry.path), []).append((rank, entry))

    def writes(self, path: str) -> Iterator[_Entry]:
        """Yield what reaches the kernel, in turn."""
        found = [(rank, e) for rank, e in self._globs if self._expands(e, path)]
        for _, entry in sorted(found + self._plain.get(path, []), key=lambda item: item[0]):
            if entry.value is not None:
                yield entry

    def exclusion_of(self, path: str) -> Definition | None:
        """Return the last line that takes `path` out of the globs."""
        return next((e.definition for e in reversed(self._exclusions) if e.path == path), None)

    def depends_on_version(self, path: str) -> bool:
        """Say whether a glob is written here that newer releases, which match `-pattern` as such, would leave out."""
        patterns = [e.path for e in self._exclusions if is_glob(e.path)]
        globs = [e for _, e in self._globs if e.value is not None and self._expands(e, path)]
        return any(matches(pattern, expansion(e.path, path) or "") for e in globs for pattern in patterns)

    def speaking_of(self, path: str) -> Iterator[_Entry]:
        for entry in self._all:
            excludes = entry.value is None and matches(entry.path, path)
            names = expansion(entry.path, path) is not None if is_glob(entry.path) else _leads_to(entry.path) == path
            if excludes or names:
                yield entry

    def _expands(self, entry: _Entry, path: str) -> bool:
        spelled = expansion(entry.path, path)
        return spelled is not None and spelled not in self._spelled


def _leads_to(path: str) -> str:
    """Return the path below /proc/sys that the kernel finds, or '' where there can be no such file."""
    if path.endswith(("/", "/.", "/..")):
        return ""
    found = posixpath.normpath(f"/proc/sys/{path}")
    return found.removeprefix("/proc/sys/") if found.startswith("/proc/sys/") else ""


def _single_spaced(value: str) -> str:
    return re.sub(r"[ \t]+", " ", value)


def _overlaid(before: str | None, written: str, width: int) -> str:
    """Write numbers over numbers: those that are not given stay, and the key has no place for more than `width`.

    >>> _overlaid("4096 131072 6291456", "8192 65536 # bytes", 2)
    '8192 65536'
    """
    tokens = written.split(" ")
    tokens = tokens[: width or len(tokens)]
    if not _numbers(tokens):
        return written
    kept = before.split(" ") if before is not None else []
    if _numbers(kept):
        tokens += kept[len(tokens) :]
    return " ".join(tokens[: width or len(tokens)])


def _numbers(tokens: Iterable[str]) -> bool:
    return all(_NUMBER.fullmatch(token) for token in tokens)
