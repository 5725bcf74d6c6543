"""Commands that change hosts, with fakes in the place of hosts and Ansible."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tcptune.adapters.journal.store import SqlJournal
from tcptune.cli import wiring
from tcptune.domain.runs import HostState, Run
from tcptune.errors import HostUnreachable
from tcptune.ports import HostOutcome
from tests.unit.builders import LATER, SOMAXCONN, answer, change, cohort, plan, result, run
from tests.unit.fakes import FakeApplier, Said, collector

from .conftest import Command

PLAN = plan(cohort("web1", "web2", changes=(change(SOMAXCONN, "128", "4096"),)))
UNMOVED: Said = {name: answer({SOMAXCONN: "128"}) for name in ("web1", "web2")}
LOST = HostUnreachable("web1: no SSH session")


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Give the fleet as it answers; a test may change it."""
    (tmp_path / "plan.json").write_text(PLAN.model_dump_json())
    found: dict[str, object] = {"says": UNMOVED, "applier": FakeApplier()}
    monkeypatch.setattr(wiring, "collector", lambda _forks, _timeout: collector(found["says"]))  # type: ignore[arg-type]
    monkeypatch.setattr(wiring, "applier", lambda *_: found["applier"])
    return found


def recorded(*runs: Run) -> SqlJournal:
    journal = SqlJournal(os.environ["TCPTUNE_JOURNAL"])
    for one in runs:
        journal.begin(one, PLAN)
    return journal


def states() -> dict[str, HostState]:
    return {r.host: r.state for r in recorded().find("last")[0].results}


def test_a_plan_is_applied_confirmed_and_taken_back(tcptune: Command, fleet: dict[str, object]) -> None:
    codes = [tcptune("apply", "plan.json").code]
    after = [states()]
    for command in ("confirm", "rollback"):
        codes.append(tcptune(command, "last").code)
        after.append(states())

    assert codes == [0, 0, 0]
    assert [set(state.values()) for state in after] == [
        {HostState.HELD},
        {HostState.CONFIRMED},
        {HostState.ROLLED_BACK},
    ]
    assert len(fleet["applier"].calls) == 3  # type: ignore[attr-defined]


@pytest.mark.usefixtures("fleet")
def test_what_happens_is_told_on_standard_error_and_the_result_goes_to_standard_output(tcptune: Command) -> None:
    found = tcptune("apply", "plan.json")

    assert "  web1: applying\n" in found.err
    assert "  web1: held\n" in found.err
    assert found.out.startswith("Run 20")
    assert "2 hosts held" in found.out


@pytest.mark.parametrize(
    ("web1", "options", "code"),
    [
        (UNMOVED["web1"], (), 0),
        (answer({SOMAXCONN: "512"}), (), 5),
        (answer({SOMAXCONN: "512"}), ("--skip-stale",), 5),
        (LOST, (), 4),
        (LOST, ("--skip-stale",), 4),
    ],
)
def test_an_apply_exits_with_what_it_met(
    tcptune: Command, fleet: dict[str, object], web1: str, options: tuple[str, ...], code: int
) -> None:
    fleet["says"] = {**UNMOVED, "web1": web1}

    assert tcptune("apply", "plan.json", *options).code == code


def test_a_stale_plan_leaves_no_run_behind(tcptune: Command, fleet: dict[str, object]) -> None:
    fleet["says"] = {**UNMOVED, "web1": answer({SOMAXCONN: "512"})}
    found = tcptune("apply", "plan.json")

    assert "error: 1 of 2 hosts moved since the plan was made; nothing was changed anywhere" in found.err
    assert recorded().runs() == []


def test_a_host_that_failed_gives_exit_code_4_and_its_error(tcptune: Command, fleet: dict[str, object]) -> None:
    fleet["applier"] = FakeApplier(apply=[HostOutcome("web2", HostState.FAILED, {}, "no space left")])
    found = tcptune("apply", "plan.json")

    assert found.code == 4
    assert "web2: failed (no space left)" in found.err
    assert "no space left" in found.out


@pytest.mark.usefixtures("fleet")
def test_an_apply_can_be_limited_to_some_hosts_of_the_plan(tcptune: Command) -> None:
    assert tcptune("apply", "plan.json", "--limit", "*2").code == 0
    assert states() == {"web2": HostState.HELD}


@pytest.mark.parametrize("command", ["verify", "confirm", "rollback"])
def test_a_run_on_some_hosts_of_the_plan_can_be_looked_at_kept_and_undone(
    tcptune: Command, fleet: dict[str, object], command: str
) -> None:
    recorded(run(result("web2")))
    fleet["says"] = {"web2": answer({SOMAXCONN: "4096"})}

    assert tcptune(command, "last").code == 0


