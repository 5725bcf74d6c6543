"""What the configuration of an HAProxy says of its timeouts: one route per frontend and backend.

Only sections, `timeout`, `option`, `mode` and what leads from a frontend to a backend are read. Nothing else is judged.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tcptune.domain.chain import Aspect, Configuration, Known, Origin, Route
from tcptune.errors import ChainError

_MOST_BYTES = 4 << 20
_TIME = re.compile(r"([0-9]{1,12})(us|ms|s|m|h|d)?")
_UNITS_S = {"us": 1e-6, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_QUOTES = re.compile(r"""["'\\]""")
_LONGEST_LINE = 64 << 10
_PROXIES = frozenset({"defaults", "frontend", "backend", "listen"})
_SECTIONS = _PROXIES | {
    "global",
    "cache",
    "peers",
    "resolvers",
    "userlist",
    "mailers",
    "program",
    "ring",
    "http-errors",
}
_OLD_NAMES = {"clitimeout": "client", "srvtimeout": "server", "contimeout": "connect"}
_OLD_OPTIONS = {"forceclose": "httpclose"}
_KERNEL_S = 7200.0
"""net.ipv4.tcp_keepalive_time where nobody changed it."""

Said = tuple[str, str]
"""A value and its place."""


@dataclass
class _Section:
    kind: str
    name: str
    place: str
    timeouts: dict[str, Said] = field(default_factory=dict)
    options: dict[str, Said] = field(default_factory=dict)
    """Option -> 'on' or 'off'."""
    mode: str = "tcp"
    backends: dict[str, str] = field(default_factory=dict)
    """Name of a backend -> who leads there by a rule."""
    default: Said | None = None
    """The backend for what no rule leads elsewhere."""

    def ways(self) -> dict[str, str]:
        """Return name of a backend -> who leads there."""
        return self.backends if self.default is None else {**self.backends, self.default[0]: self.default[1]}


def read_haproxy(path: Path) -> Configuration:
    """Return what a configuration file says. Raises ChainError with every mistake, or where no frontend speaks HTTP."""
    text = _text(path)
    reader = _Reader(str(path))
    for number, line in enumerate(text.split("\n"), start=1):
        reader.line(number, line)
    routes = tuple(reader.routes())
    if reader.mistakes:
        raise ChainError("\n".join(reader.mistakes), hint=f"haproxy -c -f {path}")
    if not routes:
        raise ChainError(f"{path}: no frontend here speaks HTTP and leads to a backend", hint="mode http")
    return Configuration(product="haproxy", origin=str(path), routes=routes, notes=tuple(dict.fromkeys(reader.notes)))


