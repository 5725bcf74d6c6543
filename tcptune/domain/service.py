"""A service that was tried stage by stage: what was tried, what each stage took, and what went wrong how often."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from tcptune.domain.values import Frozen

SERVICE_FORMAT_VERSION: Literal[1] = 1

_PORTS = {"http": 80, "https": 443, "tls": 443}
_PATH = re.compile(r"/[\x21-\x7e]*")
_NAME = re.compile(r"[^\s/@?#\[\]]{1,253}")


class Stage(StrEnum):
    """One step of reaching a service, in their order."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    HTTP = "http"


class Error(StrEnum):
    """How a stage fails."""

    NAME_NOT_FOUND = "name-not-found"
    NAME_SERVER = "name-server"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    NO_ROUTE = "no-route"
    TLS_ALERT = "tls-alert"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET = "certificate-not-yet-valid"
    CERTIFICATE_NAME = "certificate-wrong-name"
    PROTOCOL = "protocol"
    EOF = "eof"
    TRUNCATED = "truncated"
    STATUS = "status"
    NO_LOCAL_PORT = "no-local-port"
    TOO_MANY_FILES = "too-many-files"
    NOT_ALLOWED = "not-allowed"
    OTHER = "other"


OWN = frozenset({Error.NO_LOCAL_PORT, Error.TOO_MANY_FILES, Error.NOT_ALLOWED, Error.OTHER})
"""What says something about the machine that tries, and nothing about the service."""


class Target(Frozen):
    """A service, and how far it is tried."""

    name: str
    """As it was asked for."""
    host: str
    port: int = Field(ge=1, le=65535)
    tls: bool = False
    server_name: str | None = None
    path: str | None = None
    """What is asked for by HTTP; None where nothing is."""


def target(text: str, *, tls: bool = False, path: str | None = None, server_name: str | None = None) -> Target:
    """Return what HOST:PORT, [ADDRESS]:PORT or a URL of http, https or tls means. Raises ValueError.

    >>> target("https://shop.example/health").port
    443
    """
    given = text if "://" in text else f"tcp://{text}"
    try:
        parts = urlsplit(given)
        host, port = parts.hostname, parts.port
    except ValueError as problem:
        raise ValueError(f"{text!r} is no service: {problem}") from None
    scheme = parts.scheme
    if scheme not in {"tcp", *_PORTS}:
        raise ValueError(f"{text!r}: http, https, tls and tcp are known, not {scheme}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or a password in it is not taken: it would be in the report")
    if not host or not _NAME.fullmatch(host):
        raise ValueError(f"{text!r} names no host")
    port = _PORTS.get(scheme) if port is None else port
    if not port:
        raise ValueError(f"{text!r} names no port")
    asked = path
    if scheme in {"http", "https"}:
        asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    elif (parts.path, parts.query) != ("", ""):
        raise ValueError(f"{text!r} has a path, which needs http:// or https://")
    if asked is not None and not _PATH.fullmatch(asked):
        raise ValueError(f"{asked!r} is no path: it begins with / and has neither spaces nor other alphabets")
    secure = scheme in {"https", "tls"} or (tls and scheme == "tcp")
    return Target(name=text, host=host, port=port, tls=secure, server_name=server_name if secure else None, path=asked)


class StageResult(Frozen):
    """One stage of one try."""

    stage: Stage
    ms: float = Field(ge=0, allow_inf_nan=False)
    error: Error | None = None
    said: str = Field(default="", max_length=1000)


class Try(Frozen):
    """One try of an address; of the name alone where there is no address."""

    target: int = Field(ge=0)
    round: int = Field(ge=0)
    address: str | None = Field(default=None, max_length=100)
    stages: tuple[StageResult, ...] = Field(max_length=4)
    syn_retransmits: int | None = Field(default=None, ge=0)
    """SYNs that the kernel sent again; None where it does not tell."""
    status: int | None = None
    addresses: int = Field(default=0, ge=0)
    left_off: int = Field(default=0, ge=0)
    """Addresses of the name that were not tried."""


class ServiceError(Frozen):
    """What is known of a way to fail: what it means, what may be behind it, and how to go on."""

    stages: tuple[Stage, ...]
    error: Error
    says: tuple[str, ...] = ()
    """Words of which one is in what was said; empty: any."""
    means: str
    causes: tuple[str, ...] = ()
    """Ids of causes, the likeliest first."""
    next: str
    source: str


class Times(Frozen):
    """How long something took, in ms."""

    count: int
    min_ms: float
    median_ms: float
    p95_ms: float
    max_ms: float


class StageTimes(Frozen):
    """One stage over all tries."""

    stage: Stage
    tried: int
    worked: Times | None
    """Of those that worked."""


class Failure(Frozen):
    """One way in which a stage failed, and how often."""

    stage: Stage
    error: Error
    said: str
    """As it was said first; equal classes with other words are a row of their own."""
    took: Times
    means: str
    causes: tuple[str, ...]
    next: str


class Retried(Frozen):
    """Connections whose SYN had to be sent again."""

    took: Times
    syns: int
    """Sent again in all."""
    evidence: str
    means: str
    causes: tuple[str, ...]
    next: str


class Address(Frozen):
    """An address of a service."""

    address: str
    family: Literal[4, 6]
    stages: tuple[StageTimes, ...]
    failures: tuple[Failure, ...]
    retried: Retried | None = None


class Service(Frozen):
    """A target with all that was tried of it."""

    target: Target
    name: StageTimes
    name_failures: tuple[Failure, ...]
    addresses: tuple[Address, ...]
    left_off: int = 0
    """Addresses that were not tried."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Return what went wrong with it, at any address."""
        return (*self.name_failures, *(one for address in self.addresses for one in address.failures))

    @property
    def unhealthy(self) -> bool:
        """Say whether something is wrong with the service."""
        found = any(one.error not in OWN for one in self.failures)
        return found or any(address.retried for address in self.addresses)

    @property
    def untried(self) -> bool:
        """Say whether it could not be tried in full."""
        return any(one.error in OWN for one in self.failures) or self.name.tried == 0


class ServiceReport(Frozen):
    """Services that were tried."""

    tcptune: Literal["probe"] = "probe"
    format_version: Literal[1] = SERVICE_FORMAT_VERSION
    origin: str | None = None
    """The host that tried; None for this machine."""
    count: int
    services: tuple[Service, ...]
