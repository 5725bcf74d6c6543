from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from tcptune.adapters.ansible import AnsibleApplier
from tcptune.domain.hosts import Escalation
from tcptune.domain.runs import HostState
from tcptune.ports import HostOutcome
from tests.unit.builders import SOMAXCONN, SYNCOOKIES, change, cohort, host, plan

MODULE = "tcptune.linux.tcp_settings"
PLAN = plan(cohort("web1", "web2"))


class Applier(AnsibleApplier):
    """Ansible that says what it is told to say, and remembers the project it was given."""

    def __init__(self, *events: dict[str, Any] | str, inventories: tuple[str, ...] = ()) -> None:
        super().__init__(inventories)
        self.told = events
        self.played: list[tuple[str, list[str]]] = []
        self.inventory: Any = None
        self.variables: Any = None

    def _events(self, folder: Path, project: Path, playbook: str, hosts: Any) -> Iterator[Any]:  # noqa: ARG002
        self.played.append((playbook, list(hosts)))
        self.inventory = yaml.safe_load((project / "inventory/hosts.yml").read_text())
        self.variables = (project / "inventory/group_vars/tcptune_cohort1.yml").read_text()
        return iter(self.told)


def event(kind: str, name: str = "web1", action: str = MODULE, **result: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": {"host": name, "resolved_action": action, "res": result}}


def ok(name: str = "web1", **result: Any) -> dict[str, Any]:
    return event("runner_on_ok", name, **result)


def failed(kind: str | None = None, state: str | None = None, **failure: Any) -> dict[str, Any]:
    said = {"kind": kind, "message": "said no", "hint": "look", **failure} if kind else None
    return event("runner_on_failed", msg="it failed", failure=said, host_state=state)


def act(applier: AnsibleApplier, what: str = "apply", *names: str, **options: Any) -> list[HostOutcome]:
    hosts = [host(name) for name in names or ("web1",)]
    return list(getattr(applier, what)("run1", PLAN, hosts, **options))


@pytest.mark.parametrize(
    ("what", "playbook", "state"),
    [
        ("apply", "site.yml", HostState.HELD),
        ("confirm", "confirm.yml", HostState.CONFIRMED),
        ("roll_back", "rollback.yml", HostState.ROLLED_BACK),
    ],
)
def test_each_act_plays_its_own_playbook_and_leaves_its_own_state(what: str, playbook: str, state: HostState) -> None:
    applier = Applier(ok(previous={SOMAXCONN: "128"}))

    assert act(applier, what) == [HostOutcome("web1", state, {SOMAXCONN: "128"})]
    assert applier.played == [(playbook, ["web1"])]


def test_a_held_host_says_when_it_takes_the_change_back() -> None:
    [held] = act(Applier(ok(deadline="2026-03-02T10:02:00Z")), revert_after_s=120)

    assert held.deadline == datetime(2026, 3, 2, 10, 2, tzinfo=UTC)
    assert act(Applier(ok(deadline=None)))[0].deadline is None
    assert act(Applier(ok(deadline="2026-03-02T10:02:00Z")), "confirm")[0].deadline is None


def test_more_time_is_asked_for_by_a_playbook_of_its_own() -> None:
    applier = Applier(ok(deadline="2026-03-02T10:02:00Z"))

    [held] = act(applier, "extend", revert_after_s=1800)

    assert applier.played == [("extend.yml", ["web1"])]
    assert (held.state, held.deadline) == (HostState.HELD, datetime(2026, 3, 2, 10, 2, tzinfo=UTC))


@pytest.mark.parametrize(("left_in", "state"), [("reverted", HostState.REVERTED), ("lost", HostState.LOST)])
@pytest.mark.parametrize("what", ["confirm", "extend"])
def test_a_host_that_took_the_change_back_by_itself_cannot_keep_it(what: str, left_in: str, state: HostState) -> None:
    more = {"revert_after_s": 60} if what == "extend" else {}

    [found] = act(Applier(failed("refused", left_in)), what, **more)

    assert (found.state, found.error) == (state, "said no")


@pytest.mark.parametrize(("left_in", "state"), [("reverted", HostState.REVERTED), ("lost", HostState.LOST)])
def test_a_rollback_of_what_is_back_already_says_who_did_it(left_in: str, state: HostState) -> None:
    [found] = act(Applier(ok(host_state=left_in)), "roll_back")

    assert (found.state, found.error) == (state, None)


@pytest.mark.parametrize("what", ["apply", "confirm", "roll_back"])
def test_what_a_host_warns_of_comes_with_its_outcome(what: str) -> None:
    said = ["systemd did not\n read its units anew"]
    [done] = act(Applier(ok(warnings=said)), what)
    [broken] = act(Applier(event("runner_on_failed", msg="it failed", warnings=said)), what)

    assert done.warnings == broken.warnings == ("systemd did not read its units anew",)
    assert act(Applier(ok()), what)[0].warnings == ()


def test_without_hosts_nothing_is_played() -> None:
    applier = Applier()

    assert list(applier.apply("run1", PLAN, [])) == []
    assert applier.played == []


def test_other_tasks_and_other_hosts_say_nothing_about_the_change() -> None:
    events = (ok(action="ansible.builtin.setup"), ok("web9"), {"event": "playbook_on_stats"}, ok(), ok())

    assert [o.host for o in act(Applier(*events))] == ["web1"]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (failed("stale"), HostState.STALE),
        (failed("refused"), HostState.FAILED),
        (failed("absent"), HostState.FAILED),
        (failed("locked"), HostState.FAILED),
        (failed("unfinished"), HostState.FAILED),
        (failed("io"), HostState.FAILED),
        (failed("io", "rolled_back"), HostState.FAILED),
        (failed("io", "failed_restored"), HostState.BROKEN),
        (failed("io", "running"), HostState.BROKEN),
        (failed(), HostState.BROKEN),
        (event("runner_on_unreachable", msg="timed out"), HostState.BROKEN),
    ],
)
def test_an_apply_that_failed_says_whether_the_host_was_changed(said: dict[str, Any], state: HostState) -> None:
    [outcome] = act(Applier(said))

    assert outcome.state is state
    assert outcome.error


