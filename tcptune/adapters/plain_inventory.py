"""A YAML inventory that holds nothing but plain values, read without starting Ansible.

Importing Ansible costs a quarter of a second, which is more than reading twenty hosts. So the common case is read here:
one file, no template, no vault, no group_vars, no ansible.cfg, no variable that two groups settle between them. Where
anything is less plain than that, the answer is None and Ansible reads it. A test holds both against each other.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tcptune.domain.hosts import NO_ESCALATION, Connection, Declared, Escalation, Host, Secrets

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEXTS = frozenset(
    {
        "ansible_become_method",
        "ansible_become_password",
        "ansible_become_user",
        "ansible_connection",
        "ansible_host",
        "ansible_password",
        "ansible_python_interpreter",
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
        "ansible_ssh_private_key_file",
        "ansible_user",
    },
)
_KNOWN = _TEXTS | {"ansible_become", "ansible_port"}
_CONFIGURATIONS = ("ansible.cfg", "~/.ansible.cfg", "/etc/ansible/ansible.cfg")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def plain_hosts(sources: Sequence[str], limit: str, escalation: Escalation = NO_ESCALATION) -> list[Host] | None:
    """Return the hosts of a plain inventory, or None where only Ansible can tell."""
    if len(sources) != 1 or limit != "all" or not _nothing_of_ansible(sources[0]):
        return None
    try:
        text = Path(sources[0]).read_text(encoding="utf-8")
        if any(mark in text for mark in ("{{", "{%", "{#", "!", "<<")):
            return None
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        reader = _Reader()
        reader.read(yaml.load(text, Loader=loader))  # noqa: S506  # both are safe loaders
        return reader.hosts(escalation)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, _NotPlainError, RecursionError, ValueError):
        return None


class _NotPlainError(Exception):
    """Something that Ansible has to judge."""


class _Reader:
    """Gathers what the file says, and stops at the first thing that is not plain."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._own: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, set[str]] = {}
        self._group_values: dict[str, dict[str, Any]] = {}
        self._parents: dict[str, set[str]] = {"all": set()}

    def read(self, data: object) -> None:
        """Take the whole file."""
        for name, body in _mapping(data).items():
            self._group(name, body, () if name == "all" else ("all",))

    def hosts(self, escalation: Escalation) -> list[Host]:
        """Return the hosts in the order in which they are named."""
        if not self._order:
            raise _NotPlainError
        return [_host(name, self._values(name), self._above(name), escalation) for name in self._order]

    def _group(self, name: object, body: object, above: tuple[str, ...]) -> None:
        # A host and a group of one name is a case of its own in Ansible.
        if not isinstance(name, str) or not _GROUP.fullmatch(name) or name in self._own or name in above:
            raise _NotPlainError
        self._parents.setdefault(name, set()).update(above[-1:])
        values = self._group_values.setdefault(name, {})
        found = _mapping(body)
        if set(found) - {"hosts", "children", "vars"}:
            raise _NotPlainError
        _merge(values, _mapping(found.get("vars")))
        for host, own in _mapping(found.get("hosts")).items():
            if not isinstance(host, str) or not _NAME.fullmatch(host) or host in self._group_values:
                raise _NotPlainError
            if host not in self._own:
                self._order.append(host)
            _merge(self._own.setdefault(host, {}), _mapping(own))
            self._groups.setdefault(host, set()).add(name)
        for child, inside in _mapping(found.get("children")).items():
            self._group(child, inside, (*above, name))

    def _above(self, host: str) -> set[str]:
        above: set[str] = set()
        waiting = list(self._groups[host])
        while waiting:
            group = waiting.pop()
            if group not in above:
                above.add(group)
                waiting += self._parents[group]
        return above

    def _values(self, host: str) -> dict[str, Any]:
        own = self._own[host]
        settled: dict[str, Any] = dict(self._group_values.get("all", {}))
        by_group: dict[str, Any] = {}
        for group in sorted(self._above(host) - {"all"}):
            for key, value in self._group_values[group].items():
                if key in by_group and key not in own:
                    # Which of two groups wins is Ansible's to say.
                    raise _NotPlainError
                by_group[key] = value
        return {**settled, **by_group, **own}


def _mapping(data: object) -> Mapping[Any, Any]:
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise _NotPlainError
    return data


def _merge(values: dict[str, Any], more: Mapping[Any, Any]) -> None:
    for key, value in more.items():
        if not isinstance(key, str):
            raise _NotPlainError
        if key.startswith("tcptune_"):
            # Roles and load may hold anything, and are judged in one place.
            raise _NotPlainError
        if not key.startswith("ansible_"):
            continue
        kind = bool if key == "ansible_become" else int if key == "ansible_port" else str
        if key not in _KNOWN or type(value) is not kind or values.get(key, value) != value:
            raise _NotPlainError
        values[key] = value


def _host(name: str, values: Mapping[str, Any], groups: set[str], escalation: Escalation) -> Host:
    address = values.get("ansible_host", name)
    kind = values.get("ansible_connection", "local" if name in _LOCAL_NAMES and address == name else "ssh")
    if kind not in {"ssh", "local"}:
        raise _NotPlainError
    words = [
        word
        for field in ("ansible_ssh_common_args", "ansible_ssh_extra_args")
        for word in shlex.split(values.get(field, ""))
    ]
    return Host(
        name=name,
        connection=Connection(
            kind=kind,
            address=address,
            port=values.get("ansible_port"),
            user=values.get("ansible_user"),
            key_file=values.get("ansible_ssh_private_key_file"),
            ssh_args=tuple(words),
            become=values.get("ansible_become", escalation.become),
            become_user=values.get("ansible_become_user", escalation.user) or "root",
            become_method=values.get("ansible_become_method", "sudo"),
            python=values.get("ansible_python_interpreter"),
        ),
        declared=Declared(groups=tuple(sorted(groups - {"all", "ungrouped"}))),
        # An empty one is none, and wins over the command line's all the same.
        secrets=Secrets(
            login=values.get("ansible_password") or None,
            become=values.get("ansible_become_password", escalation.password) or None,
        ),
    )


def _nothing_of_ansible(source: str) -> bool:
    """Say whether nothing but the file itself can have a say: no configuration, no environment, no variable folders."""
    path = Path(source)
    if path.suffix not in {".yml", ".yaml"} or not path.is_file():
        return False
    if any(name.startswith("ANSIBLE_") for name in os.environ):
        return False
    if any(Path(name).expanduser().exists() for name in _CONFIGURATIONS):
        return False
    folders = (path.parent, Path())
    return not any((folder / name).exists() for folder in folders for name in ("group_vars", "host_vars"))
