"""The range clients' ports are taken from, beside the ports that services need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.domain.ports import folded
from tcptune.domain.values import numbers
from tcptune.planning.checks.scene import NotKnown, Scene, Values

RANGE = "net.ipv4.ip_local_port_range"
RESERVED = "net.ipv4.ip_local_reserved_ports"
NODE_PORTS = frozenset(range(30000, 32768))
"""What Kubernetes gives to Services of type NodePort unless it is told otherwise (--service-node-port-range)."""
_KUBERNETES = frozenset({"kubelet", "k3s"})
_SHOWN = 8


def listeners(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare the range with live listeners: a client's socket may hold the port when the service starts again.

    Ports of the kernel's own range are advice alone: what asks for port 0 gets one of those, and needs none for itself.
    """
    found = scene.listeners
    free = _free(values)
    taken = {one.port for one in found.listeners} & free
    fresh = _fresh_range(scene)
    fixed, unclear = taken - fresh, taken & fresh
    if fixed:
        yield Observation(
            keys=(RANGE, RESERVED),
            severity=Severity.HARM,
            what="services listen inside the widened range of clients' ports: a restart may find the port taken",
            evidence=(*_named(fixed, scene), *_range_words(values)),
            remedy=f"set {RESERVED} = {_proposal(scene, values, fixed)}; a write replaces the whole list",
            owner=Owner.KERNEL,
        )
    if unclear:
        yield Observation(
            keys=(RANGE, RESERVED),
            severity=Severity.ADVICE,
            what="programs listen inside the range of clients' ports: a restart may find a fixed port taken",
            evidence=(*_named(unclear, scene), *_range_words(values)),
            remedy=f"reserve those that are fixed; for all of them: {RESERVED} = "
            f"{_proposal(scene, values, taken)}. A port that the kernel chose needs nothing",
            owner=Owner.KERNEL,
        )


def node_ports(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare the range with Kubernetes' NodePorts. Nothing listens there: a rule of the packet filter takes them."""
    clash = NODE_PORTS & _free(values)
    if not clash:
        return
    nodes = _nodes(scene)
    if nodes:
        yield Observation(
            keys=(RANGE, RESERVED),
            severity=Severity.HARM,
            what="clients' ports are taken from Kubernetes' NodePorts: answers to such a client go to the Service",
            evidence=(f"{nodes[0]} is here", f"NodePorts open to clients: {folded(clash)}", *_range_words(values)),
            remedy=f"set {RESERVED} = {_proposal(scene, values, clash)}; a write replaces the whole list",
            owner=Owner.KERNEL,
        )
    elif hidden := [r.name for r in scene.rivals.found if r.name in _KUBERNETES and r.running is None]:
        raise NotKnown(f"whether {hidden[0]} runs was not seen: {'; '.join(scene.rivals.notes)}")


def alone(_scene: Scene, values: Values) -> Iterator[Observation]:
    """Look at the range by itself: at what is left of it, and at the parity of its ends."""
    ends = values.numbers(RANGE)
    if ends is None or len(ends) != 2:
        return
    low, high = ends
    if low <= high and not _free(values):
        yield Observation(
            keys=(RANGE, RESERVED),
            severity=Severity.HARM,
            what="every port of the range is reserved: connect() without a port of its own fails with EADDRNOTAVAIL",
            evidence=_range_words(values),
            remedy=f"widen {RANGE}, or shorten {RESERVED}",
            owner=Owner.KERNEL,
        )
    if low % 2 == high % 2 and high > low:
        yield Observation(
            keys=(RANGE,),
            severity=Severity.ADVICE,
            what="both ends of the port range are odd, or both even: connect() and bind() cannot have a half each, and "
            "the kernel logs it",
            evidence=(values.said(RANGE),),
            remedy=f"move one end by one, for example {low} {high - 1}",
            owner=Owner.KERNEL,
        )


def _free(values: Values) -> frozenset[int]:
    ends = values.numbers(RANGE)
    return _between(ends, values.ports(RESERVED)) if ends is not None else frozenset()


def _fresh_range(scene: Scene) -> frozenset[int]:
    parameter = scene.parameters.get(RANGE)
    default = parameter.default(scene.facts.system.kernel) if parameter else None
    return _between(numbers(default or "") or (), frozenset())


# Sixty thousand ports; the hosts of a fleet have the same few ranges.
@lru_cache(maxsize=64)
def _between(ends: tuple[int, ...], without: frozenset[int]) -> frozenset[int]:
    return frozenset(range(ends[0], ends[1] + 1)) - without if len(ends) == 2 else frozenset()


def _nodes(scene: Scene) -> list[str]:
    rivals = scene.facts.rivals.found if scene.facts.rivals else ()
    return [rival.name for rival in rivals if rival.name in _KUBERNETES and (rival.running or rival.enabled)]


def _proposal(scene: Scene, values: Values, more: Iterable[int]) -> str:
    """Return what is reserved and `more`: the shortest list that keeps both, with what other checks here ask for."""
    ports = values.ports(RESERVED) | frozenset(more)
    free, fresh = _free(values), _fresh_range(scene)
    if scene.facts.listeners is not None:
        ports |= ({one.port for one in scene.facts.listeners.listeners} & free) - fresh
    if _nodes(scene):
        ports |= NODE_PORTS & free
    return folded(ports)


def _named(taken: Iterable[int], scene: Scene) -> Iterator[str]:
    ports = sorted(taken)
    processes = scene.processes
    for port in ports[:_SHOWN]:
        holders = (p for one in scene.listeners.listeners if one.port == port for p in one.pids if p in processes)
        pid = next(holders, None)
        yield f"port {port}: {processes[pid].name if pid is not None else 'unknown process'}"
    if len(ports) > _SHOWN:
        yield f"and {len(ports) - _SHOWN} more ports"
    if scene.listeners.left_out:
        yield "there are more listeners than were read"


def _range_words(values: Values) -> tuple[str, ...]:
    return (values.said(RANGE), values.said(RESERVED))
