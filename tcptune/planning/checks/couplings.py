"""Settings that mean nothing, or nothing good, beside each other."""

from __future__ import annotations

from collections.abc import Iterator

from tcptune.domain import strict
from tcptune.domain.concerns import Observation, Owner, Severity
from tcptune.domain.facts import Value
from tcptune.planning.checks.scene import Scene, Values

TW_REUSE = "net.ipv4.tcp_tw_reuse"
TIMESTAMPS = "net.ipv4.tcp_timestamps"
SYNCOOKIES = "net.ipv4.tcp_syncookies"
MAX_SYN = "net.ipv4.tcp_max_syn_backlog"
SOMAXCONN = "net.core.somaxconn"
RMEM = "net.ipv4.tcp_rmem"
SCALING = "net.ipv4.tcp_window_scaling"
MODERATE = "net.ipv4.tcp_moderate_rcvbuf"
_WINDOW_WITHOUT_SCALING = 65535
_NONSENSE = frozenset({strict.Rule.ORDER, strict.Rule.NEGATIVE})


def refused(scene: Scene, values: Values) -> Iterator[Observation]:
    """Find wanted values that break a bound another key gives: the catalogue's limits. The kernel refuses the write."""
    for key in scene.changes:
        parameter = scene.parameters.get(key)
        for limit in parameter.limits if parameter else ():
            own = values.numbers(key)
            # A key outside the catalogue is never asked for; one that exists and may not be read is a gap.
            peers = values.numbers(limit.key) if limit.key in scene.facts.sysctl else None
            bound = peers[limit.element] if peers else limit.otherwise
            if own is None or (own[0] >= bound if limit.relation == "at least" else own[0] <= bound):
                continue
            yield Observation(
                keys=(key, limit.key),
                severity=Severity.HARM,
                what=f"the kernel refuses this value of {key}: it has to be {limit.relation} what {limit.key} says",
                evidence=(values.said(key), f"{limit.key} = {bound}"),
                remedy="ask for values that fit each other in the profile",
                owner=Owner.KERNEL,
            )


def nonsense(scene: Scene, values: Values) -> Iterator[Observation]:
    """Find values that the kernel takes and nobody can mean: min above max, negative times."""
    for key, reading in scene.facts.sysctl.items():
        parameter = scene.parameters.get(key)
        if parameter is None or parameter.read_only or not isinstance(reading, Value):
            continue
        text = values.text(key) or ""
        found = [mistake.message for mistake in strict.mistakes(parameter, text) if mistake.rule in _NONSENSE]
        if found:
            yield Observation(
                keys=(key,),
                severity=Severity.HARM,
                what=f"{key} has a value that the kernel takes and that makes no sense",
                evidence=(values.said(key), *found),
                remedy=f"set it right; a fresh kernel has {parameter.default(scene.facts.system.kernel) or 'its own'}",
                owner=Owner.KERNEL,
            )


def reuse(_scene: Scene, values: Values) -> Iterator[Observation]:
    """Judge tcp_tw_reuse = 1 without timestamps: nothing is ever reused, and ports run out all the same."""
    if values.number(TW_REUSE) == 1 and values.number(TIMESTAMPS) == 0:
        yield Observation(
            keys=(TW_REUSE, TIMESTAMPS),
            severity=Severity.HARM,
            what="tcp_tw_reuse is on and cannot work: without timestamps no port in TIME_WAIT is used again",
            evidence=(values.said(TW_REUSE), values.said(TIMESTAMPS)),
            remedy=f"set {TIMESTAMPS} = 1; the peers need them too",
            owner=Owner.KERNEL,
        )


def without_effect(_scene: Scene, values: Values) -> Iterator[Observation]:
    """Find receive buffers whose maximum is out of reach."""
    buffers = values.numbers(RMEM)
    largest = buffers[-1] if buffers and len(buffers) == 3 else 0
    if largest > _WINDOW_WITHOUT_SCALING and values.number(SCALING) == 0:
        yield Observation(
            keys=(RMEM, SCALING),
            severity=Severity.ADVICE,
            what="without window scaling no window is above 64 KiB, whatever the buffers allow",
            evidence=(values.said(RMEM), values.said(SCALING)),
            remedy=f"set {SCALING} = 1",
            owner=Owner.KERNEL,
        )
    if buffers and len(buffers) == 3 and largest > buffers[1] and values.number(MODERATE) == 0:
        yield Observation(
            keys=(RMEM, MODERATE),
            severity=Severity.ADVICE,
            what="receive buffers stay at their first size: with tcp_moderate_rcvbuf = 0 the maximum is never reached",
            evidence=(values.said(RMEM), values.said(MODERATE)),
            remedy=f"set {MODERATE} = 1",
            owner=Owner.KERNEL,
        )


def syn_queue(_scene: Scene, values: Values) -> Iterator[Observation]:
    """Judge the SYN queue without cookies: then alone tcp_max_syn_backlog counts, and it drops from 3/4 on."""
    if values.number(SYNCOOKIES) != 0:
        return
    syn, somaxconn = values.number(MAX_SYN), values.number(SOMAXCONN)
    if syn is not None and somaxconn is not None and syn < somaxconn:
        yield Observation(
            keys=(MAX_SYN, SOMAXCONN, SYNCOOKIES),
            severity=Severity.ADVICE,
            what="without SYN cookies tcp_max_syn_backlog is the limit, and it is below somaxconn",
            evidence=(values.said(SYNCOOKIES), values.said(MAX_SYN), values.said(SOMAXCONN)),
            remedy=f"set {SYNCOOKIES} = 1, or {MAX_SYN} to at least {somaxconn}",
            owner=Owner.KERNEL,
        )
