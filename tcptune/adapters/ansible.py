"""The applier: one ansible-playbook process, driven by ansible-runner, over a project rendered from the plan."""

from __future__ import annotations

import math
import os
import queue
import shlex
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tcptune.adapters import become, scratch
from tcptune.adapters.bundle import write_project
from tcptune.adapters.passwords import offered
from tcptune.domain.changes import Plan
from tcptune.domain.hosts import NO_ESCALATION, Escalation, Host
from tcptune.domain.runs import Act, HostState
from tcptune.errors import TcptuneError
from tcptune.planning.playbook import LASTING, PLAIN, RenderOptions, render
from tcptune.planning.writers import named
from tcptune.ports import HostOutcome

_MODULE = "tcptune.linux.tcp_settings"
_IDENT = "play"
_LAST_LINES = 6
_PATIENCE_S = 15.0
_SSH_ARGS = f"-o StrictHostKeyChecking=yes {{{{ tcptune_ssh_args | default('') }}}} {LASTING}"
_BY_ITSELF = {"reverted": HostState.REVERTED, "lost": HostState.LOST}
"""What the host calls it when it took a run back without being asked."""
_PLAYBOOKS = {
    Act.APPLY: "site.yml",
    Act.CONFIRM: "confirm.yml",
    Act.EXTEND: "extend.yml",
    Act.ROLLBACK: "rollback.yml",
}
_DONE = {
    Act.APPLY: HostState.HELD,
    Act.CONFIRM: HostState.CONFIRMED,
    Act.EXTEND: HostState.HELD,
    Act.ROLLBACK: HostState.ROLLED_BACK,
}
"""The state of a host where an act went well."""
_ASK_HOST = "tcptune rollback RUN asks the host's own record"


