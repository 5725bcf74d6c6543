"""What a case of a cause is, and the parts that several are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

from tcptune.domain.causes import Confidence
from tcptune.domain.samples import Sampled
from tcptune.domain.sockets import PeerUse, SocketProcess, Sockets, SocketState, StateOwner
from tcptune.domain.state import Listeners, Process, Virtualization
from tests.unit.detectors.hosts import (
    BUSY,
    CLIENTS,
    NGINX,
    PEER,
    SSH,
    SSHD,
    WEB,
    sockets,
)

HIGH, LIKELY, POSSIBLE = Confidence.HIGH, Confidence.LIKELY, Confidence.POSSIBLE
OVERFLOWS = {"TcpExt.ListenOverflows": 900, "TcpExt.ListenDrops": 900}
CLIENT = {**BUSY, "Tcp.ActiveOpens": 6000, "Tcp.PassiveOpens": 30, "TcpExt.TCPSynRetrans": 3}
CUT_OFF = {"TcpExt.TCPAbortOnClose": 1500, "Tcp.OutRsts": 1550, "Tcp.EstabResets": 1600}
AMAZON = {"virtualization": Virtualization(machine="amazon", container=None, signs=("dmi",))}
JAVA = Process(pid=99, name="java", unit="shop.service", nofile_soft=4096, nofile_hard=4096, open_files=4090)
WORKER = NGINX.model_copy(update={"pid": 713, "nofile_soft": 512, "nofile_hard": 512, "open_files": 512})


class Faulty(NamedTuple):
    """A host, and the cause that has to be named first."""

    cause: str
    confidence: Confidence
    sampled: Sampled
    helps: bool = False
    """Whether a setting or a limit is proposed."""


def listening(queue: int, backlog: int, process: Process = NGINX) -> Listeners:
    one = WEB.model_copy(update={"queue": queue, "backlog": backlog, "pids": (process.pid,)})
    return Listeners(source="ss", listeners=(one, SSH), processes=(process, SSHD))


def waiting(unaccepted: int, waiting_s: float) -> Sockets:
    return sockets(ports=[CLIENTS.model_copy(update={"unaccepted": unaccepted, "waiting_s": waiting_s})])


def aged(process: Process, age_s: float) -> SocketProcess:
    return SocketProcess(**process.model_dump(), age_s=age_s, listens=True)


def owner(state: SocketState, sockets_: int, **fields: Any) -> StateOwner:
    given = {"state": state, "pid": 99, "name": "java", "owned": True, "sockets": sockets_}
    return StateOwner.model_validate({**given, **fields})


def stuck(**fields: Any) -> PeerUse:
    return PEER.model_copy(update=fields)
