"""Compare what a host knows of its runs with what the journal knows, and say how to end what is left over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Literal

from tcptune.domain.facts import HostFacts
from tcptune.domain.host_runs import HostRun, Leftover, Settlement
from tcptune.domain.runs import Act, HostResult, HostState, Run

Verb = Literal["confirm", "rollback"]

_SAME = {
    "confirmed": {HostState.CONFIRMED},
    "rolled_back": {HostState.ROLLED_BACK, HostState.PARTLY_BACK, HostState.FAILED, HostState.STALE},
    "reverted": {HostState.REVERTED},
    "lost": {HostState.LOST},
}
"""State in the host's record -> those that say the same in the journal. A run in one of them is at its end."""

_OPEN = frozenset({HostState.APPLYING, HostState.HELD, HostState.BROKEN})


def leftovers(facts: HostFacts, journal: Mapping[str, Run], now: datetime) -> Iterator[Leftover]:
    """Yield what has to be settled on one host. `facts` must hold its runs."""
    assert facts.runs is not None  # noqa: S101  # the caller asked for them
    records = {record.run: record for record in facts.runs.runs}
    for name in [*records, *(run for run in journal if run not in records)]:
        record, run = records.get(name), journal.get(name)
        known = next((r for r in run.results if r.host == facts.host), None) if run else None
        if run is not None and known is not None and _under_way(run, known):
            what, verb = _goes_on(run, record), None
        else:
            booted = record is not None and record.boot_id not in (None, facts.system.boot_id)
            busy = facts.runs.busy == name
            found = _judge(record, known, now, booted=booted, busy=busy) if record else _no_record(known)
            if found is None:
                continue
            what, verb = found
        yield Leftover(
            host=facts.host,
            run=name,
            on_host=record.state if record else None,
            in_journal=known.state if known else None,
            what=what,
            verb=verb,
            command=_command(verb, name, facts.host, known=known is not None),
        )


def settlements(left: Iterable[Leftover]) -> tuple[Settlement, ...]:
    """Return one command for each run that is left over on several hosts.

    Where some of them can only be taken back, all are: a run is not kept in parts without being asked.
    """
    runs: dict[str, list[Leftover]] = {}
    for one in left:
        if one.in_journal is not None:
            runs.setdefault(one.run, []).append(one)
    return tuple(
        Settlement(
            run=run,
            hosts=tuple(sorted(one.host for one in some)),
            command=f"tcptune {'confirm' if all(one.verb == 'confirm' for one in some) else 'rollback'} {run}",
        )
        for run, some in sorted(runs.items())
        if len(some) > 1 and all(one.verb for one in some)
    )


def _under_way(run: Run, known: HostResult) -> bool:
    return bool(known.doing and run.at_work and run.at_work.alive)


def _goes_on(run: Run, record: HostRun | None) -> str:
    assert run.at_work is not None  # noqa: S101  # see _under_way
    work = run.at_work
    said = record.state.replace("_", " ") if record else "it has no record of it yet"
    return f"{work.act} by {work.by} is at work on it since {_at(work.since)} (pid {work.pid}); the host says: {said}"


def _judge(
    record: HostRun, known: HostResult | None, now: datetime, *, booted: bool, busy: bool
) -> tuple[str, Verb] | None:
    """Return what is left of a run that the host knows, and what ends it; None where nothing is."""
    doing = known.doing if known else None
    if record.state in _SAME:
        found = _ended(record, known)
        begun = f"a {doing} of it was begun and its end is not known: the host says {_said(record)}"
        return found or (
            (begun, "rollback" if doing is Act.ROLLBACK else "confirm") if _unheard(record, doing) else None
        )
    what, verb = _open(record, now, booted=booted, busy=busy)
    if doing is Act.ROLLBACK:
        return f"a rollback of it was begun and has not ended; {what}", "rollback"
    if doing is Act.CONFIRM:
        # A confirm that died is finished by the next one, on the boot on which it began.
        verb = "confirm" if record.state == "confirming" and not booted else verb
        what = f"a confirm of it was begun and has not ended; {what}"
    if known is not None and known.state is not HostState.HELD:
        # The journal never heard that it was held there, and confirm keeps only what the journal knows to be held.
        return f"{what}; the journal still says {known.state}", "rollback"
    return what, verb


def _unheard(record: HostRun, doing: Act | None) -> bool:
    """Tell whether an act was begun after which the host should be in another state than it is."""
    return doing is Act.ROLLBACK and record.state == "confirmed"


def _no_record(known: HostResult | None) -> tuple[str, Verb] | None:
    if known is None or known.state not in _OPEN:
        return None
    if known.state is HostState.HELD:
        what = "the journal says held, and the host has no record of it to take it back by"
        return f"{what}: a rollback looks whether all is as before, and says what is not", "rollback"
    what = f"the journal says {known.state}, and the host has no record of it: it has not begun there"
    return f"{what}, and once it is taken back it never will", "rollback"


def _ended(record: HostRun, known: HostResult | None) -> tuple[str, Verb] | None:
    if known is None or known.state in _SAME[record.state]:
        return None
    confirmed = record.state == "confirmed" and known.state is HostState.HELD and known.doing is not Act.ROLLBACK
    what = f"the host says {_said(record)} since {_at(record.since)}, the journal still says {known.state}"
    return what, "confirm" if confirmed else "rollback"


def _open(record: HostRun, now: datetime, *, booted: bool, busy: bool) -> tuple[str, Verb]:
    """Return what is left of a run that is not at its end, and what ends it."""
    if record.state == "failed_restored":
        return "it could not be taken back in full; once the cause is gone, take it back again", "rollback"
    if record.state == "held":
        return _held(record, booted=booted, now=now)
    what = f"it is {_said(record)} since {_at(record.since)}"
    if busy:
        return f"{what}: a process on the host is at it right now", "rollback"
    return f"{what}, and no process on the host is at it: it died there", "rollback"


def _held(record: HostRun, *, booted: bool, now: datetime) -> tuple[str, Verb]:
    if booted:
        return "it was held when the host was booted: its values are gone, no file was touched", "rollback"
    if record.deadline is None:
        return f"held since {_at(record.since)}, and nothing but a reboot takes it back: confirm it or roll it back", (
            "confirm"
        )
    if record.timer_alive and now < record.deadline:
        return f"held; the host takes it back by itself at {_at(record.deadline)} unless it is confirmed", "confirm"
    if now < record.deadline:
        return f"held until {_at(record.deadline)}, but what should take it back then is gone", "rollback"
    return f"its time was over at {_at(record.deadline)}, and the host has not taken it back", "rollback"


def _said(record: HostRun) -> str:
    return record.state.replace("_", " ")


def _command(verb: Verb | None, run: str, host: str, *, known: bool) -> str:
    if verb is None:
        return f"tcptune doctor {host}, once that has ended"
    if known:
        return f"tcptune {verb} {run} --limit {host}"
    # Somebody else's journal: the host's record is enough for the module.
    return f"ansible-playbook tcptune.linux.{verb} -i INVENTORY -l {host} -e tcp_settings_run={run}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
