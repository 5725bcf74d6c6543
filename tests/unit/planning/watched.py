"""Hosts around a change for tests of gates: counters that grew at a rate before it, and at another since."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from tcptune.domain.gate_rules import CounterRule, RateRule, ShareRule
from tcptune.domain.gates import CounterReading, CountersGate, CountersUnread, GateSample, Watched, Window
from tcptune.planning.counter_gate import judge_counters
from tests.unit.builders import NOW

S = 60
"""Seconds of a window."""
BOOT = "b0071d00-0000-4000-8000-000000000001"
OTHER_BOOT = "b0071d00-0000-4000-8000-000000000002"
IN, OUT, RETRANS = "Tcp.InSegs", "Tcp.OutSegs", "Tcp.RetransSegs"
OVERFLOWS = "TcpExt.ListenOverflows"
BUSY = {IN: 60_000, OUT: 60_000}
"""A thousand segments a second."""

SHARE = ShareRule.model_validate(
    {
        "name": "retransmissions",
        "counters": [RETRANS],
        "of": [OUT],
        "tolerated_percent": 0.1,
        "times_before": 1.5,
        "min_traffic_per_s": 100,
        "why": "segments are lost",
        "source": "RFC 4022",
    }
)
RATE = RateRule.model_validate(
    {
        "name": "overflows",
        "counters": [OVERFLOWS],
        "tolerated_per_s": 0.1,
        "traffic": [IN],
        "why": "queues are full",
        "source": "snmp_counter.rst",
    }
)


def gate(*rules: CounterRule, **fields: object) -> CountersGate:
    return CountersGate.model_validate({"built_in": not rules, "rules": rules, "window_s": S, **fields})


def reading(
    host: str, after_s: float, counters: Mapping[str, int], boot: str = BOOT, start: datetime = NOW
) -> CounterReading:
    at = start + timedelta(seconds=after_s)
    return CounterReading(host=host, at=at, boot_id=boot, counters=dict(counters))


def unread(host: str, after_s: float = 0, why: str = "no answer from web1 in time") -> CountersUnread:
    return CountersUnread(host=host, at=NOW + timedelta(seconds=after_s), why=why)


def watched(
    host: str, before: Mapping[str, int], after: Mapping[str, int], since_boot: int = 5_000_000, boot: str = BOOT
) -> Watched:
    """Return a host whose counters grew by `before` in a window, and by `after` in the one after the change."""
    names = before.keys() | after.keys()
    start = dict.fromkeys(names, since_boot)
    changed = {name: start[name] + before.get(name, 0) for name in names}
    end = {name: changed[name] + after.get(name, 0) for name in names}
    return Watched(
        host=host,
        before=Window(first=reading(host, 0, start), last=reading(host, S, changed)),
        after=Window(first=reading(host, S + 5, changed, boot), last=reading(host, 2 * S + 5, end, boot)),
    )


def busy(host: str, before: int, after: int, counter: str = RETRANS, segments: int = 60_000) -> Watched:
    """Return a host at work, of which one counter grew by so many events before and since."""
    return watched(host, {IN: segments, OUT: segments, counter: before}, {IN: segments, OUT: segments, counter: after})


def one(sample_of: Watched, *others: Watched, rule: CounterRule = SHARE, **fields: object) -> GateSample:
    """Return the one sample of one host by one rule."""
    [sample] = judge_counters(gate(rule, **fields), [sample_of], others)
    return sample
