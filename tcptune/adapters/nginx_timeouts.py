"""What the configuration of an nginx says of its timeouts: one route per server, location and upstream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tcptune.adapters.nginx_config import Scope, Statement, read_statements, scopes
from tcptune.domain.chain import Aspect, Configuration, Known, Origin, Route
from tcptune.errors import ChainError

_PART = re.compile(r"([0-9]{1,9})(ms|[smhdwMy]?)")
# Only the last number may lack a unit: so each text is read in one way alone, and in one pass.
_TIME = re.compile(r"(?=.)(?:[0-9]{1,9}(?:ms|[smhdwMy]) *)*(?:[0-9]{1,9})?")
_UNITS_S = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
_URL = re.compile(r"https?://(?P<host>unix:[^:]*|\[[^\]]*\]|[^/:?]+)", re.IGNORECASE)
# These variables begin with a slash, and end the name before them.
_NAMED = re.compile(r"(?P<name>[^$]+)\$(?:request_uri|document_uri|uri)\b")
_ITSELF = "1.29.7"
"""From this release on nginx reuses connections to an upstream block without being told to."""
_OTHERS = ("fastcgi_pass", "grpc_pass", "scgi_pass", "uwsgi_pass")
_OBSOLETE = {
    "http2_max_requests": "keepalive_requests",
    "http2_idle_timeout": "keepalive_timeout",
    "http2_recv_timeout": "client_header_timeout",
}
"""What nginx itself says of them: "directive is obsolete, use the ... directive instead"."""
_ONE_SETTING = "1.19.7"
_OWN_BACKLOG = 511
_KERNEL_S = 7200.0
"""net.ipv4.tcp_keepalive_time where nobody changed it."""


def read_nginx(path: Path) -> Configuration:
    """Return what a main configuration file says, with all that it includes.

    Raises ChainError with every mistake, or where nothing there is a proxy.
    """
    every = list(scopes(read_statements(path)))
    reading = _Reading(every)
    routes = tuple(reading.routes())
    if reading.mistakes:
        raise ChainError("\n".join(dict.fromkeys(reading.mistakes)), hint=f"nginx -t -c {path}")
    if not routes:
        raise ChainError(
            f"{path}: no http server here has a proxy_pass", hint="name the main file: it includes the others"
        )
    return Configuration(product="nginx", origin=str(path), routes=routes, notes=tuple(reading.notes()))


class _Reading:
    """The blocks of a configuration, and what is wrong with them."""

    def __init__(self, every: Sequence[Scope]) -> None:
        self._http = [scope for scope in every if scope.inside("http")]
        self._every = every
        self._upstreams = {
            scope.args[0].lower(): scope for scope in self._http if scope.kind == "upstream" and scope.args
        }
        self._empty = dict(
            _map_of_nothing(scope) for scope in self._http if scope.kind == "map" and len(scope.args) > 1
        )
        self.mistakes: list[str] = []

    def routes(self) -> Iterator[Route]:
        """Yield what each proxy_pass does."""
        for scope in self._http:
            for one in scope.own.get("proxy_pass", ()):
                if one.args and scope.kind != "upstream":
                    yield self._route(scope, one)

    def notes(self) -> Iterator[str]:
        """Yield what was seen and is not judged."""
        for scope in self._every:
            for one in (one for name in _OTHERS for one in scope.own.get(name, ())):
                yield f"{one.place}: {one.name} is not judged: only what goes on as HTTP by proxy_pass is"
            if scope.kind == "stream":
                yield "the stream block is not judged: it passes TCP on"
            for name, instead in _OBSOLETE.items():
                for one in scope.own.get(name, ()):
                    yield f"{one.place}: {name} does nothing from nginx {_ONE_SETTING} on: {instead} does"
            for one in scope.own.get("listen", ()):
                for backlog in (arg.removeprefix("backlog=") for arg in one.args if arg.startswith("backlog=")):
                    if backlog.isdecimal() and int(backlog) < _OWN_BACKLOG:
                        yield f"{one.place}: backlog={backlog} is below nginx's own {_OWN_BACKLOG}"

    def _route(self, scope: Scope, target: Statement) -> Route:
        found = _URL.match(target.args[0])
        named = found and (_NAMED.match(found["host"]) or found)
        host = named[1] if named and "$" not in named[1] else None
        upstream = self._upstreams.get((host or "").lower())
        settings: dict[Aspect, Known] = {}
        for aspect, where, name in (
            (Aspect.RECEIVES_IDLE, scope, "keepalive_timeout"),
            (Aspect.AGE, scope, "keepalive_time"),
            (Aspect.RESPONSE, scope, "proxy_read_timeout"),
            (Aspect.SENDS_IDLE, upstream, "keepalive_timeout"),
        ):
            for one in self._settled(where, name, only_own=where is upstream):
                settings[aspect] = self._time(one)
        for aspect, where in ((Aspect.RECEIVES_REQUESTS, scope), (Aspect.SENDS_REQUESTS, upstream)):
            for one in self._settled(where, "keepalive_requests", only_own=where is upstream):
                settings[aspect] = self._count(one)
        settings |= self._probes(scope)
        reuse, why, remarks = self._reuse(scope, target, upstream)
        unknown: dict[Aspect, str] = {}
        if host is None:
            reuse = any(_kept(one) for one in self._upstreams.values())
            some = "some" if reuse else "none"
            why = f"{target.place}: a variable names the upstream, and {some} here keep connections"
            unknown = {Aspect.SENDS_IDLE: why} if reuse else {}
        return Route(
            name=_name(scope),
            upstream=host if upstream is None else upstream.args[0],
            settings=settings,
            reuse=reuse,
            reuse_why=why,
            unknown=unknown,
            remarks=tuple(remarks),
        )

    @staticmethod
    def _settled(scope: Scope | None, name: str, *, only_own: bool) -> list[Statement]:
        if scope is None:
            return []
        # An upstream block inherits nothing: keepalive_timeout of http is about clients.
        found = scope.own.get(name, []) if only_own else scope.nearest(name)
        return found[-1:]

    def _reuse(self, scope: Scope, target: Statement, upstream: Scope | None) -> tuple[bool, str, list[str]]:
        if upstream is None:
            return False, f"{target.place}: no upstream block with keepalive is behind it", []
        keepalive = _kept(upstream)
        if not keepalive:
            itself = "" if "keepalive" in upstream.own else f", which nginx needs before {_ITSELF}"
            return False, f"{target.place}: upstream {upstream.args[0]} has no keepalive{itself}", []
        version, headers = scope.nearest("proxy_http_version")[-1:], scope.nearest("proxy_set_header")
        missing = []
        if not version or version[0].args[:1] == ("1.0",):
            missing.append("proxy_http_version 1.1")
        sent = [one for one in headers if one.args and one.args[0].lower() == "connection"]
        value = sent[-1].args[1] if sent and len(sent[-1].args) > 1 else "close"
        if self._empty.get(value, value).lower() not in {"", "keep-alive"}:
            missing.append('proxy_set_header Connection ""')
        if not missing:
            return True, f"{keepalive[-1].place}: keepalive {' '.join(keepalive[-1].args)}", []
        # What decides is where the directive would have to stand: a block with headers of its own inherits none.
        at = sent[-1].place if sent else headers[-1].place if headers else target.place
        remark = f"{keepalive[-1].place}: keepalive has no effect for {target.place} without {' and '.join(missing)}"
        # What nobody wrote down is what that release does by default.
        stated = sent or (version and version[0].args[:1] == ("1.0",))
        itself = "" if stated else f", which nginx needs before {_ITSELF}"
        return False, f"{at}: {' and '.join(missing)} is missing{itself}", [remark]

    def _probes(self, scope: Scope) -> dict[Aspect, Known]:
        found: dict[Aspect, Known] = {}
        for one in scope.nearest("proxy_socket_keepalive")[-1:]:
            if one.args[:1] == ("on",):
                found[Aspect.SENDS_KEEPALIVE] = _read(_KERNEL_S, f"{one.place}: on, at the kernel's default")
        server = scope.inside("server")
        listens = server.own.get("listen", []) if server else []
        periods = [(self._period(one), one) for one in listens]
        if periods and all(period is not None for period, _ in periods):
            period, slowest = max(periods, key=lambda pair: pair[0] or 0)
            found[Aspect.RECEIVES_KEEPALIVE] = _read(period, slowest.place)
        return found

    def _period(self, listen: Statement) -> float | None:
        [value] = [arg.removeprefix("so_keepalive=") for arg in listen.args if arg.startswith("so_keepalive=")][
            -1:
        ] or ["off"]
        if value == "off":
            return None
        first = value.partition(":")[0]
        return _KERNEL_S if value == "on" or not first else self._seconds(listen, first)

    def _time(self, one: Statement) -> Known:
        return _read(self._seconds(one, one.args[0] if one.args else ""), one.place)

    def _seconds(self, one: Statement, text: str) -> float:
        if not _TIME.fullmatch(text):
            self.mistakes.append(f"{one.place}: {one.name} has no time such as 60s or 1m30s: {text!r}")
            return 0.0
        return sum(int(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))

    def _count(self, one: Statement) -> Known:
        text = one.args[0] if one.args else ""
        if not re.fullmatch("[0-9]{1,12}", text):
            self.mistakes.append(f"{one.place}: {one.name} has no number: {text!r}")
            return _read(0.0, one.place)
        return _read(float(text), one.place)


def _kept(upstream: Scope) -> list[Statement]:
    """Return the directives that make an upstream keep connections: 0 is for none."""
    return [one for one in upstream.own.get("keepalive", []) if one.args[:1] != ("0",)]


def _read(value: float | None, said: str) -> Known:
    return Known(value=value, origin=Origin.READ, said=said)


def _name(scope: Scope) -> str:
    server = scope.inside("server")
    said = [
        arg
        for name in ("server_name", "listen")
        for one in (server.own.get(name, []) if server else [])
        for arg in one.args
    ]
    where: list[str] = []
    at: Scope | None = scope
    while at is not None and at is not server:
        where = [" ".join(at.args) if at.kind == "location" else at.kind, *where]
        at = at.around
    return " ".join([said[0] if said else "server", *where])


def _map_of_nothing(scope: Scope) -> tuple[str, str]:
    """Return a variable and what a map makes of it where a request says nothing."""
    rows = {name: one.args for name, found in scope.own.items() for one in found}
    value = rows.get("") or rows.get("default") or ("",)
    return scope.args[1], value[0]
