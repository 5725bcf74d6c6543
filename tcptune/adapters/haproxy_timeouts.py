"""What the configuration of an HAProxy says of its timeouts: one route per frontend and backend.

Only sections, `timeout`, `option`, `mode` and what leads from a frontend to a backend are read. Nothing else is judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tcptune.adapters.haproxy_words import of_environment, shown, words
from tcptune.domain.chain import Aspect, Configuration, Known, Origin, Route
from tcptune.errors import ChainError

_MOST_BYTES = 4 << 20
# Behind a unit HAProxy 2.6 reads no further, and warns that later releases will refuse it.
_TIME = re.compile(r"([0-9]{1,12})(?:(us|ms|s|m|h|d)(.*))?", re.DOTALL)
_UNITS_S = {"us": 1e-6, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 2147483.647
"""HAProxy counts milliseconds in 31 bits, and refuses what is longer."""
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
    "fcgi-app",
    "log-forward",
    "log-profile",
    "crt-store",
    "traces",
    "acme",
}
_OLD_NAMES = {"clitimeout": "client", "srvtimeout": "server", "contimeout": "connect"}
_OLD_OPTIONS = {"forceclose": "httpclose"}
_CLOSING = frozenset({"httpclose", "http-server-close", "http-keep-alive"})
"""Of these a section has one: the last that it says, or takes over."""
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
    closing: Said | None = None
    """Which of `_CLOSING` holds."""
    disabled: bool = False
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
            found = words(text)
        except ValueError as problem:
            self.mistakes.append(f"{place}: {problem}")
            return
        if not found:
            return
        if found[0] == ".if":
            self.notes.append(f"{place}: .if is not followed: what stands below it is read as if it always counted")
        if found[0] in _SECTIONS:
            self._now = self._begin(found, place) if found[0] in _PROXIES else None
        elif self._now is not None:
            self._inside(self._now, found, place)

    def _begin(self, said: list[str], place: str) -> _Section:
        kind, *rest = said
        name = rest[0] if rest and rest[0] != "from" else ""
        based = rest[rest.index("from") + 1 :][:1] if "from" in rest else []
        if based and based[0] not in self._defaults:
            self.mistakes.append(f"{place}: there is no defaults section {based[0]!r} before it")
        parent = self._defaults.get(based[0]) if based else None if kind == "defaults" else self._latest
        section = _Section(kind, name, place)
        if parent is not None:
            section.timeouts, section.options = dict(parent.timeouts), dict(parent.options)
            section.mode, section.backends, section.default = parent.mode, dict(parent.backends), parent.default
            section.closing, section.disabled = parent.closing, parent.disabled
        if kind == "defaults":
            self._latest = section
            self._defaults[name] = section
        else:
            self._sections.append(section)
        return section

    def _inside(self, section: _Section, said: list[str], place: str) -> None:
        first = said[0]
        if first == "timeout" and len(said) > 3:
            self.mistakes.append(f"{place}: timeout {said[1]} has more than a time: {' '.join(said[2:])}")
        elif first == "timeout" and len(said) > 2:
            section.timeouts[said[1]] = (said[2], place)
        elif first in _OLD_NAMES and len(said) > 1:
            section.timeouts[_OLD_NAMES[first]] = (said[1], place)
        elif first == "timeout" or first in _OLD_NAMES:
            self.mistakes.append(f"{place}: {first} has no time")
        elif first == "option" and len(said) > 1:
            self._option(section, said[1], "on", place)
        elif said[:2] == ["no", "option"] and len(said) > 2:
            self._option(section, said[2], "off", place)
        elif first in {"disabled", "enabled"}:
            section.disabled = first == "disabled"
        elif first == "mode" and len(said) > 1:
            section.mode = said[1]
        elif first == "default_backend" and len(said) > 1:
            section.default = (said[1], place)
        elif first == "use_backend" and len(said) > 1:
            section.backends[said[1]] = place

    def _option(self, section: _Section, said: str, state: str, place: str) -> None:
        name = _OLD_OPTIONS.get(said, said)
        if name not in _CLOSING:
            section.options[name] = (state, place)
        elif state == "on":
            section.closing = (name, place)
        elif section.closing is not None and section.closing[0] == name:
            section.closing = None

    def routes(self) -> Iterator[Route]:
        """Yield what each frontend does with each of its backends."""
        # What `listen` names is a backend for others, too.
        backends = {one.name: one for one in self._sections if one.kind in {"backend", "listen"}}
        for one in self._sections:
            if one.kind == "backend":
                continue
            if one.disabled:
                self.notes.append(f"{one.place}: {one.kind} {one.name} is not judged: it is disabled")
                continue
            if one.mode != "http":
                self.notes.append(f"{one.place}: {one.kind} {one.name} is not judged: mode {one.mode} passes TCP on")
                continue
            if one.kind == "listen":
                yield self._route(one, one)
            for name, place in one.ways().items():
                if name in backends:
                    yield self._route(one, backends[name])
                elif "%" in name:
                    self.notes.append(f"{place}: the backend is only known once a request is there: not judged")
                elif of_environment(name):
                    self.notes.append(f"{place}: the backend is {shown(name)}, of the environment: not judged")
                else:
                    self.mistakes.append(f"{place}: there is no backend {name!r}")

    def _route(self, front: _Section, back: _Section) -> Route:
        settings: dict[Aspect, Known] = {}
        unknown: dict[Aspect, str] = {}
        for aspect, found in ((Aspect.RECEIVES_IDLE, self._idle(front)), (Aspect.RESPONSE, self._of(back, "server"))):
            if isinstance(found, str):
                unknown[aspect] = found
            elif found is not None:
                settings[aspect] = found
        for aspect, section, option in (
            (Aspect.RECEIVES_KEEPALIVE, front, "clitcpka"),
            (Aspect.SENDS_KEEPALIVE, back, "srvtcpka"),
        ):
            state, place = section.options.get(option) or section.options.get("tcpka") or ("off", section.place)
            settings[aspect] = _read(_KERNEL_S if state == "on" else None, place)
        reuse, why = True, ""
        for section in (front, back):
            closing, place = section.closing or ("http-keep-alive", "")
            if closing != "http-keep-alive":
                reuse, why = False, f"{place}: option {closing}"
            state, place = section.options.get("nolinger", ("off", ""))
            if state == "on":
                self.notes.append(
                    f"{place}: option nolinger ends connections with a reset and throws away what was not yet sent: "
                    "reset.so_linger_zero"
                )
        if front.closing is not None and front.closing[0] == "httpclose":
            settings[Aspect.RECEIVES_IDLE] = _read(0.0, front.closing[1])
            unknown.pop(Aspect.RECEIVES_IDLE, None)
        name = f"{front.name} -> {back.name}" if back is not front else front.name
        return Route(name=name, upstream=back.name, settings=settings, reuse=reuse, reuse_why=why, unknown=unknown)

    def _idle(self, front: _Section) -> Known | str | None:
        """Return after what time a client's idle connection is closed, or why that is not known.

        As HAProxy 2.6.12 was seen to do it: 0 counts as not set, and where a time is not set, the next one counts.
        """
        client = self._of(front, "client")
        for name in ("http-keep-alive", "http-request"):
            found = self._of(front, name)
            if isinstance(found, str):
                return found
            if found is None or found.value is None:
                continue
            if isinstance(client, str):
                self.notes.append(f"{client}: where it is below timeout {name}, releases such as 2.6 close after it")
            elif client is not None and client.value is not None and client.value < (found.value or 0):
                self.notes.append(
                    f"{client.said}: timeout client is below timeout {name}, and releases up to 2023 close after the "
                    "shorter of the two (HAProxy issue 2334): that is judged; to keep them longer, raise both"
                )
                return client
            return found
        return client

    def _of(self, section: _Section, timeout: str) -> Known | str | None:
        """Return a timeout of a section, None where it says nothing, or why its value is not known."""
        if timeout not in section.timeouts:
            return None
        text, place = section.timeouts[timeout]
        if of_environment(text):
            return f"{place}: timeout {timeout} is {shown(text)}, of the environment in which HAProxy is started"
        return self._time(text, place)

    def _time(self, text: str, place: str) -> Known:
        found = _TIME.fullmatch(text)
        if found is None:
            self.mistakes.append(f"{place}: {text!r} is no time such as 30s or 5000, which is in ms")
            return _read(None, place)
        # Without a unit HAProxy counts milliseconds.
        value_s = int(found[1]) * _UNITS_S[found[2] or "ms"]
        if value_s > _LONGEST_S:
            self.mistakes.append(f"{place}: {text!r} is longer than HAProxy can wait, 2147483647 ms or some 24 days")
        if found[3]:
            read = found[1] + found[2]
            self.notes.append(
                f"{place}: {text!r} is {read} to HAProxy up to 2.6; later releases refuse what is behind it"
            )
        # No time at all is what 0 means.
        return _read(value_s or None, place)


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


def _read(value: float | None, said: str) -> Known:
    return Known(value=value, origin=Origin.READ, said=said)