class AnsibleApplier:
    """Carries plans to hosts with Ansible.

    `inventories` are the user's own sources, where the connection variables (with passwords from a vault, which a
    plan never holds) come from. Without them the plan's own connections are used.
    """

    def __init__(
        self,
        inventories: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        escalation: Escalation = NO_ESCALATION,
        timeout_s: float = 30,
    ) -> None:
        """Make an applier. `environment` is what Ansible needs beside the project's own, to open a vault for one.

        `timeout_s` is how long a host may take to let us in: to connect, and for sudo to answer.
        """
        self._environment = dict(environment or {})
        self._escalation = escalation
        self._timeout_s = timeout_s
        self._inventories = tuple(str(Path(i).resolve()) if "," not in i else i for i in inventories)

    def apply(
        self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int | None = None
    ) -> Iterator[HostOutcome]:
        """Change the kernel's values; nothing that a boot reads. The host takes them back after `revert_after_s`."""
        # Whoever calls this has asked for each danger; nobody is asked twice.
        allowed = tuple(change.key for cohort in plan.cohorts for change in cohort.changes if change.danger)
        return self._play(
            Act.APPLY,
            run_id,
            plan,
            hosts,
            options=RenderOptions(allow_risk=allowed, revert_after_s=revert_after_s),
        )

    def confirm(self, run_id: str, plan: Plan, hosts: Sequence[Host]) -> Iterator[HostOutcome]:
        """Keep the values: write the files that a boot reads."""
        return self._play(Act.CONFIRM, run_id, plan, hosts)

    def extend(self, run_id: str, plan: Plan, hosts: Sequence[Host], revert_after_s: int) -> Iterator[HostOutcome]:
        """Give held hosts at least so many seconds from now."""
        options = RenderOptions(revert_after_s=revert_after_s)
        return self._play(Act.EXTEND, run_id, plan, hosts, options=options)

    def roll_back(
        self,
        run_id: str,
        plan: Plan,
        hosts: Sequence[Host],
        force_keys: Sequence[str] = (),
        fence: Sequence[str] = (),
    ) -> Iterator[HostOutcome]:
        """Restore what each host's own manifest says it had; see to it that no run comes late to one of `fence`."""
        options = RenderOptions(force_keys=tuple(force_keys), fence=tuple(fence))
        return self._play(Act.ROLLBACK, run_id, plan, hosts, options=options)

    def events(
        self, folder: Path, project: Path, playbook: str, hosts: Sequence[str]
    ) -> Iterator[dict[str, Any] | str]:
        """Play a project on some hosts of the inventories: for who reads. Yields events, and Ansible's own lines."""
        return self._events(folder, project, playbook, hosts)

    def _play(
        self,
        act: Act,
        run_id: str,
        plan: Plan,
        hosts: Sequence[Host],
        *,
        options: RenderOptions = PLAIN,
    ) -> Iterator[HostOutcome]:
        waiting = {host.name for host in hosts}
        if not waiting:
            return
        with scratch.folder() as folder:
            project = folder / "project"
            options = options.model_copy(update={"connections": not self._inventories})
            write_project(project, render(_reached(plan, hosts), run_id, options))
            said: list[str] = []
            for event in self._events(folder, project, _PLAYBOOKS[act], sorted(waiting)):
                if isinstance(event, str):
                    said.append(event)
                    continue
                outcome = _outcome(event, act)
                if outcome is not None and outcome.host in waiting:
                    waiting.remove(outcome.host)
                    yield replace(_with_writer(outcome, plan), warnings=_warnings(event))
            for host in sorted(waiting):
                # No word about this host: whether something was changed there is not known.
                yield HostOutcome(
                    host=host,
                    state=HostState.BROKEN,
                    replaced={},
                    error=_brief("Ansible ended without a result: " + " | ".join(said[-_LAST_LINES:])),
                    hint=_ASK_HOST,
                )

    def _events(
        self, folder: Path, project: Path, playbook: str, hosts: Sequence[str]
    ) -> Iterator[dict[str, Any] | str]:
        """Yield Ansible's events as they happen, and lines of its own that belong to no host."""
        # Here, not above: it takes a tenth of a second to import.
        import ansible_runner

        events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        limit = folder / "hosts.txt"
        limit.write_text("".join(f"{host}\n" for host in hosts), encoding="utf-8")
        password = self._escalation.password
        words = self._words(None if password is None else folder / "sudo")
        stopped = threading.Event()

        def handle(event: dict[str, Any]) -> bool:
            events.put(event)
            return False

        def work() -> None:
            try:
                # ansible-runner notes there what it starts with all our environment, where passwords may be.
                with offered(password, folder / "sudo"), scratch.unwritten(folder / "artifacts" / _IDENT / "command"):
                    ended = ansible_runner.run(
                        private_data_dir=str(folder),
                        ident=_IDENT,
                        project_dir=str(project),
                        playbook=playbook,
                        inventory=[*self._inventories, str(project / "inventory")],
                        limit=f"@{limit}",
                        cmdline=shlex.join(words),
                        # Extra variables win over the user's own: nothing in an inventory switches the check of host
                        # keys off, since ssh takes the first word on an option.
                        extravars={"ansible_ssh_args": _SSH_ARGS},
                        envvars={**_environment(project), **self._environment},
                        event_handler=handle,
                        cancel_callback=stopped.is_set,
                        quiet=True,
                        suppress_env_files=True,
                    )
                for line in ended.stdout.read().splitlines()[-_LAST_LINES:]:
                    events.put({"event": "verbose", "stdout": line})
            finally:
                events.put(None)

        thread = threading.Thread(target=work, name="ansible", daemon=True)
        thread.start()
        try:
            while (event := events.get()) is not None:
                if event.get("event") == "verbose" and event.get("stdout"):
                    yield str(event["stdout"])
                else:
                    yield event
        finally:
            # Somebody pressed Ctrl-C: end Ansible before its project is removed below it.
            stopped.set()
            thread.join(_PATIENCE_S)

    def _words(self, password_file: Path | None) -> list[str]:
        """Return the options of ansible-playbook by which it becomes whom the caller says."""
        words = [f"--timeout={math.ceil(self._timeout_s)}"]
        if self._escalation.become:
            words.append("--become")
        if self._escalation.user is not None:
            words.append(f"--become-user={self._escalation.user}")
        if password_file is not None:
            words.append(f"--become-password-file={password_file}")
        return words


def _reached(plan: Plan, hosts: Sequence[Host]) -> Plan:
    """Return the plan with each host reached as the caller says."""
    return plan.model_copy(update={"hosts": {**plan.hosts, **{host.name: host.connection for host in hosts}}})


