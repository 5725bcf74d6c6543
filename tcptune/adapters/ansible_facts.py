"""Facts by Ansible: for hosts that only one of its connection plugins reaches. It plays tcptune.linux.tcp_facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from tcptune.adapters import scratch
from tcptune.adapters.ansible import AnsibleApplier
from tcptune.adapters.bundle import write_project
from tcptune.domain.facts import Collected, HostFacts, Unread
from tcptune.domain.hosts import Host
from tcptune.planning.playbook import reading

_MODULE = "tcptune.linux.tcp_facts"
_LAST_LINES = 6


class AnsibleCollector:
    """Reads the same keys on many hosts, with one process of Ansible."""

    def __init__(self, ansible: AnsibleApplier, forks: int) -> None:
        self._ansible = ansible
        self._forks = forks

    def stream(self, hosts: Sequence[Host], keys: Sequence[str]) -> Iterator[Collected]:
        """Yield each host's facts, or why it could not be read, in the order in which they arrive."""
        waiting = {host.name for host in hosts}
        with scratch.folder() as folder:
            project = folder / "project"
            write_project(project, reading(keys, self._forks))
            said: list[str] = []
            for event in self._ansible.events(folder, project, "site.yml", sorted(waiting)):
                if isinstance(event, str):
                    said.append(event)
                    continue
                one = _collected(event)
                if one is not None and one.host in waiting:
                    waiting.remove(one.host)
                    yield one
            for host in sorted(waiting):
                why = _brief(" | ".join(said[-_LAST_LINES:]))
                yield Unread(host=host, error=f"Ansible ended without a result: {why}", hint=f"ansible {host} -m ping")


def _collected(event: Mapping[str, Any]) -> Collected | None:
    data = event.get("event_data") or {}
    host, result = str(data.get("host", "")), data.get("res") or {}
    match event.get("event"):
        case "runner_on_ok" if data.get("resolved_action", data.get("task_action")) == _MODULE:
            try:
                # As JSON, which has no tuples.
                return HostFacts.model_validate_json(json.dumps((result.get("ansible_facts") or {}).get("tcptune")))
            except ValidationError as wrong:
                why = wrong.errors()[0]["msg"]
                return Unread(host=host, error=f"the answer makes no sense: {why}", hint="try again")
        case "runner_on_unreachable":
            return Unread(host=host, error=_brief(result.get("msg")), hint=f"ansible {host} -m raw -a true")
        case "runner_on_failed":
            failure = result.get("failure") or {}
            error = _brief(failure.get("message") or result.get("msg")).removeprefix(f"{host}: ")
            return Unread(host=host, error=error, hint=failure.get("hint"))
        case _:
            return None


def _brief(message: object) -> str:
    return " ".join(str(message or "no reason given").split())[:500]
