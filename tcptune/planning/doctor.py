"""Compare what a host knows of its runs with what the journal knows, and say how to end what is left over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from tcptune.domain.facts import HostFacts
from tcptune.domain.host_runs import HostRun, Leftover
from tcptune.domain.runs import HostState, Run

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
    known = {record.run for record in facts.runs.runs}
    for record in facts.runs.runs:
        run = journal.get(record.run)
        in_journal = next((r.state for r in run.results if r.host == facts.host), None) if run else None
        booted = record.boot_id is not None and record.boot_id != facts.system.boot_id
        found = _ended(record, in_journal) if record.state in _SAME else _open(record, booted=booted, now=now)
        if found is not None:
            what, verb = found
            yield Leftover(
                host=facts.host,
                run=record.run,
                on_host=record.state,
                in_journal=in_journal,
                what=what,
                command=_command(verb, record.run, facts.host, known=in_journal is not None),
            )
    for run_id, run in journal.items():
        state = next((r.state for r in run.results if r.host == facts.host), None)
        if run_id not in known and state in _OPEN:
            yield Leftover(
                host=facts.host,
                run=run_id,
                on_host=None,
                in_journal=state,
                what=f"the journal says {state}, and the host has no record of it: it never began there",
                command=_command("rollback", run_id, facts.host, known=True),
            )


def _ended(record: HostRun, in_journal: HostState | None) -> tuple[str, str] | None:
    if in_journal is None or in_journal in _SAME[record.state]:
        return None
    verb = "confirm" if record.state == "confirmed" and in_journal is HostState.HELD else "rollback"
    said = record.state.replace("_", " ")
    return f"the host says {said} since {_at(record.since)}, the journal still says {in_journal}", verb


def _open(record: HostRun, *, booted: bool, now: datetime) -> tuple[str, str]:
    """Return what is left of a run that is not at its end, and the command that ends it."""
    if record.state == "failed_restored":
        return "it could not be taken back in full; once the cause is gone, take it back again", "rollback"
    if record.state != "held":
        doing = record.state.replace("_", " ")
        since = _at(record.since)
        return f"it is {doing} since {since}: either somebody is at it right now, or it died there", "rollback"
    return _held(record, booted=booted, now=now)


def _held(record: HostRun, *, booted: bool, now: datetime) -> tuple[str, str]:
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


def _command(verb: str, run: str, host: str, *, known: bool) -> str:
    if known:
        return f"tcptune {verb} {run} --limit {host}"
    # Somebody else's journal: the host's record is enough for the module.
    return f"ansible-playbook tcptune.linux.{verb} -i INVENTORY -l {host} -e tcp_settings_run={run}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
