"""Settings -> adapters. The only place that picks one. Heavy ones are imported when they are asked for."""

from __future__ import annotations

import getpass
import math
import os
import platform
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from tcptune.domain.hosts import NO_ESCALATION, Connection, Declared, Escalation, Host, Secrets
from tcptune.errors import InventoryError, TcptuneError, UsageError

if TYPE_CHECKING:
    from tcptune.adapters.ansible import AnsibleApplier
    from tcptune.adapters.ansible_facts import AnsibleCollector
    from tcptune.adapters.journal.store import SqlJournal
    from tcptune.domain.changes import Plan
    from tcptune.domain.journal import HostLock
    from tcptune.domain.profile import Profile
    from tcptune.workflows.claims import Claims
    from tcptune.workflows.collect import Collector
    from tcptune.workflows.evidence import Sampler
    from tcptune.workflows.gates import Watch


_LONGEST_S = 7 * 24 * 3600
_OLDEST_D = 36_500


def now() -> datetime:
    """Return the time in UTC, to the second: what records and people need."""
    return datetime.now(UTC).replace(microsecond=0)


def elapsed() -> float:
    """Return seconds since the boot, asleep included: a clock that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def run_id() -> str:
    """Return a new name for a run: when it began, and enough chance that two controllers never share one."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def operator() -> str:
    """Return who is at work, and where."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def running_kernel() -> str:
    """Return the release of this machine's kernel; away from Linux, of the newest one that was measured."""
    return platform.release() if platform.system() == "Linux" else "6.18"


def seconds(text: str) -> int | None:
    """Return a time such as 90s, 10m or 2h in seconds; None for 'never'.

    Raises UsageError for anything else, or more than a week.
    """
    if text == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,6})([smh]?)", text)
    time_s = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not 1 <= time_s <= _LONGEST_S:
        raise UsageError(f"{text!r} is no time between a second and a week", hint="90s, 10m, 2h or never")
    return time_s


def age(text: str) -> timedelta:
    """Return an age such as 90d or 12w. Raises UsageError for anything else, or more than a hundred years."""
    found = re.fullmatch(r"([0-9]{1,5})([dw])", text)
    days = int(found[1]) * {"d": 1, "w": 7}[found[2]] if found else 0
    if not 1 <= days <= _OLDEST_D:
        raise UsageError(f"{text!r} is no age between a day and a hundred years", hint="90d or 12w")
    return timedelta(days=days)


def inventory(sources: Sequence[str], limit: str, escalation: Escalation = NO_ESCALATION) -> list[Host]:
    """Return the hosts of an inventory that match a pattern."""
    from tcptune.adapters.plain_inventory import plain_hosts

    plain = plain_hosts(sources, limit, escalation)
    if plain is not None:
        return plain
    from tcptune.adapters.inventory import read_hosts

    return read_hosts(sources, limit, escalation)


def profile(names: Iterable[str | None], waivers: Path | None = None) -> Profile:
    """Return the profiles of these names or paths as one, with the waivers of a file added to their own.

    Raises UsageError where none is named.
    """
    from tcptune.adapters.profiles import load_profiles, load_waivers

    given = [name for name in names if name is not None]
    if not given:
        raise UsageError("no PROFILE is named", hint="tcptune profile list")
    found = load_profiles(given)
    if waivers is None:
        return found
    return found.model_copy(update={"waivers": (*found.waivers, *load_waivers(waivers))})


def load(given: Sequence[str], wanted: Profile) -> dict[str, float]:
    """Return the load variables of a command line, NAME=VALUE each. Raises UsageError for what the profile lacks."""
    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not separator or not math.isfinite(number):
            raise UsageError(f"--load {text}: this is not NAME=NUMBER", hint="--load peak_connections_per_s=5000")
        if name not in wanted.load:
            known = ", ".join(wanted.load) or f"{wanted.name} has none"
            raise UsageError(f"--load {text}: {wanted.name} has no load variable {name!r}", hint=known)
        found[name] = number
    return found


def declared(hosts: Iterable[Host], load: dict[str, float]) -> dict[str, Declared]:
    """Return what is declared of each host: by the inventory, and over that by the command line."""
    return {host.name: host.declared.model_copy(update={"load": host.declared.load | load}) for host in hosts}


def collector(forks: int, timeout_s: float) -> Collector:
    """Return what reads hosts."""
    from tcptune.adapters.transport import FleetTransport
    from tcptune.adapters.workers import ThreadWorkers
    from tcptune.workflows.collect import Collector

    return Collector(FleetTransport(), ThreadWorkers(forks), now, timeout_s)


def sampler(forks: int, timeout_s: float) -> Sampler:
    """Return what takes two samples of hosts, `forks` of them at a time."""
    from tcptune.adapters.transport import FleetTransport
    from tcptune.adapters.workers import ThreadWorkers
    from tcptune.workflows.collect import Collector
    from tcptune.workflows.evidence import Sampler

    transport = FleetTransport(keeping=True)
    twice = Collector(transport, ThreadWorkers(forks), now, timeout_s)
    return Sampler(twice, elapsed, time.sleep, transport.close)


def watch(forks: int, timeout_s: float) -> Watch:
    """Return what asks gates of hosts, `forks` of them at a time."""
    from tcptune.adapters.gates import Tries
    from tcptune.adapters.transport import FleetTransport
    from tcptune.adapters.workers import ThreadWorkers
    from tcptune.workflows.gates import Watch

    return Watch(Tries(FleetTransport(), now), collector(forks, timeout_s), ThreadWorkers(forks), now)


