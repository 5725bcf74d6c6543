"""What a rollout does next, and how long hosts hold a change meanwhile. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tcptune.domain.gates import Cause, Counted, CountersGate, GateSample, GateTable, Treat, Verdict
from tcptune.domain.journal import SampleRecord, WaveRecord, WaveState
from tcptune.domain.rollout import FAILURES, Policy
from tcptune.domain.runs import CHANGED_STATES, FAILED_STATES, HostResult, HostState, Run
from tcptune.domain.story import RolloutStory
from tcptune.errors import EXIT_PENDING, HostError, PlanStale

MARGIN_S = 300
"""Beside soak and readings: to connect, to change the last host of a wave, to confirm or give more time."""
MOST_CONTROLS = 40
"""Hosts not yet changed that are compared with: a median needs no more, and each is read four times."""
_BETWEEN_LOOKS_S = 60
_GROUND = 1.0
"""Readings tell whole seconds."""


def window_s(policy: Policy) -> float:
    """Return the seconds that two readings of counters are apart; 0 where no gate reads counters."""
    wanted = [gate.window_s for gate in policy.gates if isinstance(gate, CountersGate)]
    return max(wanted) + _GROUND if wanted else 0.0


def soak_s(policy: Policy) -> float:
    """Return the seconds between a wave's change and its last look at the gates."""
    return max(float(policy.soak_s), window_s(policy))


def looks_s(policy: Policy) -> list[float]:
    """Return when the gates are asked, in seconds from the change of the wave: the last decides, any may fail."""
    total = soak_s(policy)
    step = max(_BETWEEN_LOOKS_S, window_s(policy))
    looks = [step * number for number in range(1, int(total // step) + 1) if step * number <= total - step / 2]
    return [*looks, total]


def hold_s(policy: Policy, confirm_within_s: int | None) -> int | None:
    """Return the seconds after which a host takes a change back by itself; None where it never does."""
    if confirm_within_s is None:
        return None
    return max(confirm_within_s, int(soak_s(policy)) + MARGIN_S)


def short_of_time(
    results: Iterable[HostResult], lasts_s: Mapping[str, float], now_s: float, least_s: float
) -> list[str]:
    """Return the held hosts with a deadline that have less than `least_s` left, or of which that is not known.

    `lasts_s` says until when each holds at least, by the same clock as `now_s`.
    """
    timed = [r.host for r in results if r.state is HostState.HELD and r.deadline is not None]
    return [host for host in timed if lasts_s.get(host, now_s) - now_s < least_s]


def controls(waves: Sequence[WaveRecord], number: int, states: Mapping[str, HostState]) -> list[str]:
    """Return hosts of later waves that nobody has changed yet."""
    later = [host for wave in waves if wave.number > number for host in wave.hosts]
    return [host for host in later if states[host] is HostState.PLANNED][:MOST_CONTROLS]


def failed_hosts(results: Iterable[HostResult]) -> list[str]:
    """Return the hosts that count as failed."""
    return [r.host for r in results if r.state in FAILURES]


def settled(wave: WaveRecord, results: Collection[HostResult]) -> WaveState:
    """Return the state of a wave that is not under way, as its hosts say after a confirm or a rollback."""
    if wave.state in {WaveState.PLANNED, WaveState.LEFT_OUT, WaveState.ROLLED_BACK}:
        return wave.state
    changed = [r for r in results if r.state in CHANGED_STATES]
    if changed and all(r.state is HostState.CONFIRMED for r in changed):
        return WaveState.CONFIRMED if wave.state in {WaveState.PASSED, WaveState.HELD} else wave.state
    # A wave may have failed before the first of its hosts was touched: then all of it is back, too.
    if not changed and (wave.state is WaveState.FAILED or any(r.state in _BACK for r in results)):
        return WaveState.ROLLED_BACK
    return wave.state


_BACK = frozenset({HostState.ROLLED_BACK, HostState.REVERTED, HostState.LOST, HostState.FAILED, HostState.UNREACHABLE})


def sample_record(wave: int, row: Counted) -> SampleRecord:
    """Return a row of the table as the journal keeps it."""
    one = row.sample
    return SampleRecord(
        wave=wave,
        host=one.host,
        gate=one.gate,
        check=one.check,
        at=one.at,
        before=one.before,
        after=one.after,
        unit=one.unit,
        threshold=one.threshold,
        verdict=one.verdict.value,
        cause=one.cause.value if one.cause else None,
        treat=row.treat.value,
        why=one.why,
    )


def table_of(samples: Iterable[SampleRecord], wave: int, waves: int) -> GateTable:
    """Return the last that each check said of each host of a wave."""
    last = {(one.host, one.gate, one.check): one for one in samples if one.wave == wave}
    rows = tuple(_counted(one) for one in last.values())
    return GateTable(title=f"wave {wave} of {waves}", rows=rows)


def _counted(one: SampleRecord) -> Counted:
    fields = one.model_dump(exclude={"wave", "treat", "verdict", "cause"})
    sample = GateSample(**fields, verdict=Verdict(one.verdict), cause=None if one.cause is None else Cause(one.cause))
    return Counted(sample=sample, treat=Treat(one.treat))


def why_of(table: GateTable, treat: Treat) -> str:
    """Return one sentence: which checks, of which hosts, make the table what it is."""
    rows = [row.sample for row in table.rows if row.treat is treat]
    if not rows:
        return "nothing was asked, so nothing is known"
    first = rows[0]
    more = f"; and {len(rows) - 1} more" if len(rows) > 1 else ""
    verb = "failed" if first.verdict is Verdict.FAILED else f"is undecided ({first.cause})"
    return f"gate {first.gate}, {first.check} {verb} on {first.host}: {first.why}{more}"


def exit_code(results: Iterable[HostResult]) -> int:
    """Return how a command ends that these hosts are the result of."""
    found = list(results)
    failed = [r for r in found if r.state in FAILED_STATES or (r.error and r.state is not HostState.STALE)]
    if failed or any(r.at_boot and r.at_boot.unknown for r in found):
        return HostError.exit_code
    if any(r.state is HostState.STALE for r in found):
        return PlanStale.exit_code
    return EXIT_PENDING if any(r.at_boot and r.at_boot.wins for r in found) else 0


def story_of(run: Run, policy: Policy, waves: Sequence[WaveRecord], samples: Sequence[SampleRecord]) -> RolloutStory:
    """Return the story of a rollout, with the gates of the last wave that stopped it."""
    tables = [table_of(samples, wave.number, len(waves)) for wave in waves]
    stopping = [table for table in tables if table.rows and table.treat is not Treat.CONTINUE]
    return RolloutStory(
        run=run,
        policy=policy.policy,
        policy_digest=policy.digest,
        waves=tuple(waves),
        samples=tuple(samples),
        table=stopping[-1] if stopping else None,
    )