class _Reader:
    """Sections in their order: each begins with what the defaults before it say."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._sections: list[_Section] = []
        self._defaults: dict[str, _Section] = {}
        self._latest: _Section | None = None
        self._now: _Section | None = None
        self.mistakes: list[str] = []
        self.notes: list[str] = []

    def line(self, number: int, text: str) -> None:
        """Take one line."""
        place = f"{self._origin}:{number}"
        try:
            words = _words(text)
        except ValueError as problem:
            self.mistakes.append(f"{place}: {problem}")
            return
        if not words:
            return
        if words[0] == ".if":
            self.notes.append(f"{place}: .if is not followed: what stands below it is read as if it always counted")
        if words[0] in _SECTIONS:
            self._now = self._begin(words, place) if words[0] in _PROXIES else None
        elif self._now is not None:
            self._inside(self._now, words, place)

    def _begin(self, words: list[str], place: str) -> _Section:
        kind, *rest = words
        name = rest[0] if rest and rest[0] != "from" else ""
        based = rest[rest.index("from") + 1 :][:1] if "from" in rest else []
        if based and based[0] not in self._defaults:
            self.mistakes.append(f"{place}: there is no defaults section {based[0]!r} before it")
        parent = self._defaults.get(based[0]) if based else None if kind == "defaults" else self._latest
        section = _Section(kind, name, place)
        if parent is not None:
            section.timeouts, section.options = dict(parent.timeouts), dict(parent.options)
            section.mode, section.backends, section.default = parent.mode, dict(parent.backends), parent.default
        if kind == "defaults":
            self._latest = section
            self._defaults[name] = section
        else:
            self._sections.append(section)
        return section

    def _inside(self, section: _Section, words: list[str], place: str) -> None:
        first = words[0]
        if first == "timeout" and len(words) > 2:
            section.timeouts[words[1]] = (words[2], place)
        elif first in _OLD_NAMES and len(words) > 1:
            section.timeouts[_OLD_NAMES[first]] = (words[1], place)
        elif first == "timeout" or first in _OLD_NAMES:
            self.mistakes.append(f"{place}: {first} has no time")
        elif first == "option" and len(words) > 1:
            section.options[_OLD_OPTIONS.get(words[1], words[1])] = ("on", place)
        elif words[:2] == ["no", "option"] and len(words) > 2:
            section.options[_OLD_OPTIONS.get(words[2], words[2])] = ("off", place)
        elif first == "mode" and len(words) > 1:
            section.mode = words[1]
        elif first == "default_backend" and len(words) > 1:
            section.default = (words[1], place)
        elif first == "use_backend" and len(words) > 1:
            section.backends[words[1]] = place

    def routes(self) -> Iterator[Route]:
        """Yield what each frontend does with each of its backends."""
        backends = {one.name: one for one in self._sections if one.kind == "backend"}
        for one in self._sections:
            if one.kind == "backend":
                continue
            if one.mode != "http":
                self.notes.append(f"{one.place}: {one.kind} {one.name} is not judged: mode {one.mode} passes TCP on")
                continue
            if one.kind == "listen":
                yield self._route(one, one)
            for name, place in one.ways().items():
                if name in backends:
                    yield self._route(one, backends[name])
                elif "%[" in name or "%" in name:
                    self.notes.append(f"{place}: the backend is only known once a request is there: not judged")
                else:
                    self.mistakes.append(f"{place}: there is no backend {name!r}")

    def _route(self, front: _Section, back: _Section) -> Route:
        settings: dict[Aspect, Known] = {}
        unknown: dict[Aspect, str] = {}
        # As HAProxy falls back where one is not set.
        idle = next((name for name in ("http-keep-alive", "http-request", "client") if name in front.timeouts), None)
        for aspect, section, timeout in (
            (Aspect.RECEIVES_IDLE, front, idle),
            (Aspect.RESPONSE, back, "server"),
        ):
            if timeout not in section.timeouts:
                continue
            text, place = section.timeouts[timeout]
            if "$" in text:
                unknown[aspect] = (
                    f"{place}: timeout {timeout} is {text}, of the environment in which HAProxy is started"
                )
            else:
                settings[aspect] = self._time(text, place)
        for aspect, section, option in (
            (Aspect.RECEIVES_KEEPALIVE, front, "clitcpka"),
            (Aspect.SENDS_KEEPALIVE, back, "srvtcpka"),
        ):
            state, place = section.options.get(option) or section.options.get("tcpka") or ("off", section.place)
            settings[aspect] = _read(_KERNEL_S if state == "on" else None, place)
        reuse, why = True, ""
        for section in (front, back):
            for option in ("httpclose", "http-server-close"):
                state, place = section.options.get(option, ("off", ""))
                if state == "on":
                    reuse, why = False, f"{place}: option {option}"
            state, place = section.options.get("nolinger", ("off", ""))
            if state == "on":
                self.notes.append(
                    f"{place}: option nolinger ends connections with a reset and throws away what was not yet sent: "
                    "reset.so_linger_zero"
                )
        client = front.timeouts.get("client")
        if idle not in {None, "client"} and client is not None and not unknown and self._below(client, settings):
            self.notes.append(
                f"{client[1]}: timeout client is below timeout {idle}, and releases up to 2023 close after the shorter "
                "of the two (HAProxy issue 2334)"
            )
        closed = front.options.get("httpclose", ("off", ""))
        if closed[0] == "on":
            settings[Aspect.RECEIVES_IDLE] = _read(0.0, closed[1])
            unknown.pop(Aspect.RECEIVES_IDLE, None)
        name = f"{front.name} -> {back.name}" if back is not front else front.name
        return Route(name=name, upstream=back.name, settings=settings, reuse=reuse, reuse_why=why, unknown=unknown)

    def _below(self, client: Said, settings: dict[Aspect, Known]) -> bool:
        idle = settings.get(Aspect.RECEIVES_IDLE)
        return "$" not in client[0] and idle is not None and (self._time(*client).value or 0) < (idle.value or 0)

    def _time(self, text: str, place: str) -> Known:
        found = _TIME.fullmatch(text)
        if found is None:
            self.mistakes.append(f"{place}: {text!r} is no time such as 30s or 5000, which is in ms")
            return _read(0.0, place)
        # Without a unit HAProxy counts milliseconds.
        return _read(int(found[1]) * _UNITS_S[found[2] or "ms"], place)


def _text(path: Path) -> str:
    """Return the text of a file. What is not UTF-8 in it, in comments for the most part, becomes a mark."""
    try:
        with path.open("rb") as file:
            found = file.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise ChainError(f"{path}: {problem.strerror}", hint="the path of a configuration file of HAProxy") from None
    if len(found) > _MOST_BYTES:
        raise ChainError(f"{path}: this is longer than {_MOST_BYTES >> 20} MiB", hint="the file that haproxy -f names")
    return found.decode("utf-8", errors="replace")


def _words(line: str) -> list[str]:
    """Split a line as HAProxy does: # begins a comment wherever it is not quoted. Raises ValueError."""
    if _QUOTES.search(line) is None:
        return line.partition("#")[0].split()
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"this line is longer than {_LONGEST_LINE >> 10} KiB")
    words = shlex.shlex(line, posix=True)
    words.whitespace_split = True
    try:
        return list(words)
    except ValueError:
        raise ValueError("a quote, or what a backslash keeps, has no end") from None


def _read(value: float | None, said: str) -> Known:
    return Known(value=value, origin=Origin.READ, said=said)