def inventory_of_ansible(sources: Sequence[str], limit: str, escalation: Escalation) -> list[Host]:
    """Return the hosts of an inventory, whatever connection plugin reaches them. Raises UsageError without one."""
    from tcptune.adapters.inventory import read_hosts

    if not sources:
        raise UsageError("--via ansible needs an inventory", hint="-i hosts.yml")
    return read_hosts(sources, limit, escalation, any_connection=True)


def collector_of_ansible(
    sources: Sequence[str], escalation: Escalation, forks: int, timeout_s: float
) -> AnsibleCollector:
    """Return what reads hosts through Ansible. Only after `inventory_of_ansible`."""
    from tcptune.adapters.ansible import AnsibleApplier
    from tcptune.adapters.ansible_facts import AnsibleCollector
    from tcptune.adapters.inventory import plugin_environment, vault_environment

    environment = {**vault_environment(), **plugin_environment()}
    return AnsibleCollector(AnsibleApplier(sources, environment, escalation, timeout_s), forks)


def applier(sources: Sequence[str], escalation: Escalation, timeout_s: float) -> AnsibleApplier:
    """Return what changes hosts."""
    from tcptune.adapters.ansible import AnsibleApplier

    if not sources:
        return AnsibleApplier(escalation=escalation, timeout_s=timeout_s)
    from tcptune.adapters.inventory import vault_environment

    return AnsibleApplier(sources, vault_environment(), escalation, timeout_s)


def journal() -> SqlJournal:
    """Return the journal that TCPTUNE_JOURNAL names, or the SQLite file in the user's state folder.

    Standard error is told where an older one is brought up to date, and where a server is waited for. Raises UsageError
    where TCPTUNE_JOURNAL_PATIENCE is no time.
    """
    from tcptune.adapters.journal.database import PATIENCE_S
    from tcptune.adapters.journal.store import SqlJournal

    url = os.environ.get("TCPTUNE_JOURNAL")
    patience_s = seconds(os.environ.get("TCPTUNE_JOURNAL_PATIENCE") or f"{PATIENCE_S:.0f}s")
    if patience_s is None:
        raise UsageError("TCPTUNE_JOURNAL_PATIENCE: a command cannot wait for ever", hint="a time such as 2m")
    if not url:
        from platformdirs import user_state_path

        folder = user_state_path("tcptune")
        try:
            # Plans name hosts and who may log in there.
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            raise TcptuneError(f"{folder}: {problem.strerror}", hint="set TCPTUNE_JOURNAL to another place") from None
        url = f"sqlite:///{folder / 'journal.sqlite'}"
    return SqlJournal(url, by=operator(), patience_s=patience_s, tell=_tell)


def claims(journal: SqlJournal, tell: Callable[[Sequence[HostLock]], None] | None = None) -> Claims:
    """Return what claims hosts for this process; `tell` is told whose claims are waited for."""
    from tcptune.adapters.journal.heartbeat import Heartbeat
    from tcptune.workflows.claims import Claims, waited_for

    return Claims(
        journal.locks,
        lambda lease: Heartbeat(journal.locks, lease),
        operator(),
        str(os.getpid()),
        time.sleep,
        tell or (lambda locks: _tell(waited_for(locks))),
    )


def _tell(line: str) -> None:
    import typer

    typer.echo(line, err=True)


def hosts_of(
    plan: Plan, sources: Sequence[str], only: str | None = None, escalation: Escalation = NO_ESCALATION
) -> list[Host]:
    """Return the hosts of a plan, reached as the inventory says where one is given, else as the plan says.

    Raises InventoryError where a host of the plan is not in that inventory, UsageError where `only` matches none.
    """
    names = _matching(plan.hosts, only)
    if not sources:
        return [_recorded(name, plan.hosts[name], escalation) for name in names]
    known = {host.name: host for host in inventory(sources, "all", escalation)}
    if missing := [name for name in names if name not in known]:
        raise InventoryError(f"the inventory lacks {len(missing)} hosts of the plan: {', '.join(missing[:5])}")
    return [known[name] for name in names]


def hosts_of_runs(plans: Iterable[Plan], only: str | None = None, escalation: Escalation = NO_ESCALATION) -> list[Host]:
    """Return the hosts of several plans, each reached as the first that has it says.

    Raises UsageError where there are none, or `only` matches none.
    """
    known: dict[str, Connection] = {}
    for plan in plans:
        known = {**plan.hosts, **known}
    if not known:
        raise UsageError("the journal knows no host", hint="name an inventory: -i hosts.yml")
    return [_recorded(name, known[name], escalation) for name in _matching(known, only)]


def _recorded(name: str, connection: Connection, escalation: Escalation) -> Host:
    """Return a host that is reached as a plan says. A plan that lets it become somebody wins, as an inventory would."""
    if escalation.become and not connection.become:
        user = escalation.user or connection.become_user
        connection = connection.model_copy(update={"become": True, "become_user": user})
    return Host(name=name, connection=connection, secrets=Secrets(become=escalation.password))


def _matching(hosts: Iterable[str], only: str | None) -> list[str]:
    names = sorted(hosts)
    if only is None:
        return names
    patterns = [pattern.strip() for pattern in only.split(",") if pattern.strip()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern.lstrip("!")) for name in names):
            raise UsageError(f"--limit {only}: no host of the run matches {pattern!r}", hint=", ".join(names[:8]))
    wanted = [p for p in patterns if not p.startswith("!")] or ["*"]
    barred = [p[1:] for p in patterns if p.startswith("!")]
    chosen = [
        name
        for name in names
        if any(fnmatchcase(name, p) for p in wanted) and not any(fnmatchcase(name, p) for p in barred)
    ]
    if not patterns or not chosen:
        raise UsageError(f"--limit {only!r} leaves no host of the run", hint=", ".join(names[:8]))
    return chosen
