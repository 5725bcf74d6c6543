"""Keepalive beside what forgets idle connections: on the path, where the host's cloud is known, and on the host itself.

Advice alone: nothing tells which connections turn keepalive on, or take that path. Other hosts get none of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.knowledge.surroundings import idle_timeouts
from tcptune.planning.checks.scene import NotKnown, Scene, Values

TIME = "net.ipv4.tcp_keepalive_time"
INTVL = "net.ipv4.tcp_keepalive_intvl"
PROBES = "net.ipv4.tcp_keepalive_probes"
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"


def path(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare with the idle timeouts of the cloud this host runs in; one probe may get lost."""
    system = scene.facts.system
    if system.virtualization is None:
        raise NotKnown("it is not known in which cloud this host runs, if in any")
    found = _keepalive(values)
    if found is None:
        return
    time, intvl, probes = found
    late = [t for t in idle_timeouts() if t.machine == system.virtualization.machine and time + intvl >= t.seconds]
    if not late:
        return
    yield Observation(
        keys=(TIME, INTVL),
        severity=Severity.ADVICE,
        what=f"keepalive probes come too late for {' and '.join(timeout.name for timeout in late)}",
        evidence=(
            *_words(values, time, intvl, probes),
            *(f"{t.name}, {t.seconds} s: {t.applies}: {t.effect} ({t.source})" for t in late),
        ),
        remedy=f"where idle connections go that way and turn keepalive on, {TIME} + {INTVL} below {late[0].seconds}, "
        "or the same in the application (TCP_KEEPIDLE)",
        owner=Owner.NETWORK,
    )


def own_conntrack(scene: Scene, values: Values) -> Iterator[Observation]:
    """Compare with the host's own connection tracking."""
    if not scene.conntrack.loaded:
        return
    found, established = _keepalive(values), values.number(ESTABLISHED)
    if found is None or established is None:
        return
    time, intvl, probes = found
    if time + intvl >= established:
        yield Observation(
            keys=(TIME, INTVL, ESTABLISHED),
            severity=Severity.ADVICE,
            what="this host's own connection tracking forgets idle connections before a keepalive probe saves them",
            evidence=(*_words(values, time, intvl, probes), values.said(ESTABLISHED)),
            remedy=f"{TIME} + {INTVL} below {ESTABLISHED}, or a longer timeout; what NAT forgets is cut off",
            owner=Owner.KERNEL,
        )


def _keepalive(values: Values) -> tuple[int, int, int] | None:
    time, intvl, probes = values.number(TIME), values.number(INTVL), values.number(PROBES)
    if time is None or intvl is None or probes is None:
        return None
    return time, intvl, probes


def _words(values: Values, time: int, intvl: int, probes: int) -> tuple[str, ...]:
    return (values.said(TIME), values.said(INTVL), f"a dead peer is found after {time + intvl * probes} s")
