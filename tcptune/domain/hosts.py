"""A host of the inventory and how to reach it. Never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import SecretStr

from tcptune.domain.values import Frozen


class Connection(Frozen):
    """How a host is reached: Ansible's connection variables, settled. Kept in plans, so without passwords."""

    kind: Literal["ssh", "local", "plugin"] = "ssh"
    """plugin: by another connection plugin of Ansible. How, its inventory alone says, so the rest here is of no use."""
    address: str
    port: int | None = None
    """None: what ssh_config says, else 22."""
    user: str | None = None
    """None: what ssh_config says, else the person's own name."""
    key_file: str | None = None
    ssh_args: tuple[str, ...] = ()
    """ansible_ssh_common_args and ansible_ssh_extra_args, split as a shell splits words."""
    timeout_s: float = 10.0
    become: bool = False
    become_user: str = "root"
    become_method: str = "sudo"
    python: str | None = None
    """ansible_python_interpreter, for the apply. Facts need no Python on the host."""


class Secrets(Frozen):
    """Passwords of one host, from the inventory or a prompt. Lives in memory only."""

    login: SecretStr | None = None
    become: SecretStr | None = None


class Escalation(Frozen):
    """What the command line says of becoming another user. What the inventory says of a host wins over it."""

    become: bool = False
    user: str | None = None
    """None: root, where the inventory names nobody."""
    password: SecretStr | None = None
    """For hosts whose own password nobody knows. Lives in memory only."""


NO_ESCALATION = Escalation()


class Declared(Frozen):
    """What an operator says of one host: in the inventory (tcptune_roles, ...) and on the command line."""

    roles: tuple[str, ...] = ()
    load: dict[str, float] = {}
    labels: dict[str, str] = {}
    """tcptune_labels: where the host stands, such as its rack. Rollout policies ask for them."""
    groups: tuple[str, ...] = ()
    """Its groups in the inventory, sorted, those above them among them; without `all` and `ungrouped`."""


NOTHING_DECLARED = Declared()
NOBODY: Mapping[str, Declared] = {}
"""What is known of hosts where no inventory was given."""


class Host(Frozen):
    """One host of the inventory."""

    name: str
    connection: Connection
    secrets: Secrets = Secrets()
    declared: Declared = NOTHING_DECLARED