@pytest.mark.parametrize("what", ["confirm", "roll_back"])
@pytest.mark.parametrize("kind", ["stale", "refused", "locked", "io", None])
def test_a_confirm_or_rollback_that_failed_never_claims_that_the_host_is_unchanged(what: str, kind: str | None) -> None:
    [outcome] = act(Applier(failed(kind)), what)

    assert outcome.state is HostState.BROKEN


@pytest.mark.parametrize("kind", ["stale", "refused", "locked", "unknown_run", "io", None])
def test_time_that_could_not_be_given_leaves_the_host_held(kind: str | None) -> None:
    [outcome] = act(Applier(failed(kind)), "extend", revert_after_s=60)

    # The workflow leaves such a host where it was.
    assert outcome.state is HostState.BROKEN


@pytest.mark.parametrize("what", ["apply", "confirm", "roll_back"])
def test_a_host_that_somebody_else_changes_right_now_is_busy(what: str) -> None:
    assert act(Applier(failed("locked")), what)[0].busy
    assert not act(Applier(failed("stale")), what)[0].busy


@pytest.mark.parametrize("what", ["apply", "confirm"])
def test_a_value_that_did_not_last_is_told_with_who_is_known_to_write_it(what: str) -> None:
    made = plan(cohort("web1", changes=(change(SOMAXCONN, writer="tuned"), change(SYNCOOKIES, "0", "1"))))

    def told(**failure: Any) -> str | None:
        [outcome] = getattr(Applier(failed("stale", **failure)), what)("run1", made, [host("web1")])
        return outcome.error

    assert told(key=SOMAXCONN) == "said no; tuned is known to write it"
    assert told(key=SOMAXCONN, message="it is tuned's") == "it is tuned's"
    assert told(key=SYNCOOKIES) == told() == "said no"


def test_a_host_on_which_the_run_may_not_have_begun_is_told_to_refuse_it() -> None:
    applier = Applier(ok())
    list(applier.roll_back("run1", PLAN, [host("web1"), host("web2")], fence=["web2"]))

    hosts = applier.inventory["all"]["children"]["tcptune_plan"]["children"]["tcptune_cohort1"]["hosts"]
    assert [name for name, said in hosts.items() if said.get("tcp_settings_fence")] == ["web2"]


def test_a_host_that_knows_nothing_of_the_run_says_so() -> None:
    [outcome] = act(Applier(failed("unknown_run")), "roll_back")

    assert outcome.no_record


def test_a_connection_that_was_lost_may_have_been_lost_in_the_middle() -> None:
    [outcome] = act(Applier(event("runner_on_unreachable", msg="timed\nout")))

    assert outcome.error == "connection lost: timed out"
    assert "rollback" in (outcome.hint or "")


def test_the_modules_own_words_and_hint_are_kept() -> None:
    [outcome] = act(Applier(failed("refused", message="somaxconn takes\n one number", hint="fix it")))

    assert (outcome.error, outcome.hint) == ("somaxconn takes one number", "fix it")


def test_a_failure_that_the_playbook_ignores_is_none() -> None:
    ignored = failed("refused")
    ignored["event_data"]["ignore_errors"] = True

    assert [o.state for o in act(Applier(ignored, ok()))] == [HostState.HELD]


def test_what_a_third_party_changed_is_named_and_left() -> None:
    [outcome] = act(Applier(ok(changed_since=[SOMAXCONN])), "roll_back")

    assert outcome.state is HostState.PARTLY_BACK
    assert outcome.changed_since == (SOMAXCONN,)
    assert SOMAXCONN in (outcome.error or "")
    assert "--force-key" in (outcome.hint or "")


