"""Whether our files will win, looked at just before they are written: somebody may have added one since the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tcptune.domain.changes import Change, Cohort, LimitChange
from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.findings import Boot
from tcptune.domain.parameters import Parameter
from tcptune.domain.runs import BootCheck
from tcptune.domain.state import Process
from tcptune.domain.values import numbers
from tcptune.planning.audit import boot_model, both_loaders
from tcptune.planning.limit_changes import NR_OPEN
from tcptune.planning.limits import start_of
from tcptune.planning.own_files import with_files

_ROOT = Process(pid=0, name="login", uid=0)


def check_at_boot(facts: HostFacts, cohort: Cohort, parameters: Mapping[str, Parameter]) -> BootCheck:
    """Say what wins over our files by now, and what cannot be told. What won in the plan already is no news."""
    then = with_files(facts, cohort.files)
    wins: list[str] = []
    unknown: list[str] = []
    if facts.boot_gap is not None:
        unknown.append(f"what the next boot gives is not known: {facts.boot_gap}")
    else:
        for certain, said in _settings(then, cohort, parameters):
            (wins if certain else unknown).append(said)
    for limit in cohort.limits:
        # It may be this very plan that raises what bounds it.
        bounds = {c.key: Value(text=c.after, writable=True) for c in cohort.changes if c.key == NR_OPEN}
        certain, loss = _limit(limit, then.model_copy(update={"sysctl": {**then.sysctl, **bounds}}))
        if loss is not None:
            (wins if certain else unknown).append(loss)
    return BootCheck(wins=tuple(dict.fromkeys(wins)), unknown=tuple(dict.fromkeys(unknown)))


def in_view_of_both_loaders(
    changes: Iterable[Change], then: HostFacts, parameters: Mapping[str, Parameter]
) -> tuple[Change, ...]:
    """Return the changes, each with what wins under the other loader. `then`: the host with its files written."""
    model = boot_model(then, parameters)
    found = []
    for change in changes:
        own, other = both_loaders(change.key, then, model, parameters)
        at_boot = model.at_boot(change.key)
        loses = at_boot.certain and own.value == change.after and other.known and other.value != change.after
        found.append(change.model_copy(update={"other_loader": other}) if loses else change)
    return tuple(found)


def _settings(facts: HostFacts, cohort: Cohort, parameters: Mapping[str, Parameter]) -> Iterator[tuple[bool, str]]:
    """Yield what is amiss with each setting, and whether it is certain."""
    model = boot_model(facts, parameters)
    for change in cohort.changes:
        if change.lost_at_boot:
            continue
        found = model.at_boot(change.key)
        own, other = both_loaders(change.key, facts, model, parameters)
        certain = found.systemd.certain, found.procps.certain
        if not facts.system.systemd:
            certain = certain[::-1]
        for boot, sure, under in ((own, certain[0], ""), (other, certain[1], " under the other loader")):
            if not sure or not boot.known:
                yield False, f"{change.key}: at the next boot{under} is not known: {boot.by}"
                break
            if boot.value != change.after and not _in_plan(change, boot):
                value = boot.value if boot.value is not None else "its own default"
                yield True, f"{change.key}: {boot.by} gives {value} at the next boot{under}, not {change.after}"
                break


def _in_plan(change: Change, boot: Boot) -> bool:
    """Say whether the plan showed it: a line that wins over ours, or one that gives another value which is as good."""
    if change.shadowed_by is not None and _file(boot.by) == _file(change.shadowed_by):
        return True
    return any(
        known is not None and boot.value == known.value and _file(boot.by) == _file(known.by)
        for known in (change.at_boot, change.other_loader)
    )


def _file(place: str) -> str:
    return place.rpartition(":")[0] or place


def _limit(change: LimitChange, facts: HostFacts) -> tuple[bool, str | None]:
    start = start_of(change.unit or "session-root.scope", [_ROOT], facts)
    if start.soft is None:
        return False, f"{change.who}: at the next start is not known: {start.by}"
    if start.soft >= change.layers.wanted:
        return True, None
    # fs.nr_open may be what is in the way, and is then named by its own setting's line.
    bound = facts.sysctl.get(NR_OPEN)
    most = (numbers(bound.text) or (0,))[0] if isinstance(bound, Value) else None
    why = f"{NR_OPEN} is {most}" if most == start.soft else f"{start.by} gives {start.soft}"
    return True, f"{change.who}: {why} at the next start, not {change.layers.wanted}"
