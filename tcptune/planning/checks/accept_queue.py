"""somaxconn beside what listeners really got: min(what the program asked for, somaxconn when it called listen()).

One reading gives the smaller of the two. Which one it is shows only where the number is what somaxconn is now, was at
boot, or is on a fresh kernel: then the program may have asked for more. Any other number is the program's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tcptune.domain.boot import Loader
from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.domain.state import Listener, Process
from tcptune.domain.surroundings import Program
from tcptune.domain.values import numbers
from tcptune.knowledge.surroundings import program
from tcptune.planning.checks.scene import NotKnown, Scene, Values

SOMAXCONN = "net.core.somaxconn"
ENOUGH = 1024
"""From here on a queue is left alone while nobody waits in it. A judgement: 5000 connections/s for 0.2 s."""
NO_KNOB = "the backlog it passes to listen()"
_SSH = 22
_SHOWN = 6


class _Service(NamedTuple):
    """Listeners of one program with queues of one length: they are changed in one place."""

    name: str
    backlog: int

    @property
    def known(self) -> Program | None:
        return program(self.name)


def judge(scene: Scene, values: Values) -> Iterator[Observation]:
    """Name the listeners whose queue is full, that have to listen again, or that ask for too little."""
    found = scene.listeners
    if found.source == "proc":
        raise NotKnown("queue limits of listeners were not read: ss is not there, or refuses")
    somaxconn = values.number(SOMAXCONN)
    if somaxconn is None:
        return
    nameless = 0
    for service, members in _services(scene):
        # The kernel lets in one more than the limit.
        if full := [one for one in members if service.backlog and one.queue > service.backlog]:
            yield _full(service, full, values, scene)
        elif not service.name:
            nameless += sum(one.port != _SSH and service.backlog < min(somaxconn, ENOUGH) for one in members)
        elif _matters(service, members) and (seen := _short(service, members, values, scene)):
            yield seen
    if nameless:
        raise NotKnown("some listeners have short queues, and this login does not see of which programs")
    if found.left_out:
        raise NotKnown("there are more listeners than were read")


def _services(scene: Scene) -> Iterable[tuple[_Service, list[Listener]]]:
    services: dict[_Service, list[Listener]] = {}
    for listener in scene.listeners.listeners:
        process = _process(listener, scene)
        if listener.backlog is not None:
            services.setdefault(_Service(process.name if process else "", listener.backlog), []).append(listener)
    return services.items()


def _process(listener: Listener, scene: Scene) -> Process | None:
    processes = scene.processes
    return next((processes[pid] for pid in listener.pids if pid in processes), None)


def _matters(service: _Service, members: list[Listener]) -> bool:
    """Say whether more connections than a few are to be expected."""
    if service.known is not None:
        return not service.known.few
    return any(not _local(one.address) for one in members)


def _local(address: str) -> bool:
    return address.startswith("127.") or address.removeprefix("::ffff:").startswith("127.") or address == "::1"


def _short(service: _Service, members: list[Listener], values: Values, scene: Scene) -> Observation | None:
    somaxconn, before = values.number(SOMAXCONN) or 0, scene.now.number(SOMAXCONN)
    backlog, known = service.backlog, service.known
    if backlog >= somaxconn:
        return None
    knob = known.knob if known and known.knob else NO_KNOB
    default = known is not None and backlog in known.backlogs
    earlier, certain = _earlier(scene)
    restart = f"if it stays at {backlog} it asks for no more: {knob}"
    because: tuple[str, ...] = ()
    if backlog == before:
        what = f"{service.name} keeps its queue of {backlog} until it listens again: a higher {SOMAXCONN} is not enough"
        remedy = f"restart {service.name} after the change; {restart}"
    elif backlog in earlier or (not certain and not default):
        what = (
            f"{service.name} has a queue of {backlog} where {SOMAXCONN} allows more: it asks for {backlog}, or "
            "listened before that was raised"
        )
        remedy = f"restart {service.name}; {restart}"
    elif backlog >= ENOUGH:
        return None
    else:
        its = ", its default" if default else ""
        what = f"{service.name} itself asks for a queue of {backlog}{its}: {SOMAXCONN} is not the limit"
        remedy = f"where bursts come in, ask for more, at most {somaxconn}: {knob}"
        because = (f"{SOMAXCONN} was never {backlog}, as far as the files and the default of this kernel tell",)
    return Observation(
        keys=(SOMAXCONN,),
        severity=Severity.ADVICE,
        what=what,
        evidence=(*_evidence(members, values, scene), *because),
        remedy=remedy,
        owner=known.owner if known else Owner.APPLICATION,
    )


def _full(service: _Service, full: list[Listener], values: Values, scene: Scene) -> Observation:
    somaxconn = values.number(SOMAXCONN) or 0
    name = service.name or "a program this login does not see"
    knob = service.known.knob if service.known and service.known.knob else NO_KNOB
    limit = (
        f"then give it a longer queue, at most {somaxconn}: {knob}"
        if service.backlog < somaxconn
        else f"then raise {SOMAXCONN} and listen again"
    )
    return Observation(
        keys=(SOMAXCONN,),
        severity=Severity.HARM,
        what=f"the accept queue of {name} is full: new connections are dropped, and clients try again after a second",
        evidence=_evidence(full, values, scene),
        remedy=f"find out why it accepts too slowly; {limit}",
        owner=service.known.owner if service.known else Owner.APPLICATION,
    )


def _earlier(scene: Scene) -> tuple[frozenset[int], bool]:
    """Return what somaxconn started with, as far as kernel and files tell, and whether they tell all of it."""
    parameter = scene.parameters.get(SOMAXCONN)
    default = parameter.default(scene.facts.system.kernel) if parameter else None
    texts, certain = [default], scene.facts.boot_gap is None
    if certain:
        found = scene.at_boot(SOMAXCONN).under(Loader.SYSTEMD if scene.facts.system.systemd else Loader.PROCPS)
        texts.append(found.value)
        certain = found.certain
    return frozenset(number for text in texts if text is not None for number in numbers(text) or ()), certain


def _evidence(members: list[Listener], values: Values, scene: Scene) -> tuple[str, ...]:
    lines = [_described(one, scene) for one in members[:_SHOWN]]
    if len(members) > _SHOWN:
        lines.append(f"and {len(members) - _SHOWN} more like these")
    lines.append(values.said(SOMAXCONN))
    overflows = (scene.facts.counters or {}).get("TcpExt.ListenOverflows", 0)
    if overflows:
        lines.append(f"TcpExt.ListenOverflows = {overflows} since boot, of all listeners together")
    return tuple(lines)


def _described(one: Listener, scene: Scene) -> str:
    process = _process(one, scene)
    address = f"[{one.address}]" if ":" in one.address else one.address
    unit = f" ({process.unit})" if process and process.unit else ""
    who = f"{process.name}{unit}" if process else "unknown process"
    return f"{address}:{one.port} {who}: queue limit {one.backlog}, {one.queue} waiting"