def test_a_host_of_which_ansible_said_nothing_may_have_been_changed() -> None:
    said = [f"line {n}" for n in range(9)]
    [outcome] = act(Applier(*said))

    assert outcome.state is HostState.BROKEN
    assert (outcome.error or "").startswith("Ansible ended without a result")
    assert [line for line in said if line in (outcome.error or "")] == said[-6:]
    assert "tcptune rollback" in (outcome.hint or "")


def test_outcomes_come_in_as_hosts_are_done_and_silent_hosts_last() -> None:
    found = act(Applier(ok("web2")), "apply", "web1", "web2")

    assert [(o.host, o.state) for o in found] == [("web2", HostState.HELD), ("web1", HostState.BROKEN)]


def test_forced_keys_reach_the_rollback() -> None:
    applier = Applier(ok())
    act(applier, "roll_back", force_keys=[SOMAXCONN])

    assert f"tcp_settings_force_keys:\n  - {SOMAXCONN}\n" in applier.variables


def test_with_an_inventory_of_the_user_connections_come_from_there() -> None:
    applier = Applier(ok(), inventories=("hosts.yml", "web1,web2,"))
    act(applier)

    assert "ansible_host" not in str(applier.inventory)
    assert applier._inventories == (str(Path("hosts.yml").resolve()), "web1,web2,")


def test_with_an_inventory_of_the_user_only_the_words_for_ssh_travel_along() -> None:
    applier = Applier(ok(), inventories=("hosts.yml",))
    list(applier.apply("run1", PLAN, [host("web1", ssh_args=("-o", "ProxyCommand=ssh -W %h:%p b"))]))

    assert "'tcptune_ssh_args': \"-o 'ProxyCommand=ssh -W %h:%p b'\"" in str(applier.inventory)


def test_a_host_is_reached_as_the_caller_says_even_where_the_plan_says_otherwise() -> None:
    applier = Applier(ok())
    list(applier.apply("run1", PLAN, [host("web1", address="192.0.2.9")]))

    assert "'ansible_host': '192.0.2.9'" in str(applier.inventory)


def test_ansible_is_told_of_becoming_as_the_command_line_says_and_of_the_password_by_a_path() -> None:
    given = Escalation(become=True, user="deploy", password=SecretStr("hunter2"))

    words = AnsibleApplier((), None, given, timeout_s=4.5)._words(Path("/run/pipe"))

    assert words == ["--timeout=5", "--become", "--become-user=deploy", "--become-password-file=/run/pipe"]
    assert AnsibleApplier()._words(None) == ["--timeout=30"]


@pytest.mark.parametrize(
    ("what", "state"),
    [("apply", HostState.FAILED), ("extend", HostState.BROKEN), ("confirm", HostState.BROKEN)],
)
def test_where_sudo_refused_the_module_never_began(what: str, state: HostState) -> None:
    """An apply has changed nothing then; what an earlier one changed is as it was."""
    said = event("runner_on_failed", msg="Missing sudo password")
    more = {"revert_after_s": 60} if what == "extend" else {}

    [outcome] = act(Applier(said), what, **more)

    assert (outcome.state, outcome.error) == (state, "sudo refused: a password is required")
    assert "-K" in (outcome.hint or "")


def test_what_the_module_says_of_sudo_is_the_modules_own() -> None:
    [outcome] = act(Applier(failed("refused", message="sudo: a password is required")))

    assert outcome.error == "sudo: a password is required"


def test_where_ansible_has_nothing_to_tell_it_is_told_who_has() -> None:
    dropped = {"msg": "Module result deserialization failed: No start of json char found", "rc": 1}
    [outcome] = act(Applier(event("runner_on_failed", **dropped, module_stdout="", module_stderr="")))
    [other] = act(Applier(event("runner_on_failed", **dropped, module_stdout="", module_stderr="python: bus error")))

    assert outcome.state is other.state is HostState.BROKEN
    assert "ended with status 1, and nothing was said" in (outcome.error or "")
    assert "tcptune facts -l web1" in (outcome.hint or "")
    assert "deserialization" in (other.error or "")


def test_a_sudo_that_ansible_gave_up_may_have_let_the_module_begin() -> None:
    said = "Timeout (32s) waiting for privilege escalation prompt: "
    [outcome] = act(Applier(event("runner_on_unreachable", msg=said)))

    assert (outcome.state, outcome.error) == (HostState.BROKEN, "sudo said nothing within 32 s")


@pytest.mark.parametrize("kind", ["refused", "locked", "io", None])
def test_an_extend_that_failed_leaves_a_held_host_held(kind: str | None) -> None:
    [outcome] = act(Applier(failed(kind)), "extend", revert_after_s=60)

    assert outcome.state is HostState.BROKEN


def test_without_one_they_come_from_the_plan() -> None:
    applier = Applier(ok())
    act(applier)

    assert "'ansible_host': 'web1.example'" in str(applier.inventory)
