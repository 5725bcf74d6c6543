"""Compare the limits of the processes that listen with a profile: wanted, now, and after their next start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from tcptune.domain import formulas
from tcptune.domain.changes import LIMITS_PATH
from tcptune.domain.facts import HostFacts, Value
from tcptune.domain.findings import (
    LimitDeviates,
    LimitFinding,
    LimitMet,
    LimitNotApplicable,
    LimitUnknown,
    LimitWaived,
    Where,
)
from tcptune.domain.guards import Situation, unmet
from tcptune.domain.hosts import Declared
from tcptune.domain.limits import LEAST_NOFILE, LIMIT_KEY, MOST_NOFILE, ByHand, LimitLayers, NextStart
from tcptune.domain.profile import LimitEntry, Profile, Waiver
from tcptune.domain.state import Process, TextFile, UnitFiles
from tcptune.domain.values import numbers
from tcptune.planning.next_start import adding, has_file, session_start, unit_start, without
from tcptune.planning.own_files import limit_value, limits_text, unit_path
from tcptune.planning.rules import formula_facts, load_values, situation

NEAR = 0.8
"""Part of its limit from which a process counts as near it."""

GONE_AT_BOOT = (
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/system",
    "/run/systemd/system.attached",
)
"""Folders of units that no generator fills again. What is there holds until the next boot only."""

_OLD_FACTS = "these facts do not hold it; collect them again"


class _Asked(NamedTuple):
    """What an entry comes to on a host."""

    entry: LimitEntry
    files: int
    words: str


class _Service(NamedTuple):
    """Processes of one name in one unit: a server and its workers."""

    name: str
    unit: str | None
    processes: tuple[Process, ...]


def audit_limits(facts: HostFacts, profile: Profile, *, today: date, declared: Declared) -> tuple[LimitFinding, ...]:
    """Judge the limits of every process that listens and the profile speaks of, by name; then the rest of its entries.

    For a process that several entries are about, the highest counts.
    """
    asked, found = _asked(facts, profile, declared)
    unseen = _unseen(facts)
    services = _services(facts)
    judged: list[LimitFinding] = []
    for service in services:
        about = [a for a in asked if a.entry.covers(service.name, service.unit)]
        if about:
            judged.append(_waived(_judge(service, about, facts), facts.host, profile.waivers, today))
    for each in asked:
        matched = any(each.entry.covers(service.name, service.unit) for service in services)
        if unseen and not (matched and each.entry.processes):
            # Of a named service one process is enough to judge; of all that listen, none may be missing.
            found.append(LimitUnknown(process=each.entry.who, why=unseen))
        elif not matched:
            found.append(LimitNotApplicable(process=each.entry.who, why="no such process listens"))
    return (*judged, *found)


def _asked(facts: HostFacts, profile: Profile, declared: Declared) -> tuple[list[_Asked], list[LimitFinding]]:
    """Return what is asked of this host, and the entries that ask nothing here or cannot be evaluated."""
    here = situation(facts, declared)
    asked: list[_Asked] = []
    others: list[LimitFinding] = []
    for group in profile.limit_groups():
        who = group[0].who
        reasons: list[str] = []
        try:
            entry = _first(group, here, reasons)
        except ValueError as problem:
            others.append(LimitUnknown(process=who, why=f"{problem}, and the profile asks"))
            continue
        if entry is None:
            others.append(LimitNotApplicable(process=who, why="; ".join(dict.fromkeys(reasons))))
            continue
        try:
            asked.append(_evaluated(entry, facts, declared))
        except ValueError as problem:
            others.append(LimitUnknown(process=who, why=f"{entry.place or entry.profile}: {problem}"))
    return asked, others


def _first(group: Sequence[LimitEntry], here: Situation, reasons: list[str]) -> LimitEntry | None:
    """Return the first entry whose guard holds, and note why those before do not."""
    for entry in group:
        reason = unmet(entry.when, here)
        if reason is None:
            return entry
        reasons.append(reason)
    return None


def _evaluated(entry: LimitEntry, facts: HostFacts, declared: Declared) -> _Asked:
    """Evaluate an entry's formula.

    Raises ValueError where it has no value here, or one that no limit can have.
    """
    load = load_values(entry, declared)
    text = formulas.evaluate(entry.at_least, {**load, **formula_facts(facts)})
    files = (numbers(text) or (0,))[0]
    if not LEAST_NOFILE <= files <= MOST_NOFILE:
        raise ValueError(f"{text} is outside {LEAST_NOFILE}..{MOST_NOFILE} (files)")
    explained = formulas.in_words(entry.at_least, load)
    return _Asked(entry, files, " = ".join([f"at least {files}", *explained]))


def _services(facts: HostFacts) -> list[_Service]:
    groups: dict[tuple[str, str | None], list[Process]] = {}
    for process in facts.listeners.processes if facts.listeners else ():
        # PID 1 holds the sockets of services that have not been started yet.
        if process.unit != "init.scope" and (process.pid, process.name) != (1, "systemd"):
            groups.setdefault((process.name, process.unit), []).append(process)
    ordered = sorted(groups.items(), key=lambda group: (group[0][0], group[0][1] or ""))
    return [_Service(name, unit, tuple(processes)) for (name, unit), processes in ordered]


def _unseen(facts: HostFacts) -> str | None:
    """Say why a process may listen that these facts do not name, or None where none can."""
    if facts.listeners is None:
        return f"which processes listen is not known: {facts.gaps.get('listeners', _OLD_FACTS)}"
    found = facts.listeners
    described = {process.pid for process in found.processes}
    without_process = [listener for listener in found.listeners if not listener.pids]
    # To root, what listens without a process is the kernel's, or of another PID namespace.
    hidden = without_process and (facts.system.user != "0" or not found.processes)
    cut = found.left_out or any(set(listener.pids) - described for listener in found.listeners)
    if hidden or found.source == "proc":
        return f"which processes listen is not known: {'; '.join(found.notes) or 'the host does not tell'}"
    return "there are more listening processes than are described" if cut else None


def _judge(service: _Service, about: Sequence[_Asked], facts: HostFacts) -> LimitFinding:
    highest = max(about, key=lambda a: a.files)
    name, unit = service.name, service.unit
    workers = _workers(service.processes)
    lowest = min(workers, key=lambda p: -1 if p.nofile_soft is None else p.nofile_soft)
    if lowest.nofile_soft is None:
        return LimitUnknown(process=name, unit=unit, why="its limits cannot be read")
    soft, hard = lowest.nofile_soft, lowest.nofile_hard
    most = _nr_open(facts)
    start = start_of(service.unit, service.processes, facts)
    layers = LimitLayers(wanted=highest.files, soft=soft, hard=hard, at_start=start)
    now_met = soft >= highest.files
    # What it was given is still to be seen: in its own hard limit, or in the master that made the worker.
    given = start.hard == hard or any(
        (p.nofile_soft, p.nofile_hard) == (start.soft, start.hard) for p in service.processes
    )
    raises_itself = start.soft is not None and start.soft < soft and given
    start_met = start.soft is not None and (start.soft >= highest.files or (now_met and raises_itself))
    said = {
        "process": name,
        "unit": unit,
        "demand": highest.words,
        "layers": layers,
        "why": "; ".join(dict.fromkeys(a.entry.why for a in about if a.files == highest.files)),
        "source": "; ".join(dict.fromkeys(a.entry.source for a in about if a.files == highest.files)),
    }
    if now_met and start.soft is None:
        why = f"{soft} now is enough for {highest.words}, at the next start is not known: {start.by}"
        return LimitUnknown(process=name, unit=unit, why=why)
    if now_met and start_met:
        note = f"it raises its own soft limit, which is {start.soft} at its start"
        return LimitMet.model_validate({**said, "note": note if raises_itself else None})
    where = Where.BOOT if now_met else Where.RUNTIME if start_met or start.soft is None else Where.BOTH
    notes = [*_bounds(highest.files, most), *_pressure(workers)]
    by_hand = _by_hand(service, layers, where, facts, most)
    return LimitDeviates.model_validate({**said, "where": where, "by_hand": by_hand, "notes": tuple(notes)})


def start_of(unit: str | None, processes: Sequence[Process], facts: HostFacts) -> NextStart:
    """Return what the next start gives these processes of a unit, or of none."""
    unit, most = unit or "", _nr_open(facts)
    config = facts.config_files
    if config is None:
        return NextStart(by=f"its files: {facts.gaps.get('config_files', _OLD_FACTS)}")
    if unit.endswith(".service"):
        files = facts.unit_files
        if files is None:
            return NextStart(by=f"its unit's files: {facts.gaps.get('unit_files', _OLD_FACTS)}")
        found = unit_start(unit, files, config, most=most)
        if not found.by.startswith(tuple(f"{folder}/" for folder in GONE_AT_BOOT)):
            return found
        lasting = unit_start(unit, without(files, GONE_AT_BOOT), config, most=most)
        return lasting.model_copy(update={"by": f"{lasting.by}; {found.by} is gone after a boot"})
    if unit.endswith(".scope") and not unit.startswith("session-"):
        return NextStart(by=f"{unit} was made by a program, such as a container runtime, whose own settings decide")
    # Workers may have given up root, which is who started them.
    uid = min((p.uid for p in processes if p.uid is not None), default=None)
    return session_start(uid, config, most=most)


def _nr_open(facts: HostFacts) -> int | None:
    reading = facts.sysctl.get("fs.nr_open")
    found = numbers(reading.text) if isinstance(reading, Value) else None
    return found[0] if found else None


def _bounds(wanted: int, most: int | None) -> list[str]:
    if most is None or wanted <= most:
        return []
    return [f"fs.nr_open is {most}: no process can be allowed more, so raise that first"]


def _workers(processes: Sequence[Process]) -> Sequence[Process]:
    """Return those that serve: where workers have given up root, the process of root is their master."""
    workers = [process for process in processes if process.uid]
    return workers if workers and any(process.uid == 0 for process in processes) else processes


def _pressure(processes: Sequence[Process]) -> list[str]:
    """Say so, with numbers, where a process is near its limit."""
    for p in sorted(processes, key=lambda p: -(p.open_files or 0)):
        if p.nofile_soft and p.open_files is not None and p.open_files >= NEAR * p.nofile_soft:
            return [f"{p.open_files} of its {p.nofile_soft} files are open now"]
        if p.nofile_soft and p.open_files is None and (p.open_files_at_most or 0) >= p.nofile_soft:
            return [f"at some time more than about half of its {p.nofile_soft} files were open"]
    return []


def _by_hand(service: _Service, layers: LimitLayers, where: Where, facts: HostFacts, most: int | None) -> ByHand:
    unit, wanted = service.unit or "", layers.wanted
    raised = f"raise fs.nr_open to {wanted} or more first: where the profile asks for it, the plan does both"
    first = (raised,) if most is not None and wanted > most else ()
    if not unit.endswith(".service") or facts.unit_files is None or not _lasting(unit, facts.unit_files):
        return _outside(service, layers, where, facts, first)
    restart = (f"systemctl restart {unit}",) if where is not Where.BOOT else ()
    if where is Where.RUNTIME and layers.at_start.soft is not None:
        return ByHand(steps=(*first, "systemctl daemon-reload", *restart))
    value = limit_value(*limits_of(layers))
    path, content = unit_path(unit), f"[Service]\nLimitNOFILE={value}\n"
    then = unit_start(unit, adding(facts.unit_files, path, content), facts.config_files or (), most=None)
    if then.soft is None:
        return ByHand(steps=(*first, f"set LimitNOFILE={value}: whether {path} would win is not known, {then.by}"))
    if then.by != path:
        winner = f"set LimitNOFILE={value} in {then.by}, which wins over {path}"
        return ByHand(steps=(*first, winner, "systemctl daemon-reload", *restart))
    return ByHand(path=path, content=content, steps=(*first, *restart))


def _outside(service: _Service, layers: LimitLayers, where: Where, facts: HostFacts, first: tuple[str, ...]) -> ByHand:
    """Return the way for what is no service: a login of root has a file of ours, anything else is somebody's own."""
    unit, again = service.unit or "", f"start {service.name} again"
    if unit.startswith("session-") and unit.endswith(".scope") and facts.config_files is not None:
        from_there = f"log in again, and {again} from there"
        if where is Where.RUNTIME and layers.at_start.soft is not None:
            return ByHand(steps=(*first, from_there))
        soft, hard = limits_of(layers)
        if all(process.uid == 0 for process in service.processes) and root_login_wins(facts, soft, hard):
            content = f"root hard nofile {hard}\nroot soft nofile {soft}\n"
            return ByHand(path=LIMITS_PATH, content=content, steps=(*first, from_there))
    elsewhere = (
        f"raise the soft limit of open files to {layers.wanted} where {service.name} is started: ulimit -n in its "
        "script, nofile of its container, limits.d for sessions of PAM"
    )
    return ByHand(steps=(*first, elsewhere, again))


