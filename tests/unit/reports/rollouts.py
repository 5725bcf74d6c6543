"""Rollouts as they tell of themselves, for what reads events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from tcptune.domain.events import (
    Answered,
    Asked,
    DeadlineExtended,
    Event,
    EventWave,
    GateMeasured,
    HostMoved,
    HostsClaimed,
    Interrupted,
    RolloutBegan,
    RolloutEnded,
    SoakBegan,
    Waiting,
    WaveBegan,
    WaveEnded,
    WaveHeld,
    counted,
)
from tcptune.domain.journal import SampleRecord, WaveState
from tcptune.domain.runs import HostState

RUN = "20260302-093000-1a2b3c"
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
NEXT = f"tcptune rollback {RUN}"


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def cut(hosts: int, sizes: Sequence[int]) -> list[tuple[str, ...]]:
    names = [f"web{number}" for number in range(1, hosts + 1)]
    waves = []
    for size in sizes:
        waves.append(tuple(names[:size]))
        names = names[size:]
    return [*waves, tuple(names)] if names else waves


def began(waves: Iterable[Sequence[str]], **fields: object) -> RolloutBegan:
    numbered = tuple(EventWave(number=number, hosts=tuple(hosts)) for number, hosts in enumerate(waves, start=1))
    said = {
        "plan_id": "f" * 64,
        "profile": "baseline",
        "policy": "standard",
        "policy_digest": "d" * 64,
        "waves": numbered,
        "operator": "ops@controller",
        "tool_version": "0.1.0",
    }
    return RolloutBegan.model_validate({"at": AT, "run": RUN, **said, **fields})


def moved(
    host: str, wave: int, before: HostState, after: HostState, *, seconds: float = 0, error: str | None = None
) -> HostMoved:
    deadline = at(seconds + 1200) if after is HostState.HELD else None
    return HostMoved(
        at=at(seconds), run=RUN, host=host, wave=wave, before=before, after=after, error=error, deadline=deadline
    )


def sample(host: str = "web1", wave: int = 1, after: float | None = 1.5, **fields: object) -> SampleRecord:
    said: dict[str, object] = {
        "gate": "counters",
        "check": "sent-resets",
        "at": AT,
        "before": 1.25,
        "unit": "per second",
        "threshold": 4.0,
        "verdict": "passed",
        "treat": "continue",
        "why": "no worse than before",
    }
    return SampleRecord.model_validate({"wave": wave, "host": host, "after": after, **said, **fields})


def measured(seconds: float = 0, **fields: object) -> GateMeasured:
    return GateMeasured(at=at(seconds), run=RUN, sample=sample(**fields))  # type: ignore[arg-type]


def failing(host: str, wave: int, seconds: float, after: float = 40.0) -> GateMeasured:
    why = "40 per second, where it was 1.25 before"
    return measured(seconds, host=host, wave=wave, after=after, verdict="failed", treat="fail", why=why)


def unread(host: str, wave: int, seconds: float) -> GateMeasured:
    said = {"verdict": "undecided", "cause": "no baseline", "treat": "hold", "why": "nobody looked before"}
    return measured(seconds, host=host, wave=wave, before=None, after=None, threshold=None, **said)


def green_wave(number: int, hosts: Sequence[str], start: float) -> Iterator[Event]:
    """A wave as it should be: changed, soaked for a minute, measured, confirmed."""
    yield WaveBegan(at=at(start), run=RUN, wave=number, hosts=tuple(hosts))
    for host in hosts:
        yield moved(host, number, HostState.PLANNED, HostState.APPLYING, seconds=start + 1)
    for host in hosts:
        yield moved(host, number, HostState.APPLYING, HostState.HELD, seconds=start + 2)
    yield SoakBegan(at=at(start + 3), run=RUN, wave=number, until=at(start + 63))
    for order, host in enumerate(hosts):
        yield measured(start + 63, host=host, wave=number, after=1.5 + order % 5 / 10)
        login = {"gate": "ssh", "check": "login", "before": 80, "threshold": 10_000, "unit": "ms"}
        yield measured(start + 63, host=host, wave=number, after=85, **login)
    held = counted([HostState.HELD] * len(hosts))
    yield WaveEnded(at=at(start + 64), run=RUN, wave=number, state=WaveState.PASSED, counts=held)
    for host in hosts:
        yield moved(host, number, HostState.HELD, HostState.CONFIRMED, seconds=start + 65)
    confirmed = counted([HostState.CONFIRMED] * len(hosts))
    yield WaveEnded(at=at(start + 66), run=RUN, wave=number, state=WaveState.CONFIRMED, counts=confirmed)


def green(hosts: int = 40, sizes: Sequence[int] = (1, 2, 10)) -> list[Event]:
    """Every wave as it should be."""
    waves = cut(hosts, sizes)
    told: list[Event] = [began(waves), claimed(waves)]
    for number, some in enumerate(waves, start=1):
        told += green_wave(number, some, start=number * 100)
    end = at(len(waves) * 100 + 70)
    all_confirmed = counted([HostState.CONFIRMED] * hosts)
    return [*told, RolloutEnded(at=end, run=RUN, exit_code=0, why="every host is confirmed", counts=all_confirmed)]


def claimed(waves: Iterable[Sequence[str]]) -> HostsClaimed:
    return HostsClaimed(at=at(1), run=RUN, hosts=tuple(host for hosts in waves for host in hosts), until=at(121))


def troubled(hosts: int = 40, sizes: Sequence[int] = (1, 2, 10)) -> list[Event]:
    """All that can go wrong: waits, hosts that die, a gate that fails, a person who is asked, Ctrl-C."""
    waves = cut(hosts, sizes)
    second, third = waves[1], waves[2]
    told: list[Event] = [began(waves), claimed(waves)]
    for seconds in (5, 10, 15):
        wait = Waiting(at=at(seconds), run=RUN, waits_for="window", why="no wave may begin by day", until=at(50))
        told.append(wait)
    told += green_wave(1, waves[0], start=100)
    told.append(WaveBegan(at=at(200), run=RUN, wave=2, hosts=second))
    told += [moved(host, 2, HostState.APPLYING, HostState.HELD, seconds=202) for host in second]
    told.append(SoakBegan(at=at(203), run=RUN, wave=2, until=at(263)))
    told += [unread(host, 2, 263) for host in second]
    held = counted([HostState.HELD] * len(second))
    told += [
        WaveHeld(at=at(264), run=RUN, wave=2, why="1 check is undecided", deadline=at(1400), counts=held),
        Asked(at=at(264), run=RUN, question="What becomes of wave 2?", choices=("go on", "roll back"), wave=2),
        Answered(at=at(300), run=RUN, answer="go on", by="ops@controller"),
        DeadlineExtended(at=at(301), run=RUN, hosts=second, deadline=at(90_000)),
        WaveEnded(at=at(302), run=RUN, wave=2, state=WaveState.PASSED, counts=held),
        WaveBegan(at=at(310), run=RUN, wave=3, hosts=third),
    ]
    dead, alive = third[: len(third) - 1], third[-1]
    told += [
        moved(host, 3, HostState.APPLYING, HostState.FAILED, seconds=312, error="tcp_rmem: \x1b[2Jno\nspace <!here>")
        for host in dead
    ]
    told += [
        moved(alive, 3, HostState.APPLYING, HostState.HELD, seconds=313),
        SoakBegan(at=at(314), run=RUN, wave=3, until=at(374)),
        failing(alive, 3, 320),
        failing(alive, 3, 330, after=44.0),
        Interrupted(at=at(331), run=RUN, why="Ctrl-C", then="the wave is taken back"),
        Waiting(at=at(332), run=RUN, waits_for="database", why="connection refused"),
        moved(alive, 3, HostState.HELD, HostState.ROLLED_BACK, seconds=340),
        WaveEnded(
            at=at(341),
            run=RUN,
            wave=3,
            state=WaveState.ROLLED_BACK,
            why="9 of 10 hosts of the wave failed",
            counts=counted([HostState.FAILED] * len(dead) + [HostState.ROLLED_BACK]),
        ),
        RolloutEnded(
            at=at(342),
            run=RUN,
            exit_code=6,
            why="a gate failed, and wave 3 was taken back",
            counts=counted(
                [HostState.CONFIRMED]
                + [HostState.HELD] * len(second)
                + [HostState.FAILED] * len(dead)
                + [HostState.ROLLED_BACK]
                + [HostState.PLANNED] * (hosts - 1 - len(second) - len(third))
            ),
            next=NEXT,
        ),
    ]
    return told