def _outcome(event: Mapping[str, Any], act: Act) -> HostOutcome | None:
    done = _DONE[act]
    data = event.get("event_data") or {}
    host, result = str(data.get("host", "")), data.get("res") or {}
    match event.get("event"):
        case "runner_on_ok" if data.get("resolved_action", data.get("task_action")) == _MODULE:
            left = tuple(str(item) for item in result.get("changed_since") or ())
            state = HostState.PARTLY_BACK if done is HostState.ROLLED_BACK and left else done
            if done is HostState.ROLLED_BACK and not left:
                # The host may have done it before anybody asked.
                state = _BY_ITSELF.get(str(result.get("host_state")), done)
            return HostOutcome(
                host=host,
                state=state,
                replaced=dict(result.get("previous") or {}),
                error=f"changed by somebody else since, and left: {', '.join(left)}" if left else None,
                hint="tcptune rollback RUN --force-key KEY" if left else None,
                changed_since=left,
                deadline=_moment(result.get("deadline")) if done is HostState.HELD else None,
            )
        case "runner_on_unreachable":
            # The connection may have gone while the module was at work, so nothing is known of the outcome.
            said = _brief(result.get("msg"))
            why = become.too_slow(said) or f"connection lost: {said}"
            return HostOutcome(host, HostState.BROKEN, {}, why, _ASK_HOST)
        case "runner_on_failed" if not data.get("ignore_errors"):
            return _failure(host, result, act)
        case _:
            return None


def _warnings(event: Mapping[str, Any]) -> tuple[str, ...]:
    found = ((event.get("event_data") or {}).get("res") or {}).get("warnings") or ()
    return tuple(_brief(text) for text in found)


def _with_writer(outcome: HostOutcome, plan: Plan) -> HostOutcome:
    """Return the outcome with who is known to write the setting that its error is about."""
    change = next((c for c in plan.cohort_of(outcome.host).changes if c.key == outcome.key), None)
    if change is None or outcome.error is None:
        return outcome
    return replace(outcome, error=named(outcome.error, change.writer))


def _failure(host: str, result: Mapping[str, Any], act: Act) -> HostOutcome:
    failure = result.get("failure") or {}
    said = "\n".join(str(result.get(part) or "") for part in ("msg", "module_stderr", "module_stdout"))
    if not failure and (refused := become.refusal(host, said)):
        # The module never began. Whatever a run did before is as it was.
        state = HostState.FAILED if act is Act.APPLY else HostState.BROKEN
        return HostOutcome(host, state, {}, str(refused).removeprefix(f"{host}: "), refused.hint)
    kind, left_in = failure.get("kind"), result.get("host_state")
    error, hint = _brief(failure.get("message") or result.get("msg")), failure.get("hint")
    if not failure and "deserialization failed" in error and not said.partition("\n")[2].strip():
        # Ansible drops what sudo says between the password and the command; our own reading does not.
        error = f"sudo or Python there ended with status {result.get('rc')}, and nothing was said"
        hint = f"tcptune facts -l {host}, which meets the same sudo and tells its words"
    key = failure.get("key")
    if act is not Act.ROLLBACK and left_in in _BY_ITSELF:
        return HostOutcome(host, _BY_ITSELF[left_in], {}, error, hint)
    if act is not Act.APPLY:
        no_record, busy = kind == "unknown_run", kind == "locked"
        return HostOutcome(host, HostState.BROKEN, {}, error, hint, no_record=no_record, busy=busy, key=key)
    if kind == "stale":
        return HostOutcome(host, HostState.STALE, {}, error, hint, key=key)
    # Each of these is said before the first write; after it, only the module's own word counts.
    untouched = kind in {"refused", "absent", "locked", "unfinished"} or (kind and left_in is None)
    state = HostState.FAILED if untouched or left_in == "rolled_back" else HostState.BROKEN
    return HostOutcome(host, state, {}, error, hint, busy=kind == "locked")


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _ansible_playbook() -> str:
    """Return the ansible-playbook beside this Python: tcptune may run from an environment that is not on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "ansible-playbook"
    if beside.is_file():
        return str(beside)
    beside = Path(sys.executable).parent / "ansible-playbook"
    if beside.is_file():
        return str(beside)
    raise TcptuneError("ansible-playbook is not installed beside tcptune", hint="pip install ansible-core")


def _environment(project: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
        # Nobody would see it ask, nor could answer.
        "ANSIBLE_ASK_PASS": "0",
        "ANSIBLE_ASK_VAULT_PASS": "0",
        "ANSIBLE_BECOME_ASK_PASS": "0",
        # Ansible refuses to start where the locale's encoding is not UTF-8.
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([str(Path(_ansible_playbook()).parent), os.environ.get("PATH", os.defpath)]),
    }


def _brief(message: object) -> str:
    return " ".join(str(message or "no reason given").split())[:500]