def limits_of(layers: LimitLayers) -> tuple[int, int]:
    """Return the soft and the hard limit to ask for: a hard one that is higher stays."""
    hard = layers.at_start.hard if layers.at_start.hard is not None else layers.hard
    return layers.wanted, max(layers.wanted, hard or 0)


def root_login_wins(facts: HostFacts, soft: int, hard: int) -> bool:
    """Say whether our file of limits.d certainly decides what a login of root gets.

    A line that names a user goes before groups and wildcards, and the last of them counts: ours, in the last file.
    """
    config = facts.config_files or ()
    before = next((file.content for file in config if file.path == LIMITS_PATH), None)
    ours = TextFile(path=LIMITS_PATH, content=limits_text(before, "root", soft, hard))
    others = [file for file in config if file.path != LIMITS_PATH]
    later = any(file.path.startswith("/etc/security/limits.d/") and file.path > LIMITS_PATH for file in others)
    found = session_start(0, [*others, ours], most=None)
    return not later and found.soft == soft and found.by.startswith(LIMITS_PATH)


def _lasting(unit: str, files: UnitFiles) -> bool:
    """Say whether a boot finds a file of the unit: one that a program made in /run is gone then."""
    return has_file(unit, without(files, GONE_AT_BOOT))


def _waived(found: LimitFinding, host: str, waivers: Sequence[Waiver], today: date) -> LimitFinding:
    if not isinstance(found, LimitDeviates):
        return found
    about = sorted((w for w in waivers if w.covers(LIMIT_KEY, host)), key=lambda w: w.until)
    if not about:
        return found
    last = about[-1]
    if last.until < today:
        ran_out = f"the waiver of {last.who} ran out on {last.until}: {last.why}"
        return found.model_copy(update={"notes": (*found.notes, ran_out)})
    return LimitWaived(
        process=found.process,
        unit=found.unit,
        who=last.who,
        until=last.until,
        why=last.why,
        demand=found.demand,
        layers=found.layers,
    )
