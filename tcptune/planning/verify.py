"""Look at a run again: whether what it left is still there, now, at the next boot and at the next start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tcptune.domain.changes import DROPIN_PATH, Cohort, LimitChange
from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.limits import NextStart
from tcptune.domain.parameters import Parameter
from tcptune.domain.runs import HostResult, HostState
from tcptune.domain.state import Process
from tcptune.domain.verdicts import Check, FileCheck, FileOutcome, HostVerdict
from tcptune.planning.audit import boot_layer, boot_model
from tcptune.planning.limits import start_of
from tcptune.planning.own_files import text_now

_AFTER = frozenset({HostState.HELD, HostState.CONFIRMED})


def verify_host(
    facts: HostFacts, cohort: Cohort, result: HostResult, parameters: Mapping[str, Parameter]
) -> HostVerdict:
    """Compare a host with what the run left there: the values after, or those before where it was taken back."""
    model = boot_model(facts, parameters)
    checks = []
    for change in cohort.changes:
        reading = facts.sysctl.get(change.key)
        checks.append(
            Check(
                key=change.key,
                expected=change.after if result.state in _AFTER else result.replaced.get(change.key, change.before),
                actual=reading.text if isinstance(reading, Value) else None,
                at_boot=boot_layer(change.key, facts, model, parameters),
                # A file that wins over ours was in the plan: it is known, and no news.
                boot_matters=result.state is HostState.CONFIRMED and not (change.shadowed_by or change.lost_at_boot),
            ),
        )
    if result.state is HostState.CONFIRMED:
        files = [_limit(limit, facts) for limit in cohort.limits]
    else:
        files = list(_files_before(cohort, facts))
    return HostVerdict(host=facts.host, state=result.state, checks=tuple(checks), files=tuple(files))


def _limit(change: LimitChange, facts: HostFacts) -> FileCheck:
    """Judge a confirmed limit: by what decides at the next start, and by the processes that run."""
    wanted = change.layers.wanted
    processes = _running(change, facts)
    start = start_of(change.unit, processes or (), facts)
    now = _lowest(processes)
    if start.soft is not None and start.soft < wanted:
        outcome = FileOutcome.MOVED
    elif start.soft is None or processes is None or (processes and now is None):
        outcome = FileOutcome.UNKNOWN
    elif now is not None and now < wanted:
        outcome = FileOutcome.WAITS
    else:
        outcome = FileOutcome.AS_LEFT
    at_start = f"{start.soft} at the next start ({start.by})" if start.soft is not None else _not_known(start)
    return FileCheck(
        path=change.path, what=change.who, outcome=outcome, said=f"wanted {wanted}, {at_start}, {_said(processes, now)}"
    )


def _not_known(start: NextStart) -> str:
    return f"at the next start is not known: {start.by}"


def _said(processes: Sequence[Process] | None, now: int | None) -> str:
    if processes is None:
        return "what runs was not seen"
    if not processes:
        return "nothing of it listens now"
    return f"{now} now" if now is not None else "now is not known"


def _running(change: LimitChange, facts: HostFacts) -> Sequence[Process] | None:
    """Return the processes that a limit is about, or None where it is not known which run."""
    if facts.listeners is None or facts.listeners.source == "proc":
        return None
    return [
        process
        for process in facts.listeners.processes
        if process.name == change.process
        and (process.unit == change.unit if change.unit else (process.unit or "").startswith("session-"))
    ]


def _lowest(processes: Iterable[Process] | None) -> int | None:
    limits = [process.nofile_soft for process in processes or ()]
    return None if not limits or None in limits else min(limit for limit in limits if limit is not None)


def _files_before(cohort: Cohort, facts: HostFacts) -> Iterator[FileCheck]:
    """Judge the files of a run that is not confirmed: each must be as it was. Settings speak for their own file."""
    for file in cohort.files:
        if file.path == DROPIN_PATH:
            continue
        try:
            same = text_now(file.path, facts) == file.before
        except ValueError as problem:
            yield FileCheck(path=file.path, what=file.path, outcome=FileOutcome.UNKNOWN, said=str(problem))
            continue
        yield FileCheck(
            path=file.path,
            what=file.path,
            outcome=FileOutcome.AS_LEFT if same else FileOutcome.MOVED,
            said="as it was before the run" if same else "not as it was before the run",
        )