@pytest.mark.usefixtures("fleet")
def test_a_plan_that_changes_nothing_is_applied_at_once(tcptune: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text(plan(hosts={}, cohorts=(), fine=("web1",)).model_dump_json())
    found = tcptune("apply", "empty.json")

    assert (found.code, found.err) == (0, "the plan changes nothing\n")


@pytest.mark.parametrize(
    ("says", "code"), [("4096", 0), ("128", 10), (LOST, 4)], ids=["as left", "moved", "cannot be read"]
)
def test_a_verify_exits_with_what_it_found(
    tcptune: Command, fleet: dict[str, object], says: str | HostUnreachable, code: int
) -> None:
    recorded(run(result("web1")))
    fleet["says"] = {"web1": answer({SOMAXCONN: says}) if isinstance(says, str) else says}

    found = tcptune("verify", "last", "--limit", "web1")

    assert found.code == code
    assert "Verify 2026" in found.out
    assert found.out.endswith("Nothing has been changed.\n")


def test_a_confirm_that_did_not_get_through_gives_exit_code_4(tcptune: Command, fleet: dict[str, object]) -> None:
    recorded(run(result("web1"), result("web2")))
    fleet["applier"] = FakeApplier(confirm=[HostOutcome("web1", HostState.BROKEN, {}, "connection lost")])
    found = tcptune("confirm", "last")

    assert found.code == 4
    assert states() == {"web1": HostState.HELD, "web2": HostState.CONFIRMED}


def test_a_rollback_that_had_to_leave_something_gives_exit_code_4(tcptune: Command, fleet: dict[str, object]) -> None:
    recorded(run(result("web1")))
    fleet["applier"] = FakeApplier(roll_back=[HostOutcome("web1", HostState.PARTLY_BACK, {}, "left: a")])

    assert tcptune("rollback", "last").code == 4


@pytest.mark.parametrize("command", ["confirm", "rollback"])
@pytest.mark.usefixtures("fleet")
def test_what_went_wrong_on_other_hosts_before_is_no_failure_of_this_act(tcptune: Command, command: str) -> None:
    recorded(run(result("web1", HostState.FAILED, error="no space left"), result("web2")))
    found = tcptune(command, "last")

    assert found.code == 0
    assert found.out.startswith("Run 2026")


@pytest.mark.parametrize(("state", "command"), [(HostState.CONFIRMED, "confirm"), (HostState.ROLLED_BACK, "rollback")])
def test_a_run_with_nothing_to_do_is_refused(
    tcptune: Command, fleet: dict[str, object], state: HostState, command: str
) -> None:
    recorded(run(result("web1", state)))
    found = tcptune(command, "last")

    assert found.code == 2
    assert "no host of these" in found.err
    assert fleet["applier"].calls == []  # type: ignore[attr-defined]


def test_an_empty_run_id_does_not_stand_for_the_only_run(tcptune: Command, fleet: dict[str, object]) -> None:
    """`tcptune rollback "$RUN"` with RUN unset."""
    recorded(run(result("web1")))

    assert tcptune("rollback", "").code == 2
    assert fleet["applier"].calls == []  # type: ignore[attr-defined]


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("format_", ["terminal", "json", "markdown"])
def test_a_run_can_be_shown_in_every_format(tcptune: Command, format_: str) -> None:
    recorded(run(result("web1"), run_id="r7"))
    found = tcptune("runs", "r7", "--format", format_)

    assert (found.code, found.err) == (0, "")
    assert "r7" in found.out


@pytest.mark.usefixtures("fleet")
def test_facts_can_go_to_a_file_that_an_audit_reads(tcptune: Command, tmp_path: Path) -> None:
    written = tcptune("facts", "-i", "web1,web2", "-o", "facts.jsonl")
    audited = tcptune("audit", "baseline", "--facts", "facts.jsonl", "--format", "json")

    assert (written.code, written.out) == (0, "")
    assert written.err.endswith("read 2 of 2 hosts, wrote facts.jsonl\n")
    assert [h["host"] for h in json.loads(audited.out)["hosts"]] == ["web1", "web2"]
    assert (tmp_path / "facts.jsonl").read_text().count("\n") == 3


def test_facts_of_hosts_are_lines_on_standard_output_and_losses_on_standard_error(
    tcptune: Command, fleet: dict[str, object]
) -> None:
    fleet["says"] = {**UNMOVED, "web1": LOST}
    found = tcptune("facts", "-i", "web1,web2")

    assert found.code == 4
    assert len(found.out.splitlines()) == 3
    assert "? web1  could not be read: no SSH session" in found.err
    assert found.err.endswith("read 1 of 2 hosts\n")


# What wins over a change that is kept


@pytest.mark.parametrize(
    ("seen", "code", "told"),
    [
        (answer({SOMAXCONN: "4096"}), 0, ""),
        (
            answer({SOMAXCONN: "4096"}, {LATER: f"{SOMAXCONN} = 128\n"}),
            10,
            f"{SOMAXCONN}: {LATER}:1 gives 128 at the next boot, not 4096",
        ),
        (LOST, 4, "what wins at the next boot was not looked at: no SSH session"),
    ],
    ids=["nothing", "a file added since", "not read"],
)
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
def test_a_host_is_kept_and_what_wins_over_it_is_told_with_it(
    tcptune: Command, fleet: dict[str, object], seen: str, code: int, told: str, at_once: bool
) -> None:
    if at_once:
        fleet["says"] = _InTurn(UNMOVED["web1"], seen)
        found = tcptune("apply", "plan.json", "--limit", "web1", "--auto-confirm")
    else:
        tcptune("apply", "plan.json", "--limit", "web1")
        fleet["says"] = {"web1": seen}
        found = tcptune("confirm", "last")

    assert found.code == code
    assert states() == {"web1": HostState.CONFIRMED}
    assert told in found.err
    assert told in " ".join(found.out.split())
    assert ("! web1" in found.out) == bool(told)
    assert ("! web1" in tcptune("runs", "last").out) == bool(told)


class _InTurn(dict[str, Any]):
    """A host that gives one answer after the other."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def __getitem__(self, _host: str) -> Any:
        return self.answers.pop(0)
