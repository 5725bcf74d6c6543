"""A plan as a self-contained Ansible project: {path: text}. It renders no tasks; those are the collection's."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

import yaml

from tcptune.domain.changes import Cohort, Plan
from tcptune.domain.hosts import Connection
from tcptune.domain.values import Frozen

GROUP = "tcptune_plan"
"""Inventory group of every host the plan changes."""

LASTING = "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
"""Options by which ssh serves several tasks with one connection, and gives up a host that is silent for a minute.

Without the latter, a host that vanishes while it is changed is waited for without end: nothing is sent that could fail.
"""

_ANSIBLE_CFG = f"""\
[defaults]
inventory = ./inventory
collections_path = ./collections
host_key_checking = True
interpreter_python = auto_silent
gathering = explicit
retry_files_enabled = False
forks = {{forks}}

[ssh_connection]
pipelining = True
# First one wins in ssh: no variable further on can switch the check of host keys off.
ssh_args = -o StrictHostKeyChecking=yes {LASTING}
"""

_PLAYBOOKS = {"site": "apply", "confirm": "confirm", "extend": "extend", "rollback": "rollback"}
"""File of the project -> playbook of the collection."""

_README = """\
# Plan {plan_id}

Profile {profile}, {changes} changes on {hosts} hosts. Made by tcptune; runs without it:

    ansible-playbook site.yml --check --diff     what would change; changes nothing
    ansible-playbook site.yml                    set the values at runtime; {back}
    ansible-playbook confirm.yml                 keep them: write the files that a boot reads
    ansible-playbook extend.yml                  give held hosts that time once more
    ansible-playbook rollback.yml                restore what each host had
{inventory}
The collection under collections/ is a copy: what was reviewed is what runs.
"""


class RenderOptions(Frozen):
    """What a project has beside the plan."""

    connections: bool = True
    """False leaves the connection variables to another inventory that is given beside this one."""
    force_keys: tuple[str, ...] = ()
    """Settings that the rollback restores whoever changed them since; each cohort gets those it has changed."""
    allow_risk: tuple[str, ...] = ()
    """Dangers that need not be allowed again when the project is run."""
    fence: tuple[str, ...] = ()
    """Hosts where the run may never have begun: the rollback sees to it that it does not come any more."""
    revert_after_s: int | None = None
    """Seconds after which a host takes the change back by itself unless it is confirmed."""


PLAIN = RenderOptions()


def render(plan: Plan, run_id: str, options: RenderOptions = PLAIN) -> dict[str, str]:
    """Return the files of the project, but for the copy of the collection."""
    hosts = sum(len(cohort.hosts) for cohort in plan.cohorts)
    files = {
        "README.md": _README.format(
            plan_id=plan.plan_id,
            profile=plan.profile,
            changes=plan.change_count,
            hosts=hosts,
            back=_way_back(options),
            inventory=_inventory_needed(plan),
        ),
        "ansible.cfg": _ANSIBLE_CFG.format(forks=max(1, min(hosts, 25))),
        "inventory/hosts.yml": _yaml(_inventory(plan, options)),
        f"inventory/group_vars/{GROUP}.yml": _yaml(
            {"tcp_settings_run": run_id, "tcp_settings_revert_after_s": options.revert_after_s or 0}
        ),
    }
    for cohort in plan.cohorts:
        files[f"inventory/group_vars/{_group(cohort)}.yml"] = _yaml(_variables(cohort, options))
    for name, playbook in _PLAYBOOKS.items():
        play = {
            "name": f"{playbook.capitalize()} plan {plan.plan_id[:12]}",
            "ansible.builtin.import_playbook": f"tcptune.linux.{playbook}",
            "vars": {"tcptune_hosts": GROUP},
        }
        files[f"{name}.yml"] = _yaml([play])
    return files


def reading(keys: Iterable[str], forks: int) -> dict[str, str]:
    """Return the files of a project that reads hosts and changes none, but for the copy of the collection."""
    task = {"name": "Read the host", "tcptune.linux.tcp_facts": {"keys": [*keys]}}
    play = {"name": "Read hosts", "hosts": "all", "gather_facts": False, "tasks": [task]}
    return {
        "ansible.cfg": _ANSIBLE_CFG.format(forks=forks),
        # The hosts are those of the user's own inventory, beside this one.
        "inventory/hosts.yml": _yaml({"all": {"hosts": {}}}),
        "site.yml": _yaml([play]),
    }


def _inventory_needed(plan: Plan) -> str:
    names = sorted(name for name, connection in plan.hosts.items() if connection.kind == "plugin")
    if not names:
        return ""
    few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return (
        f"\nA connection plugin reaches {few}. Only the inventory that the plan was made from says how:\n\n"
        "    ansible-playbook -i hosts.yml -i inventory site.yml\n"
    )


def _way_back(options: RenderOptions) -> str:
    if not options.revert_after_s:
        return "a reboot takes them back"
    return f"they are gone after {options.revert_after_s} s, or a reboot"


def _inventory(plan: Plan, options: RenderOptions) -> dict[str, Any]:
    def host(name: str) -> dict[str, Any]:
        connection = plan.hosts[name]
        fence = {"tcp_settings_fence": True} if name in options.fence else {}
        if options.connections:
            return {**_connection(connection), **fence}
        # The user's inventory says the rest; these words would be lost with the ssh_args that tcptune sets.
        words = _joined(connection.ssh_args)
        return {**({"tcptune_ssh_args": words} if words else {}), **fence}

    cohorts = {_group(c): {"hosts": {name: host(name) for name in c.hosts}} for c in plan.cohorts}
    return {"all": {"children": {GROUP: {"children": cohorts}}}}


def _variables(cohort: Cohort, options: RenderOptions) -> dict[str, Any]:
    changed = {*(change.key for change in cohort.changes), *(file.path for file in cohort.files)}
    forced = [key for key in options.force_keys if key in changed]
    dangers = {change.key: change.danger for change in cohort.changes if change.danger}
    writers = {change.key: change.writer for change in cohort.changes if change.writer}
    allowed = [key for key in dangers if key in options.allow_risk]
    return {
        "tcp_settings_values": {change.key: change.after for change in cohort.changes},
        "tcp_settings_before": {change.key: change.before for change in cohort.changes},
        "tcp_settings_files": [
            {"path": file.path, "content": file.after, "before_sha256": file.before_sha256} for file in cohort.files
        ],
        **({"tcp_settings_writers": writers} if writers else {}),
        **({"tcp_settings_dangers": dangers} if dangers else {}),
        **({"tcp_settings_allow_risk": allowed} if allowed else {}),
        **({"tcp_settings_force_keys": forced} if forced else {}),
    }


def _connection(connection: Connection) -> dict[str, Any]:
    if connection.kind == "plugin":
        # Said by the user's inventory, which has to be given beside this one.
        return {}
    wanted: dict[str, Any] = {
        "ansible_connection": connection.kind,
        "ansible_host": connection.address,
        "ansible_port": connection.port,
        "ansible_user": connection.user if connection.kind == "ssh" else None,
        "ansible_ssh_private_key_file": connection.key_file,
        "ansible_ssh_common_args": _joined(connection.ssh_args),
        "ansible_become": True if connection.become else None,
        "ansible_become_method": connection.become_method if connection.become else None,
        "ansible_become_user": connection.become_user if connection.become else None,
        "ansible_python_interpreter": connection.python,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _joined(words: tuple[str, ...]) -> str | None:
    return shlex.join(words) if words else None


def _group(cohort: Cohort) -> str:
    return f"tcptune_{cohort.name}"


def _yaml(data: Any) -> str:
    return "---\n" + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=120, default_flow_style=False)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        # ansible-lint wants list items indented.
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    # Much of a plan is what hosts said of themselves. What could be a template must never be evaluated as one.
    tag = "!unsafe" if "{" in text else "tag:yaml.org,2002:str"
    return dumper.represent_scalar(tag, text, style=style)


_Dumper.add_representer(str, _text)
