"""With whom a line of a log had its trouble: the address it names, in the form of the program that wrote it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_IPV4 = rb"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_NAME = rb"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
_ADDRESS = rb"(?:" + _IPV4 + rb"|\[[0-9A-Fa-f:.%]{2,60}\])"
_ENDS = rb":\d{1,5}(?!\d)"

# nginx: the upstream is a URL, the client an address without port.
_NGINX_UPSTREAM = re.compile(rb'upstream: "[a-z]{2,12}://([^/"\s]{1,255})')
_NGINX_CLIENT = re.compile(rb"client: ([0-9A-Fa-f:.]{2,45})(?=[,\s]|$)")
# Go: own address -> peer's; a name where a dial failed.
_GO_PAIR = re.compile(rb"->(" + _ADDRESS + _ENDS + rb")")
_GO_DIAL = re.compile(rb"dial (?:tcp|udp)[46]? ((?:" + _ADDRESS + rb"|" + _NAME + rb")" + _ENDS + rb")")
# HAProxy: [accept date] frontend backend/server.
_HAPROXY_SERVER = re.compile(rb"\] \S{1,128} (\S{1,128}/\S{1,128}) -?\d")
# The time has thousandths: in access logs of others it has none. What stands before it depends on who keeps the log.
_HAPROXY_CLIENT = re.compile(
    rb"(?:^|[\s>\"])([0-9A-Fa-f:.]{2,45}|unix)" + _ENDS + rb" \[\d\d/[A-Z][a-z]{2}/\d{4}(?::\d\d){3}\.\d{3}\] "
)
# urllib3, and Apache HttpClient.
_POOL = re.compile(rb"host='([^'\s]{1,253})', port=(\d{1,5})")
_HTTP_CLIENT = re.compile(rb"[Cc]onnect to (" + _NAME + _ENDS + rb")")
# IPv6 without brackets: the port is what stands behind the last colon.
_NODE = re.compile(rb"(?:connect|listen|bind) E[A-Z]+ ([^\s\"',;)\\]{2,255}" + _ENDS + rb")")
# libpq: at "name" (address), port 5432; before PostgreSQL 14: on host "name" (address) ... on port 5432?
_LIBPQ = re.compile(rb'(?:server at|on host) "([^"\s]{1,253})"(?: \([0-9A-Fa-f:.]{2,45}\))?[^"]{0,60}? port (\d{1,5})')
_ACCESS_CLIENT = re.compile(rb"^(" + _IPV4 + rb"|[0-9A-Fa-f:]{3,45}) \S{1,64} \S{1,64} \[")
_LAST_QUOTED = re.compile(rb'"(' + _ADDRESS + _ENDS + rb')"\s*$')
_ANY = re.compile(rb"(?<![\w.])(" + _ADDRESS + _ENDS + rb")")
_HOST = re.compile(rb"(?<![\w.-])(" + _NAME + rb"\.[A-Za-z][A-Za-z0-9-]{1,62}" + _ENDS + rb")")

# Go's url.Error, and whoever else names no more than the URL.
_URL = re.compile(rb"https?://([^/\"'\s?#<>]{1,255})")

_CLIENT = (_NGINX_CLIENT, _HAPROXY_CLIENT, _ACCESS_CLIENT)
_SERVER = (_NGINX_UPSTREAM, _HAPROXY_SERVER)
_OTHER = (_GO_PAIR, _GO_DIAL, _POOL, _HTTP_CLIENT, _NODE, _LIBPQ)
_ORDER: dict[str, Sequence[re.Pattern[bytes]]] = {
    "client": (*_CLIENT, _ANY),
    "upstream": (*_SERVER, _LAST_QUOTED, *_OTHER, _ANY, _HOST, _URL),
    "any": (*_OTHER, *_SERVER, *_CLIENT, _ANY, _HOST, _URL),
}
_FIRST_EPHEMERAL = 32768
"""From here on the kernel gives ports to clients (net.ipv4.ip_local_port_range); one by one they are no peer."""
_WINDOW_BYTES = 4096


def peer(line: bytes, meant: str) -> str | None:
    """Return who is at the other end, as the line has it; None where it names nobody.

    `meant` is 'upstream', 'client' or 'any': nginx names both in one line. Ports of clients are folded.

    >>> peer(b"read tcp 10.0.0.1:41000->10.0.0.9:5432: read: connection reset by peer", "any")
    '10.0.0.9:5432'
    >>> peer(b"read tcp 10.0.0.9:5432->10.0.0.1:41000: read: connection reset by peer", "any")
    '10.0.0.1:*'
    """
    window = line[:_WINDOW_BYTES]
    for pattern in _ORDER[meant]:
        if found := pattern.search(window):
            # What stands before an @ is a login.
            return _folded(b":".join(found.groups()).rpartition(b"@")[2].decode("ascii", "replace"))
    return None


def _folded(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if colon and "/" not in text and port.isdecimal() and int(port) >= _FIRST_EPHEMERAL and not _bare_ipv6(host):
        return f"{host}:*"
    return text


def _bare_ipv6(host: str) -> bool:
    return ":" in host and not host.endswith("]")
