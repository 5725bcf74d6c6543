"""Journals as older versions of tcptune wrote them: their tables by their migrations, their rows by plain SQL."""

from __future__ import annotations

import json
from pathlib import Path

import sqlalchemy as sa
from alembic import command, config

from tcptune.adapters.journal import store
from tests.journal.conftest import Place
from tests.unit.builders import NOW, cohort, plan

PLAN = plan(cohort("web1", "web2"))
OLDER = ("0001", "0002", "0003", "0004", "0005", "0006")
_DEADLINE = NOW.replace(minute=20)


def write_older(place: Place, form: str) -> None:
    """Write the journal of a run of which web1 is held and web2 confirmed, in the form that a migration left it in."""
    settings = config.Config()
    settings.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    engine = sa.create_engine(place.url)
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, form)
        for table, row in _rows(form):
            typed = [sa.column(name, sa.JSON() if isinstance(value, dict) else None) for name, value in row.items()]
            connection.execute(sa.insert(sa.table(table, *typed)).values(row))
    engine.dispose()


def _rows(form: str) -> list[tuple[str, dict[str, object]]]:
    run: dict[str, object] = {
        "run_id": "r1",
        "plan_id": PLAN.plan_id,
        "profile": "baseline",
        "started_at": NOW,
        "ended_at": None,
        "operator": "ada@ctl1",
        "tool_version": "0.1.0",
        "plan": PLAN.model_dump_json(),
    }
    held: dict[str, object] = {"host": "web1", "state": "held", "replaced": {"net.core.somaxconn": "128"}}
    confirmed: dict[str, object] = {"host": "web2", "state": "confirmed", "replaced": {}}
    if form >= "0002":
        held["deadline"] = _DEADLINE
    if form >= "0003":
        confirmed["at_boot"] = {"wins": ["a file wins"], "unknown": []}
    if form >= "0004":
        held["doing"] = "confirm"
        work = {"act": "confirm", "by": "bob@ctl2", "since": NOW.isoformat(), "process": "gone b n 7 1", "pid": "7"}
        run["at_work"] = json.dumps(work)
    hosts = [{"run_id": "r1", "cohort": "c1", "error": None, "hint": None, **host} for host in (held, confirmed)]
    log = "moves" if form < "0005" else "log"
    moves = [
        {"run_id": "r1", "at": NOW, "host": host, "before": before, "after": after, "note": note}
        for host, before, after, note in (
            ("web1", "planned", "applying", ""),
            ("web1", "applying", "held", "as it should"),
            ("web2", "planned", "applying", ""),
        )
    ]
    return [("runs", run), *(("host_results", host) for host in hosts), *((log, move) for move in moves)]
